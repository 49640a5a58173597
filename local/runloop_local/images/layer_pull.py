"""Fetches and unpacks the layers of an image that are not on this machine yet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from runloop_local.images.blobs import LayerContent
from runloop_local.images.errors import SourceError
from runloop_local.sandbox.base import LayerRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runloop_local.images.manifest import Descriptor
    from runloop_local.images.source import Blob, Source
    from runloop_local.registry_settings import RegistrySettings
    from runloop_local.sandbox.base import ImageLayers, Unpacked

Log = Callable[[str], None]
_FETCHED_AT_ONCE = 3
_SHOWN_DIGITS = 12


class Locks:
    """A lock for each key; those that nobody holds are forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """The lock of a key."""
        found = self._locks.get(key)
        if found is None:
            found = self._locks[key] = asyncio.Lock()
        return found


@dataclass(frozen=True, slots=True)
class SharedWork:
    """What all pulls of a service share."""

    layers: ImageLayers
    settings: RegistrySettings
    locks: Locks = field(default_factory=Locks)
    fetching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FETCHED_AT_ONCE))
    unpacking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer of an image."""

    name: str
    """Of its folder."""
    blob: Descriptor
    diff_id: str

    @property
    def shown(self) -> str:
        """Its digest, as short as Docker shows it."""
        return self.blob.digest.partition(":")[2][:_SHOWN_DIGITS]


class LayerPull:
    """The layers of one pull, lowest first: fetched and unpacked side by side, kept one after the other."""

    def __init__(self, shared: SharedWork, source: Source, planned: Sequence[PlannedLayer], log: Log) -> None:
        self._shared = shared
        self._source = source
        self._planned = planned
        self._log = log
        self._kept = [asyncio.Event() for _ in planned]
        self._bytes: dict[str, int] = {}

    async def run(self) -> dict[str, int]:
        """Bring all layers here; returns the bytes of the files of those that were not, by name.

        Raises SourceError, SandboxError and OSError. Layers that are whole stay then, and nothing else.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(self._planned)):
                    group.create_task(self._bring(number))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors.exceptions[0].__cause__
        return self._bytes

    async def _bring(self, number: int) -> None:
        planned = self._planned[number]
        # Of two pulls that need a layer, the second waits, and then finds it.
        async with self._shared.locks.of(planned.name):
            if planned.name not in self._shared.layers.names():
                await self._keep(number, await self._unpack(planned))
        self._kept[number].set()

    async def _unpack(self, planned: PlannedLayer) -> Unpacked:
        async with self._shared.locks.of(planned.blob.digest):  # its file may be needed for another place in an image
            async with self._shared.fetching:
                self._log(f"Fetching layer {planned.shown}, {planned.blob.size:,} bytes.")
                blob = await self._source.blob(planned.blob)
            async with self._shared.unpacking:
                return await self._unpack_blob(planned, blob)

    async def _unpack_blob(self, planned: PlannedLayer, blob: Blob) -> Unpacked:
        content = LayerContent(blob, planned.blob.digest, planned.diff_id)
        settings = self._shared.settings
        try:
            unpacked = await self._shared.layers.unpack(
                planned.name, content.feed, max_bytes=settings.max_bytes, max_members=settings.max_members
            )
        except asyncio.CancelledError:
            raise  # the file is there for another pull
        except LayerRefused as error:
            blob.discard()
            raise SourceError(f"its layer {planned.blob.digest} {error}") from error
        except BaseException:
            blob.discard()
            raise
        blob.discard()
        return unpacked

    async def _keep(self, number: int, unpacked: Unpacked) -> None:
        planned = self._planned[number]
        try:
            self._count(planned.name, unpacked.bytes)
            if number:
                await self._kept[number - 1].wait()
        except BaseException:
            await asyncio.shield(self._shared.layers.discard(unpacked.folder))
            raise
        below = [lower.name for lower in reversed(self._planned[:number])]
        await self._shared.layers.keep(unpacked, planned.name, below)
        left_out = "".join(f", without {count:,} {what}" for what, count in unpacked.left_out.items())
        self._log(f"Unpacked layer {planned.shown}: {unpacked.members:,} files, {unpacked.bytes:,} bytes{left_out}.")

    def _count(self, name: str, size: int) -> None:
        self._bytes[name] = size
        if sum(self._bytes.values()) > self._shared.settings.max_bytes:
            raise SourceError(f"it has more than {self._shared.settings.max_bytes:,} bytes of files, the limit")
