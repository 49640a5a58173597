"""Cache mounts: folders that build steps mount and that persist between builds (`RUN --mount=type=cache`)."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..ids import now_ms
from ..storage.retention import Item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable

    from ...sandbox.base import Caches
    from ..storage.retention import Removal
    from .run_mounts import Sharing


class CacheMounts:
    """The folders of cache mounts; `Retention` limits them.

    There may be several folders of one id: as many as steps have used exclusively at the same time.
    """

    def __init__(self, folders: Caches | None, grown: Callable[[], None]) -> None:
        self.folders = folders
        self._grown = grown
        self._kept: dict[str, Item] = {}
        self._users: Counter[str] = Counter()
        self._exclusive: set[str] = set()
        """Folders that a step uses exclusively."""
        self._changed = asyncio.Condition()

    async def restore(self) -> None:
        """Measure the folders on disk."""
        if self.folders is not None:
            for name, used_ms in self.folders.used().items():
                if not self._users[name]:
                    await self._count(name, used_ms)

    def items(self) -> Collection[Item]:
        """The folders that are not in use."""
        return [item for name, item in self._kept.items() if not self._users[name]]

    def total(self) -> int:
        """The size of all folders after their last use."""
        return sum(map(self._bytes, self._kept))

    async def remove(self, removal: Removal) -> int:
        """Delete a folder unless it is in use again; returns the bytes freed."""
        name = removal.item.id
        if self.folders is None or self._users[name]:
            return 0
        self._take(name, exclusive=True)  # so that no step takes it while it is being deleted
        try:
            freed = self._bytes(name)
            await self.folders.remove(name)
            self._kept.pop(name, None)
            return freed
        finally:
            await self._release(name)

    @asynccontextmanager
    async def use(self, id_: str, sharing: Sharing, waits: Callable[[], None]) -> AsyncIterator[str]:
        """Use a folder of this id; yields its name. Calls `waits` if the step has to wait for another."""
        name = await self._choose(id_, sharing, waits)
        try:
            if self.folders is not None:
                self.folders.touch(name)
            yield name
        finally:
            try:
                if self.folders is not None:
                    self.folders.touch(name)
                await self._count(name, now_ms())
            finally:
                await self._release(name)
                self._grown()

    def bytes_of(self, names: Iterable[str]) -> int:
        """The size of these folders after their last use."""
        return sum(map(self._bytes, names))

    async def _choose(self, id_: str, sharing: Sharing, waits: Callable[[], None]) -> str:
        name = self._first_available(id_, sharing)
        if name is None:
            waits()
        async with self._changed:
            while (name := self._first_available(id_, sharing)) is None:
                await self._changed.wait()
            self._take(name, exclusive=sharing != "shared")
            return name

    def _first_available(self, id_: str, sharing: Sharing) -> str | None:
        """The first folder that a step may use; None if it has to wait."""
        base = hashlib.sha256(id_.encode()).hexdigest()[:32]
        names = (f"{base}-{number}" for number in itertools.count())
        if sharing == "shared":
            return next(name for name in names if name not in self._exclusive)
        if sharing == "private":
            return next(name for name in names if not self._users[name])
        return None if self._users[f"{base}-0"] else f"{base}-0"

    def _take(self, name: str, *, exclusive: bool) -> None:
        self._users[name] += 1
        if exclusive:
            self._exclusive.add(name)

    async def _release(self, name: str) -> None:
        self._users[name] -= 1
        self._exclusive.discard(name)
        async with self._changed:
            self._changed.notify_all()

    async def _count(self, name: str, used_ms: int) -> None:
        if self.folders is not None:
            self._kept[name] = Item(name, used_ms, {name: await self.folders.bytes_of(name)})

    def _bytes(self, name: str) -> int:
        item = self._kept.get(name)
        return 0 if item is None else item.parts[name]
