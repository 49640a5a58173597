"""The records of the images on this machine: a file for each, whole or not there."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from runloop_local.images.errors import ImageError
from runloop_local.images.image import Image, ImageConfig
from runloop_local.images.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


class StoredLayer(msgspec.Struct, frozen=True):
    """A layer of an image, as its record has it."""

    name: str
    bytes: int
    """Of its files."""


class ImageRecord(msgspec.Struct, frozen=True):
    """An image, as it is stored."""

    reference: str
    top: str
    """The digest of the manifest or index that the reference meant."""
    digest: str
    layers: tuple[StoredLayer, ...]
    config: ImageConfig

    def is_whole(self, on_disk: Collection[str]) -> bool:
        """True if all its layers are on disk."""
        return all(layer.name in on_disk for layer in self.layers)

    @property
    def image(self) -> Image:
        """The image that it describes."""
        names = tuple(layer.name for layer in self.layers)
        size = sum(layer.bytes for layer in self.layers)
        return Image(Reference.parse(self.reference), self.digest, names, self.config, size)


class ImageRecords:
    """The records in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, reference: Reference) -> ImageRecord | None:
        """The record of an image; None if there is none that can be read."""
        return _load(self._file(reference))

    def all(self) -> Iterator[ImageRecord]:
        """All records that can be read, by reference."""
        found = [record for file in self._folder.glob("*.json") if (record := _load(file)) is not None]
        yield from sorted(found, key=lambda record: record.reference)

    def put(self, record: ImageRecord) -> None:
        """Write a record; raises OSError."""
        file = self._file(Reference.parse(record.reference))
        unfinished = file.with_suffix(".new")
        with unfinished.open("wb") as target:
            target.write(msgspec.json.encode(record))
            target.flush()
            os.fsync(target.fileno())
        unfinished.rename(file)

    def touch(self, record: ImageRecord) -> None:
        """Note that the image is used now."""
        with suppress(FileNotFoundError):  # removed meanwhile
            os.utime(self._file(Reference.parse(record.reference)))

    def is_used_since(self, record: ImageRecord, time_ms: int) -> bool:
        """True if the image was pulled or used at this time or later."""
        return int(self._file(Reference.parse(record.reference)).stat().st_mtime * 1000) >= time_ms

    def remove(self, record: ImageRecord) -> None:
        """Delete a record."""
        self._file(Reference.parse(record.reference)).unlink(missing_ok=True)

    def _file(self, reference: Reference) -> Path:
        return self._folder / f"{hashlib.sha256(str(reference).encode()).hexdigest()}.json"


def _load(file: Path) -> ImageRecord | None:
    try:
        record = msgspec.json.decode(file.read_bytes(), type=ImageRecord)
        Reference.parse(record.reference)
    except (FileNotFoundError, msgspec.DecodeError, ImageError):
        return None  # an image that cannot be read is pulled again, and its layers are still there
    return record
