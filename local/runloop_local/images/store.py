"""The images on this machine: pulls them, finds them, and removes those that nothing uses."""

from __future__ import annotations

import asyncio
import errno
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_local.images.errors import ImageError, SourceError
from runloop_local.images.records import ImageRecords
from runloop_local.registry_settings import RegistrySettings
from runloop_local.sandbox.base import SandboxError, SandboxFull

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from runloop_local.images.image import Image
    from runloop_local.images.puller import Puller
    from runloop_local.images.records import ImageRecord
    from runloop_local.images.reference import Reference
    from runloop_local.sandbox.base import ImageLayers

_FULL = (errno.ENOSPC, errno.EDQUOT)


class ImageStore:
    """The images whose layers one kind of isolation has.

    Their records are in `folder`, as is what is being fetched. `environment` is where proxies, credentials and engines
    are looked up. `backoff` is the first wait in seconds before a request is sent again.
    """

    def __init__(
        self,
        folder: Path,
        layers: ImageLayers,
        settings: RegistrySettings | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        backoff: float = 0.5,
    ) -> None:
        self._layers = layers
        self._settings = settings or RegistrySettings()
        self._environment = os.environ if environment is None else environment
        self._backoff = backoff
        self._records = ImageRecords(folder)
        self._scratch = folder / "fetching"
        self._pulls = 0

    async def pull(self, reference: Reference, log: Callable[[str], None]) -> Image:
        """Bring an image here, asking its source what its tag means now; what is here already is not fetched again.

        `log` is told of each step in a line. Raises ImageError, and leaves nothing half done.
        """
        await asyncio.to_thread(self._scratch.mkdir, 0o700, parents=True, exist_ok=True)
        self._pulls += 1
        try:
            return (await self._puller.pull(reference, log)).image
        except SourceError as error:
            raise ImageError(f"{reference} cannot be pulled: {error}.") from error
        except (SandboxError, OSError) as error:
            if is_full(error):
                await self._clear_scratch(but=1)
                raise ImageError(f"{reference} cannot be pulled: the disk is full. Nothing of it was kept.") from error
            raise ImageError(f"{reference} cannot be pulled: {str(error).rstrip('.')}.") from error
        finally:
            self._pulls -= 1

    @cached_property
    def _puller(self) -> Puller:
        # Imported here: a service that never pulls an image does not wait for what that needs.
        from runloop_local.images.layer_pull import SharedWork
        from runloop_local.images.open_source import Surroundings
        from runloop_local.images.puller import Puller
        from runloop_local.images.retry import Backoff

        home = Path(self._environment.get("HOME") or Path.home())
        around = Surroundings(self._settings, self._scratch, self._environment, home, Backoff(self._backoff))
        return Puller(SharedWork(self._layers, self._settings), self._records, around)

    def find(self, reference: Reference) -> Image | None:
        """The image that this reference was pulled as, if all its layers are here."""
        record = self._records.get(reference)
        if record is None or not record.is_whole(self._layers.names()):
            return None
        self._records.touch(record)
        return record.image

    def images(self) -> list[Image]:
        """All images that are here as a whole, by name."""
        on_disk = self._layers.names()
        return [record.image for record in self._records.all() if record.is_whole(on_disk)]

    async def prune(self, in_use: Collection[str], before_ms: int | None = None) -> int:
        """Remove the images whose top layer is not in use, and all layers that are then needed by none.

        `in_use` are names of layers; images that were used since `before_ms` stay. Returns the freed bytes.
        Also removes what a service that was killed has left.
        """
        kept = set(in_use) | self._needed
        for record in [*self._records.all()]:
            is_recent = before_ms is not None and self._records.is_used_since(record, before_ms)
            if is_recent or _is_used(record, kept):
                kept.update(layer.name for layer in record.layers)
            else:
                self._records.remove(record)
        freed = 0
        for name in sorted(self._layers.names() - kept):
            size = await self._layers.bytes_of(name)
            if name not in self._needed:  # by a pull that has begun meanwhile
                await self._layers.remove(name)
                freed += size
        return freed + await self.clean_up()

    async def clean_up(self) -> int:
        """Remove what pulls have left that were cut by the service's end; returns the freed bytes."""
        needed, freed = self._needed, 0
        for folder in sorted(self._layers.unfinished()):
            if folder.partition(".")[0] not in needed:
                freed += await self._layers.bytes_of(folder)
                await self._layers.discard(folder)
        return freed + await self._clear_scratch()

    @property
    def _needed(self) -> frozenset[str]:
        return self._puller.needed if self._pulls else frozenset()

    async def _clear_scratch(self, *, but: int = 0) -> int:
        """Delete what was fetched but not unpacked, if no pulls are under way but so many."""
        return 0 if self._pulls > but else await asyncio.to_thread(_remove_files, self._scratch)


def _is_used(record: ImageRecord, kept: Collection[str]) -> bool:
    return bool(record.layers) and record.layers[-1].name in kept


def _remove_files(folder: Path) -> int:
    files: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    freed = 0
    for file in files:
        freed += file.stat().st_size
        file.unlink()
    return freed


def is_full(error: BaseException) -> bool:
    """True if an error says that the disk is full."""
    return isinstance(error, SandboxFull) or (isinstance(error, OSError) and error.errno in _FULL)
