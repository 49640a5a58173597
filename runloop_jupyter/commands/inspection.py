"""Looking into a parser, for the pages of docs/magics and for completion: what a subcommand takes, and where."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .argument_types import variable
from .parser import Parser

_MANY = ("*", "+")


class Argument(NamedTuple):
    """An argument of a subcommand: each form in which it can be typed, and what it does."""

    forms: tuple[str, ...]
    description: str


class Expected(NamedTuple):
    """The next word of a line: the kind of thing that it names, its choices if there are some, and its form."""

    kind: str = ""
    choices: Sequence[str] = ()
    form: str = ""
    is_value: bool = False
    """True if it must be the value of the option before it."""


def title(parser: Parser[object]) -> str:
    """The subcommand as it is typed most often: with two % if it needs a cell."""
    return f"%{parser.prog}" if parser.needs_cell else parser.prog


def synopsis(parser: Parser[object]) -> list[str]:
    """Each way to type it, on one line, or with the cell below it."""
    options = ["[options]"] if option_names(parser) != ["--help"] else []
    words = [_placeholder(action) for action in parser.positionals]
    line = " ".join([parser.prog, *options, *words])
    below = [f"%{line}\n{parser.cell} ..."] if parser.cell else []
    return below if parser.needs_cell else [f"{line} COMMAND" if parser.takes_command else line, *below]


def arguments(parser: Parser[object]) -> list[Argument]:
    """All arguments but --help, positional ones first."""
    options = [action for name, action in parser.options_by_name.items() if name == action.option_strings[0]]
    return [
        Argument(tuple(_forms(action)), _description(action))
        for action in (*parser.positionals, *options)
        if "--help" not in action.option_strings
    ]


def option_names(parser: Parser[object]) -> list[str]:
    """The long names of all options."""
    return [name for name in parser.options_by_name if name.startswith("--")]


def expected(parser: Parser[object], before: Sequence[str]) -> Expected:
    """The word that may follow these."""
    option: argparse.Action | None = None
    positionals = list(parser.positionals)
    for word in before:
        if word.startswith("-") and word != "-":
            option = parser.options_by_name.get(word)
        elif option is not None and option.nargs != 0:
            option = option if option.nargs in _MANY else None
        elif parser.takes_command:
            return Expected("command's word")
        elif positionals and positionals[0].nargs not in _MANY:
            del positionals[0]
    if option is not None and option.nargs != 0:
        needs_value = option.nargs not in ("?", *_MANY) or before[-1] in parser.value_options
        return _expected(parser, option, is_value=needs_value)
    if parser.takes_command:
        return Expected("command")
    return _expected(parser, positionals[0]) if positionals else Expected()


def _expected(parser: Parser[object], action: argparse.Action, *, is_value: bool = False) -> Expected:
    kind = "variable" if action.type is variable else parser.names.get(action.dest, "")
    form = action.metavar if isinstance(action.metavar, str) else ""
    return Expected(kind, tuple(action.choices or ()), form, is_value)


def _metavar(action: argparse.Action) -> str:
    """The word that stands for the value of an argument."""
    if action.metavar is None and action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _placeholder(action: argparse.Action) -> str:
    """The same with how often it can be given."""
    word = _metavar(action)
    several = {"?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} [...]"}
    return several.get(str(action.nargs), word)


def _forms(action: argparse.Action) -> Iterator[str]:
    if not action.option_strings:
        yield _metavar(action)
        return
    value = "" if action.nargs == 0 else " " + _placeholder(action)
    yield from (f"{name}{value}" for name in action.option_strings)


def _description(action: argparse.Action) -> str:
    text = (action.help or "").replace("%%", "%")
    several = action.option_strings and isinstance(action.default, list)
    return f"{text}; can be given several times" if several else text
