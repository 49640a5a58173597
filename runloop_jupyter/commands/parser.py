"""Parsing of a magic's line: argparse with errors that say what to type, and no way to end the kernel."""

from __future__ import annotations

import argparse
import io
import re
import shlex
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

from ..errors import UsageError, did_you_mean
from ..text.durations import parse_duration
from ..text.templates import Evaluate, expand, fill, mark

LISTED = "A sequence, newest first, that shows as a table; `.to_dataframe()` makes it a pandas DataFrame."
"""What each `list` returns."""
NONE_LISTED = "A list that has none says what to type; it is not an error."
_MANY = ("*", "+")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def one_name(prog: str, *names: str | None) -> str:
    """The name, which can be typed as a word or as an option. Raises `UsageError` where both were typed."""
    given = [name for name in names if name]
    if len(given) > 1:
        raise UsageError(f"{prog}: the name is given twice, {given[0]!r} and {given[1]!r}.")
    return given[0] if given else ""


class HelpRequested(Exception):  # noqa: N818 - not an error: `--help` was typed
    """The user asked for help; the text is what to print."""


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise HelpRequested(parser.format_help().rstrip())


class Expected(NamedTuple):
    """What a word may be: the kind of name, the choices where there are some, its form, the value of an option."""

    kind: str = ""
    choices: Sequence[str] = ()
    form: str = ""
    is_value: bool = False


class Argument(NamedTuple):
    """One row of what a subcommand takes: how it is typed, in each way that there is, and what it does."""

    forms: tuple[str, ...]
    told: str


