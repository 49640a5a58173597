"""The target of a command's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..text.json_values import MimeBundle

if TYPE_CHECKING:
    from ..output.transcript import Stream


class Sink(Protocol):
    """Takes the output of a command while it runs."""

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of text."""

    def display(self, bundle: MimeBundle, *, display_id: str = "", update: bool = False) -> None:
        """Take something to show by MIME types, or with `update` in the place of what has this id."""

    def clear(self, *, wait: bool) -> None:
        """Remove what is shown so far."""
