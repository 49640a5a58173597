"""Completion inside the cells: a shell's commands and paths, a Dockerfile's instructions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .lines import option_value, split_words
from .offer import Offer, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .lookups import Lookups

_CELL = re.compile(
    r"(?:\s*%%\w+[^\n]*\n)*?"  # others may stand above: %%time
    r"\s*%%(?:runloop )?(?P<what>devbox exec|devbox script|blueprint build)\b(?P<rest>[^\n]*)\n"
)
_WORD_START = re.compile(r"[\s=:'\"<>|;&(`$]")
_COMMAND_STARTS = re.compile(r"(?:.*(?:[;&|(`]|\b(?:then|do|else|sudo|time|xargs)\s))?\s*")
_INSTRUCTIONS = (
    *("FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "WORKDIR", "USER", "SHELL", "ENTRYPOINT", "CMD", "LABEL", "EXPOSE"),
)


def complete_cell(lookups: Lookups, text: str, cell: str) -> Offer | None:
    """Completions for the end of `text`, a line of the cell up to the cursor; None in a cell that is none of ours."""
    found = _CELL.match(cell)
    if found is None:
        return None
    options, last = split_words(found["rest"])
    options = [*options, last]
    if found["what"] == "blueprint build":
        return _in_dockerfile(lookups, text, option_value(options, "--context") or "")
    return _in_shell(lookups, text, options, has_commands=found["what"] == "devbox exec")


def _in_shell(lookups: Lookups, text: str, options: Sequence[str], *, has_commands: bool) -> Offer:
    word = _WORD_START.split(text)[-1]
    head = text.removesuffix(word)
    devbox = option_value(options, "--on")
    if has_commands and word and "/" not in word and _COMMAND_STARTS.fullmatch(head):
        snippets = () if head.strip() else lookups.snippets
        return Offer(word, Texts("snippet", snippets, quoted=False), Texts("command", lookups.commands(devbox)))
    if option_value(options, "--shell") and not word.startswith(("/", "~/")):
        return Offer(word)  # who knows in which folder that shell is
    return Offer(word, Texts("path", lookups.remote_paths(word, devbox, option_value(options, "--cwd") or "")))


def _in_dockerfile(lookups: Lookups, text: str, context: str) -> Offer:
    *before, word = re.split(r"\s+", text.lstrip())
    instruction = before[0].upper() if before else ""
    if not before:
        return Offer(word, Texts("instruction", [f"{each} " for each in _INSTRUCTIONS], quoted=False))
    if instruction == "FROM":
        return Offer(word, Texts("blueprint", lookups.names("blueprint")))
    if instruction in ("COPY", "ADD"):
        return Offer(word, Texts("path", lookups.local_paths(word, context)))
    if instruction == "RUN" and len(before) == 1:
        return Offer(word, Texts("snippet", lookups.snippets, quoted=False))
    return Offer(word)
