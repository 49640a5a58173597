"""The layers that snapshots and blueprints made, kept for as long as anything stands on them."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..sandbox.base import Isolation
    from .store import Store

KINDS = ("snapshot", "blueprint", "build_step")
"""The documents whose body names `layers`."""


class Layers:
    """Counts who needs which layer, and removes what nobody does."""

    def __init__(self, isolation: Isolation, store: Store) -> None:
        self._isolation = isolation
        self._store = store
        self._held: Counter[str] = Counter()
        self._holders: list[Callable[[], Iterable[str]]] = []
        self._sweeping: asyncio.Task[None] | None = None
        self._again = False
        self.choosing = asyncio.Lock()
        """Held from the moment that layers are looked up until who stands on them is known."""

    @staticmethod
    def fresh() -> str:
        """A name for a new layer: short, as many of them must fit into one mount."""
        return f"l{secrets.token_hex(6)}"

    def add_holder(self, holder: Callable[[], Iterable[str]]) -> None:
        """Ask `holder` too which layers are needed."""
        self._holders.append(holder)

    @contextmanager
    def held(self, layers: Iterable[str]) -> Iterator[None]:
        """Need these layers meanwhile."""
        names = tuple(layers)
        self._held.update(names)
        try:
            yield
        finally:
            self._held.subtract(names)

    def exist(self, layers: Iterable[str]) -> bool:
        """Whether all of these are on disk."""
        return self._isolation.layers().issuperset(layers)

    def sweep_soon(self) -> None:
        """Remove in the background what is no longer needed."""
        self._again = True
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep_all())

    async def aclose(self) -> None:
        """Wait for what is being removed."""
        self._again = False
        if self._sweeping is not None:
            await asyncio.wait({self._sweeping})

    async def _sweep_all(self) -> None:
        while self._again:
            self._again = False
            for layer in await self._unused():
                await self._isolation.remove_layer(layer)

    async def _unused(self) -> frozenset[str]:
        if not self._isolation.layers():
            return frozenset()
        async with self.choosing:
            kept = set[str]()
            for kind in KINDS:
                kept |= await self._store.values(kind, "layers")
            kept |= {name for name, count in self._held.items() if count}
            kept |= {name for holder in self._holders for name in holder()}
            # What is being made for a layer has its name with an ending.
            unused = self._isolation.layers() - self._isolation.used_layers() - kept
            return frozenset(name for name in unused if name.partition(".")[0] not in kept)
