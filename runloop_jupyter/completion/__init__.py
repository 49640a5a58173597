"""Completion of %runloop and %devbox lines and of the cells below them, as IPython's matcher API has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion

from .cells import complete_cell
from .lines import complete_line
from .lookups import Lookups

if TYPE_CHECKING:
    from IPython.core.completer import SimpleMatcherResult

    from ..session import Session

__all__ = ["Completer"]


class Completer:
    """Completes the text at the cursor; `variables` gives the notebook's names, `snippets` whole lines."""

    def __init__(
        self, session: Session, variables: Callable[[], Iterable[str]], snippets: Callable[[], Sequence[str]]
    ) -> None:
        self._lookups = Lookups(session, variables, snippets)

    def complete(self, text: str, cell: str = "") -> SimpleMatcherResult:
        """The completions for a line up to the cursor, in a cell; none for Python, which others complete."""
        offer = complete_line(self._lookups, text) or complete_cell(self._lookups, text, cell)
        if offer is None:
            return {"completions": [], "suppress": False}
        found = offer.completions()
        if not found and offer.word:
            # IPython asks its other matchers where this one finds nothing, and they offer Python: let the word stand
            found = [SimpleCompletion(offer.word, type="")]
        return {"completions": found, "matched_fragment": offer.word, "suppress": bool(found)}
