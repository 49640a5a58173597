"""What a person should know about the service's data: sentences for its log and for `runloop-local status`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG = logging.getLogger(__name__)
_SHOWN = 5


class Notes:
    """Sentences by what they are about, each logged when it is new."""

    def __init__(self) -> None:
        self._sentences: dict[tuple[str, ...], str] = {}

    def add(self, sentence: str, *about: str) -> None:
        """Say this of something from now on."""
        if self._sentences.get(about) != sentence:
            self._sentences[about] = sentence
            _LOG.warning(sentence)

    def unowned(self, names: Sequence[str], what: str, where: str) -> None:
        """Say of things that no record knows that they are kept."""
        if names:
            count = f"One {what}" if len(names) == 1 else f"{len(names)} {what}s"
            shown = ", ".join(sorted(names)[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            sentence = (
                f"{count} {where} that service.db does not know {'is' if len(names) == 1 else 'are'} kept: {shown}."
            )
            self.add(f"{sentence} Delete what nobody needs.", "unowned", what)
        else:
            self.remove("unowned", what)

    def remove(self, *about: str) -> None:
        """It is no longer so."""
        self._sentences.pop(about, None)

    def about(self, *kind: str) -> list[tuple[str, ...]]:
        """Of what there is something to say that begins with `kind`."""
        return [about for about in list(self._sentences) if about[: len(kind)] == kind]

    def sentences(self) -> tuple[str, ...]:
        """The oldest first; of very many of one kind only some."""
        return tuple(
            sentence for kind in dict.fromkeys(about[0] for about in self._sentences) for sentence in self._of(kind)
        )

    def _of(self, kind: str) -> list[str]:
        found = [sentence for about, sentence in self._sentences.items() if about[0] == kind]
        more = f"The service's log has {len(found) - _SHOWN} more notes like these."
        return found if len(found) <= _SHOWN else [*found[:_SHOWN], more]
