"""Notes for the user about the service's data, for its log and for `runloop-local status`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG = logging.getLogger(__name__)
_SHOWN = 5


class Notes:
    """Sentences by subject; each is logged when it is new."""

    def __init__(self) -> None:
        self._sentences: dict[tuple[str, ...], str] = {}

    def add(self, sentence: str, *about: str) -> None:
        """Add or replace the note on a subject."""
        if self._sentences.get(about) != sentence:
            self._sentences[about] = sentence
            _LOG.warning(sentence)

    def unowned(self, names: Sequence[str], what: str, where: str) -> None:
        """Note that files which belong to no record are kept."""
        if names:
            count = f"One {what}" if len(names) == 1 else f"{len(names)} {what}s"
            shown = ", ".join(sorted(names)[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            sentence = (
                f"{count} {where} that service.db does not know {'is' if len(names) == 1 else 'are'} kept: {shown}."
            )
            self.add(f"{sentence} Delete what you do not need.", "unowned", what)
        else:
            self.remove("unowned", what)

    def remove(self, *about: str) -> None:
        """Remove the note on a subject."""
        self._sentences.pop(about, None)

    def about(self, *kind: str) -> list[tuple[str, ...]]:
        """The subjects of notes that begin with `kind`."""
        return [about for about in list(self._sentences) if about[: len(kind)] == kind]

    def sentences(self) -> tuple[str, ...]:
        """All notes, oldest first; only some if there are very many of one kind."""
        return tuple(
            sentence for kind in dict.fromkeys(about[0] for about in self._sentences) for sentence in self._of(kind)
        )

    def _of(self, kind: str) -> list[str]:
        found = [sentence for about, sentence in self._sentences.items() if about[0] == kind]
        more = f"The service's log has {len(found) - _SHOWN} more notes like these."
        return found if len(found) <= _SHOWN else [*found[:_SHOWN], more]
