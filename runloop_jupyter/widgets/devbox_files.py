"""The files of a devbox: what is there, and how it is changed; what goes wrong comes out in one clear sentence."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from runloop_sdk.own_commands import own_command

from ..errors import MagicError, UsageError
from ..operations.transfers import is_folder

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox, CommandError, FileInfo

_LONGEST = 255  # bytes in a name


class DevboxFiles:
    """The files of the devbox that `handle` returns; `name` is what its user calls it. Paths are absolute."""

    def __init__(self, handle: Callable[[], Awaitable[AsyncDevbox]], name: str) -> None:
        self._handle = handle
        self._name = name
        self._home = ""

    async def list(self, path: str) -> list[FileInfo]:
        """Return the entries of a folder."""
        from runloop_sdk import CommandError

        try:
            return await (await self._handle()).file.list(f"{path.rstrip('/')}/")
        except CommandError as error:
            if "Permission denied" in str(error):
                raise MagicError(f"The folder {path!r} may not be read by the devbox's user.") from error
            raise MagicError(f"There is no folder {path!r} on {self._name}, or it may not be seen.") from error

    async def kind(self, path: str) -> str:
        """Return the kind of what is there; empty for nothing."""
        from runloop_sdk import CommandError

        try:
            return (await (await self._handle()).file.stat(path)).kind
        except CommandError:
            return ""

    async def is_folder(self, path: str) -> bool:
        """Return True for a folder, and for a link to one."""
        return await is_folder(await self._handle(), path)

    async def real(self, path: str) -> str:
        """Return the path with links followed."""
        result = await (await self._handle()).cmd.exec(own_command(f"readlink -e -z -- {shlex.quote(path)}"))
        if not result.success:
            raise MagicError(f"There is no file {path!r} on {self._name}, or it is a link that leads nowhere.")
        return (await result.stdout()).rstrip("\0")

    async def absolute(self, path: str, folder: str) -> str:
        """Return a path that somebody typed as an absolute one: from `folder`, or from `~`."""
        if path == "~" or path.startswith("~/"):
            path = f"{await self._home_folder()}{path[1:]}"
        return posixpath.normpath(posixpath.join("/", folder, path)).replace("//", "/")

    async def make_folder(self, path: str) -> None:
        """Make a folder where nothing is yet."""
        from runloop_sdk import CommandError

        folder, name = posixpath.split(path)
        if await self.kind(path):
            raise UsageError(f"There is already {name!r} in {folder}.")
        try:
            await (await self._handle()).file.mkdir(path)
        except CommandError as error:
            raise MagicError(f"The folder {name!r} was not made: {_reason(error)}.") from error

    async def remove(self, path: str) -> None:
        """Delete a file, or a folder with all that it has."""
        from runloop_sdk import CommandError

        try:
            await (await self._handle()).file.remove(path, recursive=True)
        except CommandError as error:
            name = posixpath.basename(path)
            raise MagicError(f"{name!r} was not deleted, or not all of it: {_reason(error)}.") from error

    async def _home_folder(self) -> str:
        if not self._home:
            result = await (await self._handle()).cmd.exec(own_command('printf %s "$HOME"'))
            self._home = await result.stdout() or "/"
        return self._home


def checked_name(name: str) -> str:
    """Return a name of an entry. Raises `UsageError` for what cannot be one."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise UsageError(f"{name!r} cannot be a name: it is empty, a dot or two, or has a slash.")
    length = len(name.encode(errors="surrogatepass"))  # what a page sends may be no Unicode
    if length > _LONGEST:
        raise UsageError(f"This name is too long: {length} bytes of at most {_LONGEST}.")
    return name


def _reason(error: CommandError) -> str:
    """The end of what the command said, such as "Permission denied"."""
    return str(error).rpartition(": ")[2].rstrip(".")
