"""The layers of images on disk: unpacked by the helper process, each whole or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runloop_local.sandbox.base import IMAGE_LAYER, LayerRefused, Unpacked
from runloop_local.sandbox.disks import names_in, used_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from runloop_local.sandbox.disks import Store
    from runloop_local.sandbox.link import Helper

_UNFINISHED = ".new"
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031


def _pipe() -> tuple[int, int]:
    """A pipe that takes more at once than they do by default, where this account may have such."""
    source, target = os.pipe2(os.O_CLOEXEC)
    with suppress(PermissionError):
        fcntl.fcntl(target, _SET_PIPE_SIZE, _PIPE_BYTES)
    return source, target


def _read_report(folder: str, report: Mapping[str, Any]) -> Unpacked:
    if "refused" in report:
        raise LayerRefused(report["refused"])
    return Unpacked(folder, report["bytes"], report["members"], tuple(report["implied"]), report["left_out"])


class ImageLayerStore:
    """The layers of images of one kind of isolation with namespaces."""

    def __init__(self, store: Store, helper: Helper) -> None:
        self._store = store
        self._helper = helper

    def names(self) -> frozenset[str]:
        """The layers on disk, without unfinished ones."""
        return frozenset(name for name in self._all() if not name.endswith(_UNFINISHED))

    def unfinished(self) -> frozenset[str]:
        """The folders of layers that are being unpacked, or were when a service ended."""
        return self._all() - self.names()

    def _all(self) -> frozenset[str]:
        return frozenset(name for name in names_in(self._store.layers) if name.startswith(IMAGE_LAYER))

    async def unpack(
        self, name: str, feed: Callable[[int], Awaitable[None]], *, max_bytes: int, max_members: int
    ) -> Unpacked:
        """Unpack an uncompressed archive, which `feed` writes to a descriptor; `keep` makes it the layer `name`.

        Raises what `feed` raises, which it does if the archive is not the right one; LayerRefused; and SandboxError.
        """
        unfinished = f"{name}.{secrets.token_hex(4)}{_UNFINISHED}"
        try:
            return await self._unpack(unfinished, feed, max_bytes, max_members)
        except BaseException:
            await asyncio.shield(self.discard(unfinished))
            raise

    async def _unpack(
        self, unfinished: str, feed: Callable[[int], Awaitable[None]], max_bytes: int, max_members: int
    ) -> Unpacked:
        source, target = _pipe()
        with tempfile.TemporaryFile() as report:
            argv = ("unpack", unfinished, str(max_bytes), str(max_members))
            feeding = asyncio.ensure_future(feed(target))
            feeding.add_done_callback(lambda _: os.close(target))
            unpacking = asyncio.ensure_future(self._helper.tool(*argv, stdin=source, stdout=report.fileno()))
            both = {feeding, unpacking}
            try:
                await asyncio.wait(both)
            finally:
                feeding.cancel()  # the archive ends, and with it the program
                await asyncio.wait(both)
            if not isinstance(feeding.exception(), BrokenPipeError):  # the program has said why it did not read on
                feeding.result()
            unpacking.result()
            report.seek(0)
            return _read_report(unfinished, json.loads(report.read()))

    async def keep(self, unpacked: Unpacked, name: str, below: Sequence[str]) -> None:
        """Make it the layer `name` on these layers (top first), which must be there. Raises SandboxError."""
        try:
            if unpacked.implied and below:
                with tempfile.TemporaryFile() as folders:
                    folders.write(json.dumps(unpacked.implied).encode())
                    folders.seek(0)
                    await self._helper.tool("adopt", unpacked.folder, *below, stdin=os.dup(folders.fileno()))
            self._store.layer(unpacked.folder).rename(self._store.new_layer(name))
        except BaseException:
            await asyncio.shield(self.discard(unpacked.folder))
            raise

    async def discard(self, unfinished: str) -> None:
        """Delete an unfinished layer, if it is there."""
        folder = self._store.layer(unfinished)
        if folder.exists():
            await self._store.remove(self._helper, folder)

    async def bytes_of(self, name: str) -> int:
        """The size of a layer on disk. The time grows with the number of files."""
        return await used_bytes(self._store.layer(name))

    async def remove(self, name: str) -> None:
        """Delete a layer that no sandbox uses. A service that is killed meanwhile leaves it unfinished."""
        unfinished = f"{name}.{secrets.token_hex(4)}{_UNFINISHED}"
        self._store.existing_layer(name).rename(self._store.layer(unfinished))
        await self.discard(unfinished)
