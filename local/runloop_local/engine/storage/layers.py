"""Reference-counts the layers of snapshots and blueprints, and removes those without users."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...sandbox.base import SandboxError
from ..errors import EngineError, of_machine
from ..problems import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ...sandbox.base import Isolation
    from .layer_register import LayerRegister

_SWEEP = "*"
"""Stands for all layers in `problems`."""


class Layers:
    """Tracks the holders of layers, and removes layers that have none.

    A holder is a snapshot, a blueprint, a cached step or a devbox, identified by a unique name. All must be registered
    before `start`; nothing is removed earlier.
    """

    def __init__(self, isolation: Isolation, register: LayerRegister | None = None) -> None:
        self._isolation = isolation
        self._register = register
        self._layers_of: dict[str, tuple[str, ...]] = {}
        self._holders: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._sweeping: asyncio.Task[None] | None = None
        self._sweep_again = False
        self._is_started = False
        self._watch: Callable[[Iterable[str]], None] = lambda _: None
        self.problems: dict[str, str] = {}
        """Why unused layers could not be removed, or found."""
        self.choosing = asyncio.Lock()
        """Held from looking up layers until their new holder is registered, so that they are not removed between."""

    @staticmethod
    def fresh() -> str:
        """A name for a new layer; short, as many must fit into the options of a mount."""
        return f"l{secrets.token_hex(6)}"

    async def restore(self) -> None:
        """Register the layers of earlier versions."""
        if self._register is not None:
            await self._register.restore(self._isolation.layers())

    async def announce(self, layer: str) -> None:
        """Register a layer that is about to be created; unregistered layers are never removed."""
        if self._register is not None:
            await self._register.announce(layer)

    def start(self) -> None:
        """Start to remove unused layers."""
        self._is_started = True
        self.sweep_soon()

    def watch(self, changed: Callable[[Iterable[str]], None]) -> None:
        """Call `changed` with the layers whose holders have changed."""
        self._watch = changed

    def hold(self, holder: str, layers: Iterable[str]) -> None:
        """Set the layers that `holder` uses, replacing those that it used before."""
        before, self._layers_of[holder] = self._layers_of.get(holder, ()), tuple(layers)
        # Added before the former ones are taken away: what a holder keeps is never without a holder.
        self._holders.update(self._layers_of[holder])
        self._holders.subtract(before)
        self._watch({*before, *self._layers_of[holder]})

    def release(self, holder: str) -> None:
        """Release all layers of `holder`."""
        if holder in self._layers_of:
            before = self._layers_of.pop(holder)
            self._holders.subtract(before)
            self._watch(before)
            self.sweep_soon()

    @contextmanager
    def held(self, layers: Iterable[str]) -> Iterator[None]:
        """Hold these layers during the block."""
        holder = f"meanwhile/{next(self._numbers)}"
        self.hold(holder, layers)
        try:
            yield
        finally:
            self.release(holder)

    def holders(self, layer: str) -> int:
        """The number of holders."""
        return self._holders[layer]

    def missing(self, layers: Iterable[str]) -> frozenset[str]:
        """The layers that are not on disk."""
        return frozenset(layers) - self._isolation.layers() - self._isolation.lowest_layers()

    async def in_use(self, *, besides: str) -> frozenset[str]:
        """The layers that disks stand on, or that have a holder whose name does not begin with `besides`."""
        on_disk = await asyncio.to_thread(self._isolation.used_layers)
        holders = [layers for holder, layers in self._layers_of.items() if not holder.startswith(besides)]
        return on_disk.union(*holders)

    async def bytes_of(self, layer: str) -> int:
        """The size of a layer on disk. The time grows with the number of files."""
        return await self._isolation.layer_bytes(layer)

    def sweep_soon(self) -> None:
        """Remove unused layers in the background."""
        # One at a time: a sweep that is under way looks once more, as it may have passed what was just released.
        self._sweep_again = self._is_started
        if self._is_started and (self._sweeping is None or self._sweeping.done()):
            self._sweeping = asyncio.create_task(self._sweep_until_clean())

    async def sweep(self) -> None:
        """Remove unused layers, and wait until that is done."""
        self.sweep_soon()
        if self._sweeping is not None:
            await asyncio.wait({self._sweeping})

    async def aclose(self) -> None:
        """Stop removing layers; waits for one in progress."""
        self._sweep_again = self._is_started = False
        if self._sweeping is not None:
            await asyncio.wait({self._sweeping})

    async def _sweep_until_clean(self) -> None:
        while self._sweep_again:
            self._sweep_again = False
            try:
                await self._sweep()
                self.problems.pop(_SWEEP, None)
            except (SandboxError, EngineError, OSError, RuntimeError) as error:
                reason = of_machine(error) or error
                tell(self.problems, _SWEEP, f"Unused layers cannot be found: {reason}")

    async def _sweep(self) -> None:
        unused = await self._unused()
        unknown = set[str]() if self._register is None else await self._register.unknown(unused)
        removed = [layer for layer in unused if layer not in unknown]
        # A failure of one is told, and leaves the others to go: a disk may be full of layers.
        for layer in removed:
            await self._remove(layer)
        if self._register is not None and removed:
            # Last: a layer that could not be removed is on disk still, and must stay known for the next sweep.
            await self._register.forget(removed, self._isolation.layers())

    async def _unused(self) -> list[str]:
        async with self.choosing:
            # In this order, a layer that is created or reused meanwhile is either not listed yet, or has a holder.
            on_disk, used = await asyncio.to_thread(self._list_layers)
            # A layer that is being created for another has its name with a suffix.
            return [
                name
                for name in sorted(on_disk - used)
                if not self._holders[name] and not self._holders[name.partition(".")[0]]
            ]

    def _list_layers(self) -> tuple[frozenset[str], frozenset[str]]:
        on_disk = self._isolation.layers()
        return on_disk, self._isolation.used_layers() if on_disk else frozenset()

    async def _remove(self, layer: str) -> None:
        try:
            await self._isolation.remove_layer(layer)
            self.problems.pop(layer, None)
        except SandboxError as error:
            tell(self.problems, layer, f"The unused layer {layer} cannot be removed: {error}")
