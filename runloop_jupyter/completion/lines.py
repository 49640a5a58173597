"""Completion of what follows %runloop and %devbox: subcommands, options, their values, names and paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..commands import DEVBOX, NOUNS, RUNLOOP
from .offer import Offer, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..commands.noun import Noun
    from ..commands.parser import Expected, Parser
    from .lookups import Lookups

_LINE = re.compile(r"(?:\s*|.*=\s*)(?P<marks>%%?)(?P<magic>devbox|runloop)\s+(?P<words>.*)", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")


def complete_line(lookups: Lookups, text: str) -> Offer | None:
    """What the end of a magic's line may become; None for a line that is none of ours."""
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
    return _Arguments(lookups, noun.load(before[0]).parser(), before[1:]).offer(word)


def split_words(text: str) -> tuple[list[str], str]:
    """The words before the cursor, and the one at it, which may be empty. Quotes hold blanks together."""
    found = list(_WORD.finditer(text))
    words = [each.group() for each in found]
    at_cursor = words.pop() if found and found[-1].end() == len(text) else ""
    return words, at_cursor


def option_value(words: Sequence[str], option: str) -> str | None:
    """What follows an option, as the words have it."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            return (value if equals else "".join(words[number + 1 : number + 2])).strip("'\"")
    return None


def _first_words(noun: Noun, *, has_cell: bool) -> Sequence[str]:
    if has_cell:
        return [*(name for name, each in NOUNS.items() if noun is RUNLOOP and each.cells), *noun.cells]
    return [*(NOUNS if noun is RUNLOOP else ()), *noun.verbs, "--help"]


class _Arguments:
    """What follows a subcommand."""

    def __init__(self, lookups: Lookups, parser: Parser, before: Sequence[str]) -> None:
        self._lookups = lookups
        self._parser = parser
        self._before = before

    def offer(self, word: str) -> Offer:
        option, equals, value = word.partition("=")
        if equals and option.startswith("--"):
            return self._values(self._parser.expected([*self._before, option]), value)
        expected = self._parser.expected(self._before)
        if word.startswith("-") and not expected.is_value:
            return Offer(word, Texts("option", self._parser.options(), quoted=False))
        return self._values(expected, word)

    def _values(self, expected: Expected, word: str) -> Offer:
        if expected.form == "VARIABLE=NAME":
            _, equals, word = word.rpartition("=")
            return Offer(word, Texts(expected.kind, self._lookups.names(expected.kind) if equals else ()))
        options = () if word or expected.is_value else self._parser.options()
        return Offer(word, *self._candidates(expected, word), Texts("option", options, quoted=False))

    def _candidates(self, expected: Expected, word: str) -> Sequence[Texts]:
        kind, lookups, on = expected.kind, self._lookups, option_value(self._before, "--on")
        if expected.choices:
            return [Texts("value", expected.choices)]
        if kind == "command" and "/" not in word:
            return [
                Texts("snippet", lookups.snippets if word else (), quoted=False),
                Texts("command", lookups.commands(on) if word else ()),
            ]
        if kind in ("remote path", "command", "command's word"):
            return [Texts("path", lookups.remote_paths(word, on, option_value(self._before, "--cwd") or ""))]
        if kind == "local path":
            return [Texts("path", lookups.local_paths(word))]
        return [Texts(kind, lookups.names(kind))]
