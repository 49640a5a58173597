"""Caches the steps of builds, for later builds to start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...sandbox.base import is_image
from ..ids import now_ms
from ..storage.records import Record, body_of, loader
from ..storage.retention import Item
from ..storage.store import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..storage.layers import Layers
    from ..storage.retention import Removal
    from ..storage.store import Store

KIND = "cached_step"
HOLDER = "step/"
"""How the names begin by which steps hold layers."""
_TOUCH_MS = 3600 * 1000
"""The minimum interval between updates of a step's time of last use."""


@dataclass(frozen=True, slots=True)
class CachedStep(Record):
    """The disk after a step."""

    key: str
    """The cache key."""
    layers: tuple[str, ...]
    used_ms: int
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The sizes of the layers that were new with it, in bytes."""


class BuildCache:
    """The cached steps by key; `Retention` limits them."""

    def __init__(self, store: Store, layers: Layers, grown: Callable[[], None]) -> None:
        self._store = store
        self._layers = layers
        self._grown = grown
        self._steps: dict[str, CachedStep] = {}
        self._owners: Counter[str] = Counter()  # layer -> number of steps that have it
        self._sizes: dict[str, int] = {}
        """The known sizes of layers of steps that are on disk."""
        self._counted: dict[str, int] = {}
        """The sizes of layers that only steps hold."""
        self._total = 0
        layers.watch(self._update_total)

    async def load(self) -> None:
        """Load the steps of earlier builds, and hold their layers."""
        await self._store.delete_before("build_step", now_ms())  # of the first version, which did not store keys
        for step in await self._store.records(KIND, loader(CachedStep)):
            self._add_step(step)
        self._forget_sizes(self._layers.missing(self._owners))

    def find(self, key: str) -> CachedStep | None:
        """The step with this key, if its disk exists; its layers must be held before the next await."""
        step = self._steps.get(key)
        missing = self._layers.missing(() if step is None else step.layers)
        self._forget_sizes(missing)
        return None if missing else step

    async def touch(self, step: CachedStep) -> None:
        """Update a step's time of last use."""
        if step.used_ms < now_ms() - _TOUCH_MS:
            await self._keep(replace(step, used_ms=now_ms()))

    async def add(self, key: str, layers: tuple[str, ...]) -> None:
        """Add a step."""
        new = [layer for layer in _own(layers) if layer not in self._sizes]
        await self._keep(CachedStep(key, layers, now_ms(), await self._measure(new)))

    async def restore(self) -> None:
        """Measure layers whose sizes are unknown, because they were new with a step that was forgotten."""
        for step in list(self._steps.values()):
            unknown = {layer for layer in _own(step.layers) if layer not in self._sizes}
            sizes = await self._measure(unknown - self._layers.missing(unknown))
            # It may have been removed, or used and so replaced, while its layers were measured.
            if sizes and self._steps.get(step.key) is step:
                await self._keep(replace(step, sizes={**step.sizes, **sizes}))

    def items(self) -> list[Item]:
        """The steps. The age of one is that of the last use of any step built on it."""
        used: dict[str, int] = {}
        for step in self._steps.values():
            for layer in step.layers:
                used[layer] = max(used.get(layer, 0), step.used_ms)
        return [Item(step.key, used[step.layers[0]], self._parts(step)) for step in self._steps.values()]

    def total(self) -> int:
        """The size of all layers that only steps hold."""
        return self._total

    async def remove(self, removal: Removal) -> int:
        """Delete a step; its layers are removed once nothing else holds them."""
        # The record first: a kill in between leaves layers that nobody holds, which the next sweep removes.
        await self._store.delete(KIND, removal.item.id)
        self._forget(removal.item.id)
        return removal.bytes

    async def _keep(self, step: CachedStep) -> None:
        self._add_step(step)
        await self._store.put(Document(KIND, step.key, body_of(step), time_ms=step.used_ms))

    async def _measure(self, layers: Iterable[str]) -> dict[str, int]:
        return {layer: await self._layers.bytes_of(layer) for layer in layers}

    def _add_step(self, step: CachedStep) -> None:
        before = self._steps.get(step.key)
        self._steps[step.key] = step
        # The new owners before the old ones go: a layer of both must not count as forgotten in between.
        self._owners.update(step.layers)
        self._sizes.update(step.sizes)
        self._remove_owner(() if before is None else before.layers)
        self._layers.hold(f"{HOLDER}{step.key}", step.layers)

    def _forget(self, key: str) -> None:
        self._remove_owner(self._steps.pop(key).layers)
        self._layers.release(f"{HOLDER}{key}")

    def _remove_owner(self, layers: Iterable[str]) -> None:
        """Decrement the owners of these layers."""
        for layer in layers:
            self._owners[layer] -= 1
            if not self._owners[layer]:
                del self._owners[layer]
                self._sizes.pop(layer, None)

    def _forget_sizes(self, layers: Iterable[str]) -> None:
        """Forget the sizes of layers that are not on disk."""
        for layer in layers:
            self._sizes.pop(layer, None)
        self._update_total(layers)

    def _update_total(self, layers: Iterable[str]) -> None:
        """Update the total for layers whose holders have changed."""
        before = self._total
        for layer in layers:
            self._total -= self._counted.pop(layer, 0)
            if layer in self._sizes and self._layers.holders(layer) == self._owners[layer]:
                self._counted[layer] = self._sizes[layer]
                self._total += self._sizes[layer]
        if self._total > before:
            self._grown()

    def _parts(self, step: CachedStep) -> dict[str, int]:
        return {layer: self._counted.get(layer, 0) for layer in step.layers}


def _own(layers: Iterable[str]) -> list[str]:
    """Those that steps have made: layers of images count as images."""
    return [layer for layer in layers if not is_image((layer,))]
