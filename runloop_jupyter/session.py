"""What one notebook holds: its connection to Runloop, the current devbox, the devboxes it created."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from .connection import Connection, from_environment
from .devboxes import DevboxInfo, describe, find, unavailable
from .errors import MagicError, RemoteError, UsageError
from .leases import Leases
from .names import KnownNames
from .progress import waiting

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK, RunloopError

T = TypeVar("T")

KEEP_ALIVE = 3600.0
"""Seconds that a new devbox outlives a kernel that was killed."""
_PATIENCE = 10.0  # seconds for the first connection to a service
_EMBEDDED_RETRIES = 2  # a service on this machine that refuses connections has ended: no reason to wait long
_PULSE = 1.0  # seconds between looks at whether the embedded service still lives


def say(text: str) -> None:
    """Write one line to the cell, at once, so that it stands before what follows."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Session:
    """The composition root: makes the SDK when first needed and knows the current devbox."""

    def __init__(self, environ: Mapping[str, str] = os.environ, say: Callable[[str], None] = say) -> None:
        self.say = say
        self.leases = Leases()
        self.current: DevboxInfo | None = None
        self.connection: Connection | None = None
        self.names = KnownNames()
        self._environ = environ
        self._sdk: AsyncRunloopSDK | None = None
        self._embedded: Connection | None = None

    async def sdk(self) -> AsyncRunloopSDK:
        """The SDK, connected to what the environment names now; the embedded service is started if need be."""
        wanted = from_environment(self._environ) or await _start_embedded()
        if self._sdk is None or wanted != self.connection:
            await self.disconnect()
            await _reach(wanted)
            self._sdk = self._connect(wanted)
        return self._sdk

    def _connect(self, to: Connection) -> AsyncRunloopSDK:
        from runloop_sdk import AsyncRunloopSDK

        before, self.connection = self.connection, to
        if before is not None and before != to and not (before.embedded and to.embedded):
            self.current, self.names = None, KnownNames()  # they belong to another service
        if to.embedded:
            self._meet_embedded(to, changed=before is None or not before.embedded)
        if to.embedded:
            return AsyncRunloopSDK(bearer_token=to.api_key, base_url=to.base_url, max_retries=_EMBEDDED_RETRIES)
        return AsyncRunloopSDK(bearer_token=to.api_key, base_url=to.base_url)

    def _meet_embedded(self, to: Connection, *, changed: bool) -> None:
        before, self._embedded = self._embedded, to
        if before is not None and before != to:
            self.leases.follow(before, to)
            self.say("The embedded service had ended and was started again; what ran is suspended: %devbox resume")
        elif changed:
            for line in to.greeting:
                self.say(line)

    async def disconnect(self) -> None:
        """Let go of the SDK; the next use connects anew."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.aclose()

    async def find(self, reference: str | None) -> DevboxInfo:
        """The devbox that a name or id means, or the current one as it is now. Raises `UsageError`."""
        sdk = await self.sdk()
        if reference is not None:
            return await find(sdk, reference)
        if self.current is None:
            raise UsageError("No devbox is chosen. Choose one with %devbox use NAME, or create one: %devbox create")
        return await find(sdk, self.current.id)

    async def target(self, reference: str | None) -> DevboxInfo:
        """The devbox to run a command on; creates one, and says so, when none was named or chosen."""
        if reference is not None:
            return await self.find(reference)
        await self.sdk()
        if self.current is None:
            async with waiting("creating a devbox"):
                created = await self.create({"name": f"notebook-{os.urandom(2).hex()}"})
            self.say(f"No devbox was chosen: created {created.label}. It ends with this kernel.")
        assert self.current is not None
        return self.current

    async def create(
        self, parameters: Mapping[str, Any], *, keep_alive: float = KEEP_ALIVE, keep: bool = False
    ) -> DevboxInfo:
        """Create a devbox, wait until it runs and make it the current one. Stop undoes it."""
        sdk = await self.sdk()
        assert self.connection is not None
        launch = {**parameters.get("launch_parameters", {}), "keep_alive_time_seconds": round(keep_alive)}
        request: dict[str, Any] = {**parameters, "launch_parameters": launch}
        devbox = await sdk.devbox.create(**request)
        self.leases.add(devbox.id, self.connection, keep_alive=keep_alive, keep=keep)
        created = describe(await devbox.get_info())
        self.choose(created)
        return created

    def choose(self, devbox: DevboxInfo) -> None:
        """Make `devbox` the current one."""
        self.current = devbox
        self.names.add("devbox", devbox.short)

    def ended(self, devbox: DevboxInfo) -> None:
        """Forget a devbox that was shut down or failed."""
        self.leases.drop(devbox.id)
        self.names.drop("devbox", devbox.short)
        if self.current is not None and self.current.id == devbox.id:
            self.current = None

    async def check_usable(self, devbox_id: str) -> None:
        """Raise `DevboxUnavailableError` if the devbox cannot run commands now."""
        devbox = await find(await self.sdk(), devbox_id)
        if not devbox.alive:
            self.ended(devbox)
        error = unavailable(devbox)
        if error is not None:
            raise error

    async def while_service_lives(self, work: Coroutine[Any, Any, T]) -> T:
        """`work`'s result; `RemoteError` within a second or so of the embedded service's end."""
        assert self.connection is not None
        if not self.connection.embedded:
            return await work
        working, ending = asyncio.ensure_future(work), asyncio.ensure_future(_refuses(self.connection))
        try:
            await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
        finally:
            working.cancel()
            ending.cancel()
            await asyncio.gather(working, ending, return_exceptions=True)
        raise await self._service_gone(self.connection)

    async def _service_gone(self, connection: Connection) -> RemoteError:
        await self.disconnect()
        return service_gone(connection)

    async def guard(self, work: Awaitable[T], doing: str = "") -> T:
        """`work`'s result; what the SDK raises comes out as one clear sentence.

        With `doing` a line in the cell tells so once it has taken two seconds.
        """
        from runloop_sdk import RunloopError

        try:
            async with waiting(doing) if doing else nullcontext():
                return await work
        except RunloopError as error:
            raise await self._explained(error) from error

    async def _explained(self, error: RunloopError) -> MagicError:
        from runloop_sdk import APIConnectionError, AuthenticationError, PermissionDeniedError, StreamError

        if isinstance(error, AuthenticationError):
            return await self._key_refused()
        if isinstance(error, PermissionDeniedError):
            return RemoteError(f"The key in RUNLOOP_API_KEY may not do this: {error.message} (403).")
        if isinstance(error, APIConnectionError | StreamError):
            return await self._out_of_reach(error)
        return RemoteError(str(error))

    async def _key_refused(self) -> RemoteError:
        label = self.connection.label if self.connection else "Runloop"
        embedded = self.connection is not None and self.connection.embedded
        await self.disconnect()
        if embedded:
            return RemoteError(f"The key of {label} has changed (401); the next cell connects to it again.")
        label = label[0].upper() + label[1:]
        return RemoteError(f"{label} does not accept the key in RUNLOOP_API_KEY (401): set a valid one, or none.")

    async def _out_of_reach(self, error: RunloopError) -> RemoteError:
        connection = self.connection
        if connection is not None and connection.embedded:
            return await self._service_gone(connection)
        await self.disconnect()
        if connection is None:
            return RemoteError(str(error))
        return _unreachable(connection, error)

    def end(self) -> None:
        """Shut down what this kernel created. Takes a second at most; safe to call twice."""
        self.leases.end()
        self.current = None


async def _start_embedded() -> Connection:
    """The user's own embedded service, started if it does not run. Raises `RemoteError` when it cannot be."""
    from runloop_local import service

    try:
        endpoint = await service.ensure_running()
    except service.ServiceError as error:
        raise RemoteError(str(error)) from error
    return Connection(endpoint.base_url, endpoint.api_key, True, endpoint.isolation, tuple(endpoint.notes))


