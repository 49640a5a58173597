"""The names that completion offers, as they were when last seen."""

from __future__ import annotations

import time
from collections.abc import Iterable

_FRESH = 10.0  # seconds


class NameCache:
    """Names by kind, as "devbox" and "blueprint" are, or by the question that they answer."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None]] = {}  # dicts keep the order in which they came
        self._seen: dict[str, float] = {}

    def __getitem__(self, kind: str) -> tuple[str, ...]:
        return tuple(self._names.get(kind, ()))

    def is_fresh(self, kind: str) -> bool:
        """Return True if all names of a kind were looked up lately."""
        return time.monotonic() - self._seen.get(kind, -_FRESH) < _FRESH

    def keep(self, kind: str, names: Iterable[str]) -> None:
        """These are all names of a kind."""
        self._names[kind] = dict.fromkeys(names)
        self._seen[kind] = time.monotonic()

    def add(self, kind: str, name: str) -> None:
        """There is this name as well, and it is the likeliest now."""
        self._names[kind] = {name: None, **self._names.get(kind, {})}

    def forget(self) -> None:
        """Forget all names: they may have changed."""
        self._names.clear()
        self._seen.clear()

    def drop(self, kind: str, name: str) -> None:
        """There is no such name any more."""
        self._names.get(kind, {}).pop(name, None)
