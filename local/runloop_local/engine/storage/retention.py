"""How much is kept of what nothing needs any more: what commands printed, records, logs of builds, cached steps.

The first half decides and does nothing: what goes, given what there is and the limits. `Retention` carries that out
while the service runs: when something has grown past its limit, and now and then for what has become too old.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...sandbox.base import SandboxError
from ..errors import EngineError, of_machine
from ..ids import now_ms
from ..problems import tell
from .retention_limits import DEFAULTS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Collection

    from .retention_limits import Limit

_ROOM = 0.9
"""Down to this part of its limit goes what has grown past it, so that not every further byte is an occasion."""
_PAUSE_S = 1.0
"""Between two looks at all that there is."""
_FAILURES = (OSError, SandboxError, EngineError, RuntimeError)
"""What may go wrong with one thing, and the rest goes on; the last is what Python raises where no thread can be had."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that may go."""

    id: str
    time_ms: int
    """When it was of use last."""
    parts: Mapping[str, int]
    """What it is made of, and the bytes of that. What items share goes with the last of them."""
    live: bool = False
    """Whether it belongs to what lives: then only so much of it goes as has to, and after all else."""


@dataclass(frozen=True, slots=True)
class Removal:
    """An item that is to go, or the bytes that at least are to go of a live one."""

    item: Item
    bytes: int


def size_of(items: Iterable[Item]) -> int:
    """The bytes of these items together."""
    parts: dict[str, int] = {}
    for item in items:
        parts.update(item.parts)
    return sum(parts.values())


def excess(items: Collection[Item], limit: Limit, now: int, fixed: int = 0) -> list[Removal]:
    """What is to go: what is too old, then the oldest of what is too much; never, for its size, what came last.

    `fixed` bytes count and cannot go. What frees nothing, as another item has the same parts, stays for as long as it
    is not too old.
    """
    found, left, total = [], _Parts(items), size_of(items) + fixed
    most = limit.bytes if total <= limit.bytes else int(limit.bytes * _ROOM)
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


def unneeded(items: Collection[Item], before: int, *, live: bool) -> list[Removal]:
    """All that was of use last before a time, whatever the limits; what belongs to what lives only where asked for."""
    found, left = [], _Parts(items)
    for item in sorted(items, key=_age):
        if item.time_ms < before and (live or not item.live):
            found.append(Removal(item, left.without(item)))
            left.remove(item)
    return found


def _age(item: Item) -> tuple[int, int]:
    """The oldest first; of the same age, those that stand on others first."""
    return item.time_ms, -len(item.parts)


class _Parts:
    """The parts of items, of which some go."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._owners = Counter(part for item in items for part in item.parts)

    def without(self, item: Item) -> int:
        """The bytes that nothing else has."""
        return sum(bytes_ for part, bytes_ in item.parts.items() if self._owners[part] == 1)

    def remove(self, item: Item) -> None:
        self._owners.subtract(item.parts.keys())


class Keeper(Protocol):
    """One kind of what is kept."""

    async def restore(self) -> None:
        """Learn what earlier services have left."""

    def items(self) -> Collection[Item]:
        """What may go, with what is known of it: nothing is looked up on disk."""

    def total(self) -> int:
        """The bytes of all that there is, also of what may not go: known, not added up."""

    async def remove(self, removal: Removal) -> int:
        """Remove it; the bytes that this has freed."""


class Together:
    """Several that are kept within one limit, as one."""

    def __init__(self, *keepers: Keeper) -> None:
        self._keepers = keepers
        self._of: dict[str, Keeper] = {}

    async def restore(self) -> None:
        """Learn what earlier services have left."""
        for keeper in self._keepers:
            await keeper.restore()

    def items(self) -> Collection[Item]:
        """What may go of all; no two have items of one id."""
        self._of = {item.id: keeper for keeper in self._keepers for item in keeper.items()}
        return [item for keeper in self._keepers for item in keeper.items()]

    def total(self) -> int:
        """The bytes of all."""
        return sum(keeper.total() for keeper in self._keepers)

    async def remove(self, removal: Removal) -> int:
        """Remove an item of one of them; the bytes that this has freed."""
        return await self._of[removal.item.id].remove(removal)


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a kind there is, and may be."""

    bytes: int
    limit: Limit


class Retention:
    """Keeps each kind within its limit while the service runs."""

    def __init__(self, limits: Mapping[str, Limit] = DEFAULTS) -> None:
        self._limits = limits
        self._keepers: dict[str, Keeper] = {}
        self._grown = asyncio.Event()
        self._due: set[str] = set()
        """The kinds to look at next."""
        self._working = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.problems: dict[str, str] = {}
        """Kinds of which something could not be removed, and why."""

    def add(self, kind: str, keeper: Keeper) -> None:
        """Look after one more kind."""
        self._keepers[kind] = keeper

    def start(self) -> None:
        """Begin, in the background, with what earlier services have left."""
        self._task = asyncio.create_task(self._run())

    def notice(self, *kinds: str) -> None:
        """These kinds have grown. Costs next to nothing: this is called at the end of every command."""
        over = [kind for kind in kinds if self._keepers[kind].total() > self._limits[kind].bytes]
        if over:
            self._due.update(over)
            self._grown.set()

    def usage(self) -> dict[str, Usage]:
        """Each kind's size and limit."""
        return {kind: Usage(keeper.total(), self._limits[kind]) for kind, keeper in self._keepers.items()}

    async def prune(self, kinds: Collection[str], older_than_ms: int, *, live: bool) -> dict[str, int]:
        """Remove what was of use last so long ago, whatever the limits; the bytes freed of each kind."""
        before = now_ms() - older_than_ms + 1
        async with self._working:
            return {
                kind: await self._remove(kind, unneeded(keeper.items(), before, live=live))
                for kind, keeper in self._keepers.items()
                if kind in kinds
            }

    async def aclose(self) -> None:
        """Remove nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        async with self._working:
            for kind, keeper in self._keepers.items():
                try:
                    await keeper.restore()
                except _FAILURES as error:
                    reason = of_machine(error) or error
                    tell(self.problems, kind, f"The {kind} of earlier services cannot be counted: {reason}")
        self._due.update(self._keepers)
        while True:
            due = [kind for kind in self._keepers if kind in self._due]
            self._due.clear()
            self._grown.clear()
            async with self._working:
                for kind in due:
                    await self._remove(kind, self._excess(kind, self._keepers[kind]))
            await asyncio.sleep(_PAUSE_S)
            await self._occasion()

    def _excess(self, kind: str, keeper: Keeper) -> list[Removal]:
        items = keeper.items()
        return excess(items, self._limits[kind], now_ms(), keeper.total() - size_of(items))

    async def _occasion(self) -> None:
        """Wait until something has grown past its limit, or may have become too old."""
        shortest = min((limit.age_ms for limit in self._limits.values()), default=HOUR_MS)
        try:
            async with asyncio.timeout(min(max(shortest / 10, 1000), HOUR_MS) / 1000):
                await self._grown.wait()
        except TimeoutError:
            self._due.update(self._keepers)

    async def _remove(self, kind: str, removals: Iterable[Removal]) -> int:
        freed, problem = 0, None
        for removal in removals:
            try:
                freed += await self._keepers[kind].remove(removal)
            except _FAILURES as error:
                reason = of_machine(error) or error
                problem = f"Of the {kind} that are no longer kept, {removal.item.id} cannot be removed: {reason}"
        if problem is None:
            self.problems.pop(kind, None)
        else:
            tell(self.problems, kind, problem)
        return freed
