"""Opens the source that a reference names."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_local.images.credentials import CredentialFiles
from runloop_local.images.endpoints import endpoints
from runloop_local.images.engines import EngineExport
from runloop_local.images.errors import SourceError
from runloop_local.images.files import open_files
from runloop_local.images.registry import RegistrySource, connected
from runloop_local.images.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from runloop_local.images.endpoints import Endpoint
    from runloop_local.images.reference import Reference
    from runloop_local.images.source import Source
    from runloop_local.registry_settings import RegistrySettings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the sources of images depend on."""

    settings: RegistrySettings
    scratch: Path
    """A folder for files that are being fetched."""
    environment: Mapping[str, str]
    home: Path
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class Opened:
    """A source, and the manifest or index that it gave; None if that still is the known one."""

    source: Source
    top: bytes | None


@asynccontextmanager
async def opened(
    reference: Reference, known: str | None, around: Surroundings, log: Callable[[str], None]
) -> AsyncIterator[Opened]:
    """The source of an image, of which `known` is the digest that it had. Raises SourceError."""
    async with AsyncExitStack() as stack:
        if reference.transport == "registry":
            yield await _from_registries(reference, known, around, log, stack)
        else:
            source = await _local(reference, around, stack)
            yield Opened(source, await source.top(known))


async def _local(reference: Reference, around: Surroundings, stack: AsyncExitStack) -> Source:
    path, tag = Path(reference.name), reference.tag
    if reference.transport in ("docker-daemon", "podman"):
        path, tag = around.scratch / f"{secrets.token_hex(8)}.tar", None
        stack.callback(path.unlink, missing_ok=True)
        await EngineExport(around.environment).save(reference, path)
    elif not path.is_absolute():
        raise SourceError(f"{path} is no absolute path")
    return await asyncio.to_thread(open_files, path, tag)


async def _from_registries(
    reference: Reference, known: str | None, around: Surroundings, log: Callable[[str], None], stack: AsyncExitStack
) -> Opened:
    *mirrors, registry = endpoints(reference, around.settings)
    for mirror in mirrors:
        try:
            return await _from_registry(reference, known, mirror, around, stack)
        except SourceError as error:
            log(f"The mirror {mirror.host} does not give {reference}: {error}.")
    return await _from_registry(reference, known, registry, around, stack)


async def _from_registry(
    reference: Reference, known: str | None, endpoint: Endpoint, around: Surroundings, stack: AsyncExitStack
) -> Opened:
    credentials = await CredentialFiles(around.environment, around.home).find(endpoint.host, endpoint.repository)
    connection = await stack.enter_async_context(connected(endpoint, credentials, around.backoff))
    source = RegistrySource(connection, reference, around.scratch)
    return Opened(source, await source.top(known))
