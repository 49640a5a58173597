"""The completions of a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from IPython.core.completer import SimpleCompletion

from ..text.quoting import as_word, is_typable


@dataclass(frozen=True, slots=True)
class Texts:
    """Candidates of one kind, which front ends show beside each."""

    kind: str
    texts: Iterable[str]
    quoted: bool = True
    """True if they are names, which are quoted where need be, and not words of ours."""


class Offer:
    """The word that ends at the cursor, and the candidates for it."""

    def __init__(self, word: str, *candidates: Texts) -> None:
        self.word = word
        self._candidates: Sequence[Texts] = candidates

    def completions(self) -> list[SimpleCompletion]:
        """The candidates that begin with the word, quoted where need be; none that would be read as something else."""
        bare = re.sub(r"['\"\\]", "", self.word)
        return [
            SimpleCompletion(as_word(text) if each.quoted else text, type=each.kind)
            for each in self._candidates
            for text in each.texts
            if text.startswith(bare) and (not each.quoted or is_typable(text))
        ]
