"""Completion of subcommands, options and devbox names, from what is known already: it never asks the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion

from .commands import VERBS, load

if TYPE_CHECKING:
    from IPython.core.completer import SimpleMatcherResult

    from .session import Session

_LINE = re.compile(r"(?:\s*|.*=\s*)%%?devbox\s+(?P<words>.*)", re.DOTALL)
_TAKES_DEVBOX = ("use", "info", "suspend", "resume", "shutdown")


def complete(session: Session, text: str) -> SimpleMatcherResult:
    """What IPython's matcher API wants for a line up to the cursor; nothing for lines that are not %devbox's."""
    line = _LINE.fullmatch(text)
    if line is None:
        return {"completions": [], "suppress": False}
    *before, word = re.split(r"\s+", line["words"])
    found = [SimpleCompletion(each, type="magic") for each in _candidates(session, before) if each.startswith(word)]
    return {"completions": found, "matched_fragment": word, "suppress": bool(found)}


def _candidates(session: Session, before: Sequence[str]) -> Sequence[str]:
    if not before:
        return (*VERBS, "--help")
    verb = before[0]
    if verb not in VERBS:
        return ()
    if before[-1] == "--on":
        return session.known_names
    names = session.known_names if verb in _TAKES_DEVBOX else ()
    return (*names, *load(verb).parser().options())