class Example(NamedTuple):
    """What is done, and the cell that does it, as it is typed."""

    told: str
    cell: str


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are `UsageError`s. `prog` is what is typed: "%devbox create"."""

    takes_command = False
    """Whether what follows the options is kept as it is, as `.command`."""
    cell = ""
    """What the cell below the line is, where one can be: "the command"."""
    needs_cell = False
    keeps_line_ends = False
    """Whether the ends of the cell's lines are kept as they are; else CRLF becomes LF, which all programs take."""
    shows_output = False
    """Whether the subcommand shows in the cell itself what it does: no line about waiting."""
    shows_progress = False
    """Whether it shows in the cell itself how far it is: no line about waiting."""
    examples: tuple[Example, ...] = ()
    returns = ""
    """What the magic's value is, in a sentence or two."""
    mistakes: tuple[str, ...] = ()
    """What can go wrong, and what happens then."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.color = False  # Python 3.14 would colour the help
        self.names: dict[str, str] = {}
        self.add_argument("--help", "-h", action=_Help, nargs=0, help="show this help")

    def add_name(self, kind: str, *names: str, **options: Any) -> None:
        """Add an argument whose value names something, so that it can be completed: a "devbox", a "remote path"."""
        self.names[self.add_argument(*names, **options).dest] = kind

    def explain(self, *examples: tuple[str, str], returns: str = "", mistakes: Sequence[str] = ()) -> Parser:
        """What `--help` and the page of the subcommand say beside its options; each example is told, then shown."""
        self.examples = tuple(Example(*each) for each in examples)
        self.returns = returns or self.returns
        self.mistakes = tuple(mistakes)
        return self

    def format_help(self) -> str:
        """What `--help` prints: usage, options, examples."""
        text = super().format_help().rstrip()
        shown = [f"  # {told}\n{textwrap.indent(cell, '  ')}" for told, cell in self.examples]
        text = "\n\n".join([text, "examples:\n" + "\n\n".join(shown)]) if shown else text
        return text.replace(f"usage: {self.prog}", f"usage: %{self.prog}", 1) if self.needs_cell else text

    def synopsis(self) -> list[str]:
        """Each way to type it, on one line, or with the cell below it."""
        options = ["[options]"] if self.options() != ["--help"] else []
        words = [_placed(action) for action in self._actions if not action.option_strings]
        line = " ".join([self.prog, *options, *words])
        below = [f"%{line}\n{self.cell} ..."] if self.cell else []
        return below if self.needs_cell else [f"{line} COMMAND" if self.takes_command else line, *below]

    def arguments(self) -> list[Argument]:
        """All that it takes, but for --help, places first."""
        actions = sorted(self._actions, key=lambda action: bool(action.option_strings))
        return [
            Argument(tuple(_forms(action)), _told(action))
            for action in actions
            if "--help" not in action.option_strings
        ]

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` instead of ending the process."""
        raise UsageError(f"{self.prog}: {message}. {self.prog} --help explains.")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = tuple(map(str, action.choices))
            name = next(iter(action.option_strings), action.dest.upper())
            raise UsageError(
                f"{self.prog}: {name} is one of {', '.join(known)}, not {value!r}.{did_you_mean(str(value), known)}"
            )

    def parse_line(self, line: str, evaluate: Evaluate) -> argparse.Namespace:
        """The options on `line`, with {{expr}} replaced; `.command` is what follows them, where one is taken.

        `.typed` is the same with each {{expr}} as it was typed, for notes that must not keep its value.
        """
        marked, expressions = mark(line)
        if self.takes_command:
            tokens, command = _split_command(marked, self._value_options())
        else:
            tokens, command = _split(marked.rstrip().removesuffix(";")), ""
        literal = "off" in _values(tokens, "--template")

        def typed(number: int) -> str:
            return f"{{{{{expressions[number]}}}}}"

        def value(number: int) -> str:
            return typed(number) if literal else expand(typed(number), evaluate)

        args, rest = self.parse_known_args([fill(token, value) for token in tokens])
        if rest:
            self._refuse(rest)
        args.command = fill(command, value)
        args.typed = fill(command, typed)
        return args

    def take_cell(self, args: argparse.Namespace, cell: str | None, evaluate: Evaluate) -> None:
        """Set `args.cell`, with {{expr}} replaced unless --template is off. Raises `UsageError` if it must not be."""
        args.cell = None
        if cell is None:
            if self.needs_cell:
                raise UsageError(f"{self.prog} needs {self.cell}: write %{self.prog} and put it below, in the cell.")
            return
        if not self.cell:
            raise UsageError(f"%{self.prog} takes no cell: write {self.prog}, or %%devbox exec to run a cell.")
        if args.command:
            raise UsageError(f"{args.command!r} follows %{self.prog}: {self.cell} belongs below it, in the cell.")
        cell = cell if self.keeps_line_ends else cell.replace("\r\n", "\n")
        args.typed = cell
        args.cell = cell if getattr(args, "template", "off") == "off" else expand(cell, evaluate)

    def options(self) -> list[str]:
        """The long names of all options."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def expected(self, before: Sequence[str]) -> Expected:
        """What may follow these words."""
        option: argparse.Action | None = None
        places = [action for action in self._actions if not action.option_strings]
        for word in before:
            if word.startswith("-") and word != "-":
                option = self._option_string_actions.get(word)
            elif option is not None and option.nargs != 0:
                option = option if option.nargs in _MANY else None
            elif self.takes_command:
                return Expected("command's word")
            elif places and places[0].nargs not in _MANY:
                del places[0]
        if option is not None and option.nargs != 0:
            return self._expected(
                option, is_value=option.nargs not in ("?", *_MANY) or before[-1] in self._value_options()
            )
        if self.takes_command:
            return Expected("command")
        return self._expected(places[0]) if places else Expected()

    def _expected(self, action: argparse.Action, *, is_value: bool = False) -> Expected:
        kind = "variable" if action.type is variable else self.names.get(action.dest, "")
        form = action.metavar if isinstance(action.metavar, str) else ""
        return Expected(kind, tuple(action.choices or ()), form, is_value)

    def _value_options(self) -> frozenset[str]:
        return frozenset(name for name, action in self._option_string_actions.items() if action.nargs != 0)

    def _refuse(self, rest: Sequence[str]) -> NoReturn:
        unknown = next((word for word in rest if word.startswith("-")), None)
        if unknown is None:
            self.error(f"{rest[0]!r} is one word too many")
        name = unknown.partition("=")[0]
        suggestion = did_you_mean(name, self._option_string_actions)
        raise UsageError(f"{self.prog} has no option {name!r}.{suggestion} {self.prog} --help lists them.")


def _value(action: argparse.Action) -> str:
    """What stands for the value of an option or a place."""
    if action.metavar is None and action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _placed(action: argparse.Action) -> str:
    word = _value(action)
    several = {"?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} [...]"}
    return several.get(str(action.nargs), word)


def _forms(action: argparse.Action) -> Iterator[str]:
    if not action.option_strings:
        yield _value(action)
        return
    value = "" if action.nargs == 0 else " " + _placed(action)
    yield from (f"{name}{value}" for name in action.option_strings)


def _told(action: argparse.Action) -> str:
    told = (action.help or "").replace("%%", "%")
    several = action.option_strings and isinstance(action.default, list)
    return f"{told}; can be given several times" if several else told


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line.strip()!r}: {str(error).lower()}: is a quote missing?") from error


def _split_command(line: str, value_options: frozenset[str]) -> tuple[list[str], str]:
    """The leading options, and the rest of the line untouched: it belongs to the shell in the devbox."""
    source = io.StringIO(line)
    lexer = shlex.shlex(source, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters = True, ""
    tokens: list[str] = []
    while True:
        start = source.tell()
        word = _next(lexer, line)
        if word is None or word == "--":
            return tokens, line[source.tell() :].strip()
        if not word.startswith("-"):
            return tokens, line[start:].strip()
        tokens.append(word)
        if word in value_options and (value := _next(lexer, line)) is not None:
            tokens.append(value)


def _next(lexer: shlex.shlex, line: str) -> str | None:
    try:
        return lexer.get_token()
    except ValueError as error:
        raise UsageError(f"{line.strip()!r}: {str(error).lower()}: is a quote missing?") from error


def _values(tokens: Sequence[str], option: str) -> list[str]:
    after = [value for name, value in pairwise(tokens) if name == option]
    return after + [token.partition("=")[2] for token in tokens if token.startswith(option + "=")]


def duration(text: str) -> float:
    """An argument in seconds: 90, 90s, 30m, 2h."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def variable(text: str) -> str:
    """The name of a Python variable."""
    import keyword

    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be the name of a Python variable")
    return text


