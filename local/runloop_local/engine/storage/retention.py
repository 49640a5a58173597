"""Limits the data that is no longer needed: command output, records, build logs, cached build steps.

The functions of the first half decide what is removed, without I/O. `Retention` carries that out while the service
runs: when a kind of data exceeds its limit, and periodically for data that has become too old.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from ...sandbox.base import SandboxError
from ..errors import EngineError, of_machine
from ..ids import now_ms
from ..problems import tell
from .retention_limits import DEFAULTS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Collection

    from .retention_limits import Limit

_TARGET_SHARE = 0.9
"""The part of an exceeded limit down to which data is removed, so that not every new byte starts a removal."""
_PAUSE_S = 1.0
"""The pause between two checks."""
_FAILURES = (OSError, SandboxError, EngineError, RuntimeError)
"""Failures for one item, after which the others go on; Python raises RuntimeError if it cannot start a thread."""


class Item(msgspec.Struct, frozen=True):
    """Something that may be removed."""

    id: str
    time_ms: int
    """The time of last use."""
    parts: Mapping[str, int]
    """Its parts and their sizes in bytes. A part that items share is removed with the last of them."""
    live: bool = False
    """True if it belongs to a live devbox: then only as much as necessary is removed, and after all else."""


class Removal(msgspec.Struct, frozen=True):
    """An item to remove, or the number of bytes to remove at least from a live one."""

    item: Item
    bytes: int


def size_of(items: Iterable[Item]) -> int:
    """The total size of these items."""
    parts: dict[str, int] = {}
    for item in items:
        parts.update(item.parts)
    return sum(parts.values())


def choose_excess(items: Collection[Item], limit: Limit, now: int, fixed: int = 0) -> list[Removal]:
    """Choose what to remove: items that are too old, then the oldest ones beyond the size limit.

    The newest is never removed for its size. `fixed` bytes count, but cannot be removed. An item that would free
    nothing, as others share its parts, is removed only if it is too old.
    """
    found, left, total = [], _Parts(items), size_of(items) + fixed
    # Below the limit, or the next command's output would be an excess again.
    most = limit.bytes if total <= limit.bytes else int(limit.bytes * _TARGET_SHARE)
    ended = sorted((item for item in items if not item.live), key=_age)
    for item in ended:
        is_old = item.time_ms < now - limit.age_ms
        frees = left.without(item)
        if is_old or (total > most and frees and item is not ended[-1]):
            found.append(Removal(item, frees))
            left.remove(item)
            total -= frees
    for item in sorted((item for item in items if item.live), key=lambda item: -sum(item.parts.values())):
        bytes_ = min(total - most, sum(item.parts.values()))
        if bytes_ > 0:
            found.append(Removal(item, bytes_))
            total -= bytes_
    return found


def choose_unused(items: Collection[Item], before: int, *, live: bool) -> list[Removal]:
    """Choose all items last used before a time, whatever the limits; those of live devboxes only if `live` is set."""
    found, left = [], _Parts(items)
    for item in sorted(items, key=_age):
        if item.time_ms < before and (live or not item.live):
            found.append(Removal(item, left.without(item)))
            left.remove(item)
    return found


def _age(item: Item) -> tuple[int, int]:
    """Sort key: oldest first; at the same age, items that build on others first."""
    return item.time_ms, -len(item.parts)


class _Parts:
    """Counts the owners of parts while items are removed."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._owners = Counter(part for item in items for part in item.parts)

    def without(self, item: Item) -> int:
        """The bytes that only this item has."""
        return sum(bytes_ for part, bytes_ in item.parts.items() if self._owners[part] == 1)

    def remove(self, item: Item) -> None:
        self._owners.subtract(item.parts.keys())


class RetainedData(Protocol):
    """Provides and removes the data of one kind."""

    async def restore(self) -> None:
        """Find the data of earlier runs of the service."""

    def items(self) -> Collection[Item]:
        """The items that may be removed; from memory, without reading the disk."""

    def total(self) -> int:
        """The size of all data, removable or not; a running total, so that it costs nothing to ask."""

    async def remove(self, removal: Removal) -> int:
        """Carry out a removal; returns the bytes freed."""


