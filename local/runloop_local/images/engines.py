"""Takes images from the container engines of this machine: by their socket, else by their `save` command."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from runloop_local.images.errors import NotThereError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runloop_local.images.reference import Reference

_TIMEOUT = httpx.Timeout(600, connect=5)
_MAX_SAID = 300
_PROGRAMS = {"docker-daemon": "docker", "podman": "podman"}
_HOSTS = {"docker-daemon": "DOCKER_HOST", "podman": "CONTAINER_HOST"}


class EngineExport:
    """Exports images of the engine that a reference names."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def save(self, reference: Reference, target: Path) -> None:
        """Write an image as an archive; raises SourceError."""
        program = _PROGRAMS[reference.transport]
        for socket in self._sockets(reference.transport):
            if await _save_by_socket(socket, program, reference, target):
                return
        await self._save_by_command(program, reference, target)

    def _sockets(self, transport: str) -> Iterator[str]:
        named = self._environment.get(_HOSTS[transport], "")
        if named:
            if named.startswith("unix://"):
                yield named.removeprefix("unix://")
            return  # the command knows the way to an engine elsewhere
        runtime = self._environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        own, of_all = ("docker.sock", "/var/run/docker.sock")
        if transport == "podman":
            own, of_all = ("podman/podman.sock", "/run/podman/podman.sock")
        yield from (path for path in (f"{runtime}/{own}", of_all) if os.access(path, os.R_OK | os.W_OK))

    async def _save_by_command(self, program: str, reference: Reference, target: Path) -> None:
        found = shutil.which(program, path=self._environment.get("PATH"))
        if found is None:
            raise SourceError(f"there is no {program} on this machine: neither its socket nor its command")
        quiet, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
        argv = (found, "save", "-o", str(target), name_in_engine(reference))
        process = await asyncio.create_subprocess_exec(*argv, stdin=quiet, stdout=quiet, stderr=pipe)
        try:
            _, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = " ".join(stderr.decode(errors="replace").split())[-_MAX_SAID:]
            raise SourceError(f"{program} save failed with status {process.returncode}: {said}")


async def _save_by_socket(socket: str, program: str, reference: Reference, target: Path) -> bool:
    """Write an image as an archive; False if no engine answers at the socket."""
    transport = httpx.AsyncHTTPTransport(uds=socket)
    name = quote(name_in_engine(reference), safe="")
    try:
        async with (
            httpx.AsyncClient(transport=transport, timeout=_TIMEOUT) as client,
            client.stream("GET", f"http://{program}/images/{name}/get") as response,
        ):
            if response.status_code in (404, 500):
                raise NotThereError(f"{program} on this machine does not have it: see {program} images")
            response.raise_for_status()
            with target.open("wb") as file:
                async for piece in response.aiter_raw(1 << 20):
                    await asyncio.to_thread(file.write, piece)
    except httpx.ConnectError:
        return False
    except httpx.HTTPError as error:
        raise SourceError(f"{program} did not export it: {error}") from error
    return True


def name_in_engine(reference: Reference) -> str:
    """The name of an image as its engine has it."""
    return str(reference).partition(":")[2]