def assignment(text: str) -> tuple[str, str]:
    """An environment variable: K=V."""
    name, equals, value = text.partition("=")
    if not equals or not _IDENTIFIER.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE: write it like MODE=test")
    return name, value


def pair(text: str) -> tuple[str, str]:
    """A key with a value: K=V."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE: write it like team=web")
    return name, value


def add_limit_option(parser: argparse.ArgumentParser, what: str, default: int = 1000) -> None:
    """--limit N: how many of a list."""
    told = f"at most so many (default {default:,})"
    parser.add_argument("--limit", type=_number_of(what), default=default, metavar="N", help=told)


def _number_of(what: str) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not int(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}: write it like 20")
        return int(text)

    return number


def add_metadata_option(parser: argparse.ArgumentParser, told: str = "a key with a value, to find it by") -> None:
    """--metadata K=V, as often as there are pairs."""
    parser.add_argument("--metadata", metavar="K=V", action="append", default=[], type=pair, help=told)


def add_template_option(parser: argparse.ArgumentParser, default: str) -> None:
    """--template on|off: whether {{expr}} in the cell is replaced by the value of a Python expression."""
    other = {"on": "off: leave {{ and }} as they are", "off": "on: replace {{expr}} in the cell by its value"}
    parser.add_argument("--template", choices=("on", "off"), default=default, help=other[default])


def add_devbox_argument(parser: Parser, **options: Any) -> None:
    """The positional NAME|ID, optional: the current devbox when it is absent."""
    told = {"metavar": "NAME|ID", "help": "a devbox's name or id, or its beginning", "nargs": "?"}
    parser.add_name("devbox", "devbox", **{**told, **options})


def add_on_option(parser: Parser, what: str = "the devbox to work on instead of the current one") -> None:
    """--on NAME|ID: another devbox than the current one."""
    parser.add_name("devbox", "--on", metavar="NAME|ID", help=what)