class CombinedData:
    """The data of several owners, under one limit."""

    def __init__(self, *retained: RetainedData) -> None:
        self._retained = retained
        self._of: dict[str, RetainedData] = {}

    async def restore(self) -> None:
        """Find the data of earlier runs of the service."""
        for data in self._retained:
            await data.restore()

    def items(self) -> Collection[Item]:
        """The items of all; their ids must be distinct."""
        self._of = {item.id: data for data in self._retained for item in data.items()}
        return [item for data in self._retained for item in data.items()]

    def total(self) -> int:
        """The size of all."""
        return sum(data.total() for data in self._retained)

    async def remove(self, removal: Removal) -> int:
        """Carry out a removal from one of them; returns the bytes freed."""
        return await self._of[removal.item.id].remove(removal)


@dataclass(frozen=True, slots=True)
class Usage:
    """The size and limit of one kind."""

    bytes: int
    limit: Limit


class Retention:
    """Keeps each kind within its limit while the service runs."""

    def __init__(self, limits: Mapping[str, Limit] = DEFAULTS) -> None:
        self._limits = limits
        self._retained: dict[str, RetainedData] = {}
        self._grown = asyncio.Event()
        self._due: set[str] = set()
        """The kinds to check next."""
        self._working = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.problems: dict[str, str] = {}
        """Why items could not be removed, by kind."""

    def add(self, kind: str, data: RetainedData) -> None:
        """Register the data of a kind."""
        self._retained[kind] = data

    def start(self) -> None:
        """Start in the background, beginning with the data of earlier runs of the service."""
        self._task = asyncio.create_task(self._run())

    def notice(self, *kinds: str) -> None:
        """Note that these kinds have grown. It must be cheap, as it is called at the end of every command."""
        over = [kind for kind in kinds if self._retained[kind].total() > self._limits[kind].bytes]
        if over:
            self._due.update(over)
            self._grown.set()

    def usage(self) -> dict[str, Usage]:
        """The size and limit of each kind."""
        return {kind: Usage(data.total(), self._limits[kind]) for kind, data in self._retained.items()}

    async def prune(self, kinds: Collection[str], older_than_ms: int, *, live: bool) -> dict[str, int]:
        """Remove items not used for this long, whatever the limits; returns the bytes freed by kind."""
        before = now_ms() - older_than_ms + 1
        async with self._working:
            return {
                kind: await self._remove(kind, choose_unused(data.items(), before, live=live))
                for kind, data in self._retained.items()
                if kind in kinds
            }

    async def aclose(self) -> None:
        """Stop the background task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        async with self._working:
            # A kind that cannot be counted must not keep the others from being limited.
            for kind, data in self._retained.items():
                try:
                    await data.restore()
                except _FAILURES as error:
                    reason = of_machine(error) or error
                    tell(self.problems, kind, f"The {kind} of earlier runs of the service cannot be counted: {reason}")
        self._due.update(self._retained)
        while True:
            due = [kind for kind in self._retained if kind in self._due]
            # Cleared before the work, so that growth during it starts another round.
            self._due.clear()
            self._grown.clear()
            async with self._working:
                for kind in due:
                    await self._remove(kind, self._choose_excess(kind, self._retained[kind]))
            # At most one round a second: a command that prints without end makes each new byte an excess.
            await asyncio.sleep(_PAUSE_S)
            await self._wait_until_due()

    def _choose_excess(self, kind: str, data: RetainedData) -> list[Removal]:
        items = data.items()
        return choose_excess(items, self._limits[kind], now_ms(), data.total() - size_of(items))

    async def _wait_until_due(self) -> None:
        """Wait until a kind exceeds its limit, or items may have become too old."""
        shortest = min((limit.age_ms for limit in self._limits.values()), default=HOUR_MS)
        try:
            async with asyncio.timeout(min(max(shortest / 10, 1000), HOUR_MS) / 1000):
                await self._grown.wait()
        except TimeoutError:
            self._due.update(self._retained)

    async def _remove(self, kind: str, removals: Iterable[Removal]) -> int:
        freed, problem = 0, None
        for removal in removals:
            try:
                freed += await self._retained[kind].remove(removal)
            except _FAILURES as error:
                reason = of_machine(error) or error
                problem = f"Of the {kind} that are no longer kept, {removal.item.id} cannot be removed: {reason}"
        if problem is None:
            self.problems.pop(kind, None)
        else:
            tell(self.problems, kind, problem)
        return freed
