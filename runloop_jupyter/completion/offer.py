"""What a word may become."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from IPython.core.completer import SimpleCompletion

_PLAIN = re.compile(r"[\w@%+=:,./~-]*")


@dataclass(frozen=True, slots=True)
class Texts:
    """Candidates of one kind, which front ends show beside each."""

    kind: str
    texts: Iterable[str]
    quoted: bool = True
    """Whether blanks and the like are quoted for a shell."""


class Offer:
    """The word that ends at the cursor, and the candidates for it."""

    def __init__(self, word: str, *candidates: Texts) -> None:
        self.word = word
        self._candidates: Sequence[Texts] = candidates

    def completions(self) -> list[SimpleCompletion]:
        """The candidates that begin with the word, quoted where need be."""
        bare = re.sub(r"['\"\\]", "", self.word)
        return [
            SimpleCompletion(_quoted(text) if each.quoted else text, type=each.kind)
            for each in self._candidates
            for text in each.texts
            if text.startswith(bare)
        ]


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    if text.startswith("~/"):
        return "~/" + quote(text[2:])  # a quoted ~ is no home folder
    return quote(text)