async def _reach(connection: Connection) -> None:
    """Raise `RemoteError` at once, not after many tries, where nothing answers at the address of a first use."""
    if connection.embedded or getproxies():
        return
    where = urlsplit(connection.base_url)
    port = where.port or (443 if where.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(where.hostname, port)
    except OSError as error:
        raise _unreachable(connection, error) from error
    writer.close()


def _unreachable(connection: Connection, error: Exception) -> RemoteError:
    cause = str(error) or f"no answer within {_PATIENCE:.0f} s"
    return RemoteError(f"Cannot reach {connection.label}: {cause}. Check the network and RUNLOOP_BASE_URL.")


async def _refuses(connection: Connection) -> None:
    """Returns once nothing listens any more where the service was."""
    where = urlsplit(connection.base_url)
    while True:
        await asyncio.sleep(_PULSE)
        try:
            _, writer = await asyncio.open_connection(where.hostname, where.port)
        except ConnectionRefusedError:
            return
        except OSError:  # no descriptor left, say: that tells nothing about the service
            continue
        writer.close()


def service_gone(connection: Connection) -> RemoteError:
    """The error for an embedded service that ended on its own."""
    return RemoteError(
        f"The embedded service at {connection.base_url} ended; the next cell starts it again. "
        "Its devboxes come back suspended, with their files: %devbox resume wakes the current one."
    )
