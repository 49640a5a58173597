"""The layers that snapshots and blueprints made, kept for as long as anything stands on them."""

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
"""What stands for all layers where problems are told."""


class Layers:
    """Knows who needs which layer, and removes what nobody does.

    Whoever needs layers says so by a name of its own: a snapshot, a blueprint, a cached step, a devbox. All of them
    have to have said so before `start`; nothing is removed earlier.
    """

    def __init__(self, isolation: Isolation, register: LayerRegister | None = None) -> None:
        self._isolation = isolation
        self._register = register
        self._needs: dict[str, tuple[str, ...]] = {}
        self._holders: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._sweeping: asyncio.Task[None] | None = None
        self._again = False
        self._is_started = False
        self._watch: Callable[[Iterable[str]], None] = lambda _: None
        self.problems: dict[str, str] = {}
        """Layers that nobody needs and that could not be removed, and why; or why nobody knows which."""
        self.choosing = asyncio.Lock()
        """Held from the moment that layers are looked up until whoever stands on them has said so."""

    @staticmethod
    def fresh() -> str:
        """A name for a new layer: short, as many of them must fit into one mount."""
        return f"l{secrets.token_hex(6)}"

    async def restore(self) -> None:
        """Know the layers of earlier versions."""
        if self._register is not None:
            await self._register.restore(self._isolation.layers())

    async def announce(self, layer: str) -> None:
        """Note that a layer is about to be made. One that was never announced is not removed."""
        if self._register is not None:
            await self._register.announce(layer)

    def start(self) -> None:
        """Begin to remove what nobody needs."""
        self._is_started = True
        self.sweep_soon()

    def watch(self, changed: Callable[[Iterable[str]], None]) -> None:
        """Call `changed` with the layers that something has begun to need, or needs no more."""
        self._watch = changed

    def hold(self, holder: str, layers: Iterable[str]) -> None:
        """`holder` needs these layers, and no longer those that it needed before."""
        before, self._needs[holder] = self._needs.get(holder, ()), tuple(layers)
        self._holders.update(self._needs[holder])
        self._holders.subtract(before)
        self._watch({*before, *self._needs[holder]})

    def release(self, holder: str) -> None:
        """`holder` needs none any more."""
        if holder in self._needs:
            before = self._needs.pop(holder)
            self._holders.subtract(before)
            self._watch(before)
            self.sweep_soon()

    @contextmanager
    def held(self, layers: Iterable[str]) -> Iterator[None]:
        """Need these layers meanwhile."""
        holder = f"meanwhile/{next(self._numbers)}"
        self.hold(holder, layers)
        try:
            yield
        finally:
            self.release(holder)

    def holders(self, layer: str) -> int:
        """How many need it."""
        return self._holders[layer]

    def missing(self, layers: Iterable[str]) -> frozenset[str]:
        """Those of these that are not on disk."""
        return frozenset(layers) - self._isolation.layers()

    async def bytes_of(self, layer: str) -> int:
        """What a layer takes on disk; slower the more files it has."""
        return await self._isolation.layer_bytes(layer)

    def sweep_soon(self) -> None:
        """Remove in the background what is no longer needed."""
        self._again = self._is_started
        if self._is_started and (self._sweeping is None or self._sweeping.done()):
            self._sweeping = asyncio.create_task(self._sweep_all())

    async def swept(self) -> None:
        """Wait until what is no longer needed now has been removed."""
        self.sweep_soon()
        if self._sweeping is not None:
            await asyncio.wait({self._sweeping})

    async def aclose(self) -> None:
        """Wait for what is being removed."""
        self._again = self._is_started = False
        if self._sweeping is not None:
            await asyncio.wait({self._sweeping})

    async def _sweep_all(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._sweep()
                self.problems.pop(_SWEEP, None)
            except (SandboxError, EngineError, OSError, RuntimeError) as error:
                reason = of_machine(error) or error
                tell(self.problems, _SWEEP, f"Layers that nothing needs cannot be looked for: {reason}")

    async def _sweep(self) -> None:
        unused = await self._unused()
        unknown = set[str]() if self._register is None else await self._register.unknown(unused)
        removed = [layer for layer in unused if layer not in unknown]
        for layer in removed:
            await self._remove(layer)
        if self._register is not None and removed:
            await self._register.forget(removed, self._isolation.layers())

    async def _unused(self) -> list[str]:
        async with self.choosing:
            # In this order: a layer that is made or taken over meanwhile is either not seen, or seen to be needed.
            on_disk, used = await asyncio.to_thread(self._seen)
            # What is being made for a layer has its name with an ending.
            return [
                name
                for name in sorted(on_disk - used)
                if not self._holders[name] and not self._holders[name.partition(".")[0]]
            ]

    def _seen(self) -> tuple[frozenset[str], frozenset[str]]:
        on_disk = self._isolation.layers()
        return on_disk, self._isolation.used_layers() if on_disk else frozenset()

    async def _remove(self, layer: str) -> None:
        try:
            await self._isolation.remove_layer(layer)
            self.problems.pop(layer, None)
        except SandboxError as error:
            tell(self.problems, layer, f"Layer {layer}, which nothing needs, cannot be removed: {error}")
