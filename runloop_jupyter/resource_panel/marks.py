"""The words on rows: what is being done to a resource, or what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ..widgets.protocol.panel import Mark


class Marks:
    """One mark for each row that has one. `post` sends those that change; `exists` tells rows that are still there."""

    def __init__(self, post: Callable[[list[Mark]], None], exists: Callable[[str, str], bool]) -> None:
        self._post = post
        self._exists = exists
        self._marks: dict[tuple[str, str], Mark] = {}
        self._unsent: dict[tuple[str, str], Mark] = {}

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def all(self) -> list[Mark]:
        """Those that there are."""
        return list(self._marks.values())

    def set(self, kind: str, identity: str, *, doing: str = "", error: str = "") -> None:
        """Put a mark on a row; without words take it away."""
        key, mark = (kind, identity), Mark(kind, identity, doing, error)
        has_words = bool(doing or error)
        if not has_words and key not in self._marks:
            return
        self._marks.pop(key, None)
        if has_words and self._exists(kind, identity):
            self._marks[key] = mark
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent[key] = mark

    def forget(self, kind: str, ids: Iterable[str]) -> None:
        """Forget the marks of rows that are gone."""
        for identity in ids:
            self._marks.pop((kind, identity), None)

    def _send(self) -> None:
        """Send the changes of one moment in one message: a notebook server drops what comes in thousands."""
        marks, self._unsent = self._unsent, {}
        self._post(list(marks.values()))
