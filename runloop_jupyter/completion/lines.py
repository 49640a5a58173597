"""Completion of what follows %runloop and %devbox: subcommands, options, their values, names and paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..commands import DEVBOX, NOUNS, RUNLOOP
from ..commands.inspection import Expected, expected, option_names
from .offer import Offer, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..commands.noun import Noun
    from ..commands.parser import Parser
    from .lookups import Lookups

_LINE = re.compile(r"(?:\s*|.*=\s*)(?P<marks>%%?)(?P<magic>devbox|runloop)\s+(?P<words>.*)", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")


def complete_line(lookups: Lookups, text: str) -> Offer | None:
    """Completions for the end of a magic's line; None for a line that is none of ours."""
    line = _LINE.fullmatch(text)
    if line is None:
        return None
    before, word = split_words(line["words"])
    noun, has_cell = DEVBOX if line["magic"] == "devbox" else RUNLOOP, line["marks"] == "%%"
    if noun is RUNLOOP and before and before[0] in NOUNS:
        noun = NOUNS[before.pop(0)]
    if not before:
        return Offer(word, Texts("magic", _first_words(noun, has_cell=has_cell), quoted=False))
    if before[0] not in noun.verbs:
        return Offer(word)
    return _ArgumentCompleter(lookups, noun.parser(before[0]), before[1:]).offer(word)


def split_words(text: str) -> tuple[list[str], str]:
    """The words before the cursor, and the one at it, which may be empty. Quotes hold blanks together."""
    found = list(_WORD.finditer(text))
    words = [each.group() for each in found]
    at_cursor = words.pop() if found and found[-1].end() == len(text) else ""
    return words, at_cursor


def option_value(words: Sequence[str], option: str) -> str | None:
    """The value that follows an option in the words of a line."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            return (value if equals else "".join(words[number + 1 : number + 2])).strip("'\"")
    return None


def _first_words(noun: Noun, *, has_cell: bool) -> Sequence[str]:
    if has_cell:
        return [*(name for name, each in NOUNS.items() if noun is RUNLOOP and each.cells), *noun.cells]
    return [*(NOUNS if noun is RUNLOOP else ()), *noun.verbs, "--help"]


class _ArgumentCompleter:
    """Completes the arguments of a subcommand."""

    def __init__(self, lookups: Lookups, parser: Parser[object], before: Sequence[str]) -> None:
        self._lookups = lookups
        self._parser = parser
        self._before = before

    def offer(self, word: str) -> Offer:
        option, equals, value = word.partition("=")
        if equals and option.startswith("--"):
            return self._values(expected(self._parser, [*self._before, option]), value)
        next_word = expected(self._parser, self._before)
        if word.startswith("-") and not next_word.is_value:
            return Offer(word, Texts("option", option_names(self._parser), quoted=False))
        return self._values(next_word, word)

    def _values(self, argument: Expected, word: str) -> Offer:
        if argument.form == "VARIABLE=NAME":
            _, equals, word = word.rpartition("=")
            return Offer(word, Texts(argument.kind, self._lookups.names(argument.kind) if equals else ()))
        options = () if word or argument.is_value else option_names(self._parser)
        return Offer(word, *self._candidates(argument, word), Texts("option", options, quoted=False))

    def _candidates(self, argument: Expected, word: str) -> Sequence[Texts]:
        kind, lookups, on = argument.kind, self._lookups, option_value(self._before, "--on")
        if argument.choices:
            return [Texts("value", argument.choices)]
        if kind == "command" and "/" not in word:
            return [
                Texts("snippet", lookups.snippets if word else (), quoted=False),
                Texts("command", lookups.commands(on) if word else ()),
            ]
        if kind in ("remote path", "command", "command's word"):
            return [Texts("path", lookups.remote_paths(word, on, option_value(self._before, "--cwd") or "~"))]
        if kind == "local path":
            return [Texts("path", lookups.local_paths(word))]
        return [Texts(kind, lookups.names(kind))]
