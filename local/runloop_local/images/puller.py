"""Pulls one image: from its reference to a record of layers that are all here."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runloop_local.images import manifest
from runloop_local.images.errors import NotThereError, SourceError
from runloop_local.images.layer_pull import LayerPull, Log, PlannedLayer, SharedWork
from runloop_local.images.manifest import Configuration, Index, Manifest
from runloop_local.images.open_source import Opened, Surroundings, opened
from runloop_local.images.records import ImageRecord, StoredLayer
from runloop_local.sandbox.base import IMAGE_LAYER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runloop_local.images.records import ImageRecords
    from runloop_local.images.reference import Reference

_NAME_DIGITS = 32
_MAX_NESTED = 4
"""Indexes within each other: a layout has one around that of its image."""


class Puller:
    """Pulls images for one kind of isolation."""

    def __init__(self, shared: SharedWork, records: ImageRecords, around: Surroundings) -> None:
        self._shared = shared
        self._records = records
        self._around = around
        self._needed: Counter[str] = Counter()

    @property
    def needed(self) -> frozenset[str]:
        """The layers that pulls need which are under way."""
        return frozenset(self._needed)

    async def pull(self, reference: Reference, log: Log) -> ImageRecord:
        """Bring an image here. Raises SourceError, SandboxError and OSError."""
        async with self._shared.locks.of(f"image {reference}"):
            known = self._known(reference)
            if known is not None and reference.digest is not None:
                log(f"{reference} is here.")
                self._records.touch(known)
                return known
            async with opened(reference, known.top if known else None, self._around, log) as source:
                if source.top is None and known is not None:
                    log(f"{reference} is here, and has not changed.")
                    self._records.touch(known)
                    return known
                return await self._pull(reference, source, log)

    def _known(self, reference: Reference) -> ImageRecord | None:
        """The record of an image whose layers are all here."""
        record = self._records.get(reference)
        return record if record is not None and record.is_whole(self._shared.layers.names()) else None

    async def _pull(self, reference: Reference, source: Opened, log: Log) -> ImageRecord:
        top = source.top or b""
        found, digest = await self._choose(source, top)
        content = await source.source.document(found.config)
        configuration = manifest.read_configuration(content, len(found.layers))
        check_platform(configuration)
        planned = plan(found, configuration)
        with self._needing(planned):
            log(f"Pulling {reference}: {digest}, {len(planned)} layers.")
            sizes = await LayerPull(self._shared, source.source, planned, log).run()
            layers = tuple([StoredLayer(each.name, await self._size(each.name, sizes)) for each in planned])
            record = ImageRecord(str(reference), manifest.digest_of(top), digest, layers, configuration.image)
            self._records.put(record)
        return record

    async def _choose(self, source: Opened, content: bytes) -> tuple[Manifest, str]:
        """The manifest for this machine, and its digest."""
        for _ in range(_MAX_NESTED):
            found = manifest.read_manifest(content)
            if not isinstance(found, Index):
                return found, manifest.digest_of(content)
            content = await source.source.document(manifest.choose(found, manifest.this_platform()))
        raise SourceError("it has an index of indexes of indexes")

    @contextmanager
    def _needing(self, planned: Sequence[PlannedLayer]) -> Iterator[None]:
        names = [each.name for each in planned]
        self._needed.update(names)
        try:
            yield
        finally:
            self._needed -= Counter(names)

    async def _size(self, name: str, sizes: dict[str, int]) -> int:
        """The bytes of the files of a layer, which was unpacked now or for another image."""
        if name in sizes:
            return sizes[name]
        for record in self._records.all():
            for layer in record.layers:
                if layer.name == name:
                    return layer.bytes
        return await self._shared.layers.bytes_of(name)


def plan(found: Manifest, configuration: Configuration) -> list[PlannedLayer]:
    """The layers of an image, lowest first, with the names of their folders."""
    chain = manifest.chain_names(configuration.diff_ids)
    names = [f"{IMAGE_LAYER}{digest.partition(':')[2][:_NAME_DIGITS]}" for digest in chain]
    return [PlannedLayer(*each) for each in zip(names, found.layers, configuration.diff_ids, strict=True)]


def check_platform(configuration: Configuration) -> None:
    """Raise NotThereError for an image that does not run on this machine."""
    wanted = manifest.this_platform()
    if not any(manifest.fits(configuration.platform, each) for each in wanted):
        raise NotThereError(f"it has no image for {wanted[0]}, only for {configuration.platform}")
