"""What one notebook holds: its connection to Runloop, the current devbox, the devboxes it created."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from .connection import Connection, from_environment
from .devboxes import DevboxInfo, by_id, describe, find, unavailable
from .errors import MagicError, RemoteError, UsageError
from .executions.journal import Journal
from .leases import Leases
from .ledger import Entry, Ledger, forget, notebook, of_dead_kernels
from .names import KnownNames
from .progress import Progress, telling, waiting
from .pulse import Pulse
from .settings import Settings

if TYPE_CHECKING:
    from runloop_local.service import Endpoint
    from runloop_sdk import AsyncRunloopSDK, RunloopError
    from runloop_sdk.models.devboxes import DevboxView

    from .executions.background import Background
    from .resource_panel.feed import Feed

T = TypeVar("T")

_PATIENCE = 10.0  # seconds for the first connection to a service
_EMBEDDED_RETRIES = 2  # a service on this machine that refuses connections has ended: no reason to wait long


def say(text: str) -> None:
    """Write one line to the cell, at once, so that it stands before what follows."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Session:
    """The composition root: makes the SDK when first needed and knows the current devbox."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        say: Callable[[str], None] = say,
        settings: Callable[[], Settings] = Settings,
    ) -> None:
        self.say = say
        self.leases = Leases()
        self.ledger = Ledger()
        self.current: DevboxInfo | None = None
        self.connection: Connection | None = None
        self.names = KnownNames()
        self.printed = KnownNames()
        self.journal = Journal()
        self.executions: list[Background[Any]] = []
        self.environ = environ
        self._settings = settings
        self._chosen: Connection | None = None
        self._pulse = Pulse()
        self._sdk: AsyncRunloopSDK | None = None
        self._embedded: Connection | None = None

    @property
    def settings(self) -> Settings:
        """What the user has set, as it is now."""
        return self._settings()

    async def sdk(self) -> AsyncRunloopSDK:
        """The SDK, connected to what was chosen, else to what the environment names now.

        The embedded service is started if need be.
        """
        wanted = self._chosen or from_environment(self.environ) or await start_embedded()
        if self._sdk is None or wanted != self.connection:
            await self.disconnect()
            await reach(wanted)
            self._sdk = self._connect(wanted)
        return self._sdk

    async def connect(self, to: Connection | None) -> Connection:
        """Use another service from now on, whatever the environment says; None for what it says again.

        Nothing changes where the service cannot be reached or does not accept the key.
        """
        before, self._chosen = self._chosen, to
        try:
            await (await self.sdk()).api.devboxes.list(limit=1)
        except BaseException:
            self._chosen = before
            await self.disconnect()
            raise
        assert self.connection is not None
        return self.connection

    @cached_property
    def feed(self) -> Feed:
        """What all panels of this notebook show."""
        from .resource_panel.feed import Feed

        return Feed(self)

    def service(self) -> Connection | None:
        """What the environment names now; None while the embedded service does not run, which is not started."""
        return self._chosen or from_environment(self.environ) or _running_embedded()

    def _connect(self, to: Connection) -> AsyncRunloopSDK:
        from runloop_sdk import AsyncRunloopSDK

        before, self.connection = self.connection, to
        if before is not None and before != to and not (before.embedded and to.embedded):
            self.current, self.names, self.printed = None, KnownNames(), KnownNames()  # they belong to another service
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
        self,
        parameters: Mapping[str, Any],
        *,
        keep_alive: float | None = None,
        keep: bool | None = None,
        progress: Progress | None = None,
        use: bool = True,
    ) -> DevboxInfo:
        """Create a devbox, wait until it runs and, with `use`, make it the current one. Stop undoes it.

        What is not given is as the user has set it; `progress` tells how far the devbox is.
        """
        sdk = await self.sdk()
        assert self.connection is not None
        settings = self.settings
        keep_alive = settings.keep_alive if keep_alive is None else keep_alive
        keep = settings.keep if keep is None else keep
        created = await self._running(sdk, _request(parameters, settings, keep_alive), progress or Progress(""))
        self.leases.add(created.id, self.connection, keep_alive=keep_alive, keep=keep)
        self._note(created, made=True, keep=keep)
        if use:
            self.choose(created)
        return created

    async def _running(self, sdk: AsyncRunloopSDK, request: dict[str, Any], progress: Progress) -> DevboxInfo:
        """A new devbox that runs; shut down again where the wait is cancelled or fails for lack of an answer."""
        from runloop_sdk import complete_or_undo, run_undo

        async def shut_down(view: DevboxView) -> None:
            await sdk.devbox.from_id(view.id).shutdown()

        view = await complete_or_undo(sdk.api.devboxes.create(**request), shut_down)
        handle = sdk.devbox.from_id(view.id)

        async def status() -> str:
            return str((await handle.get_info()).status)

        progress.step = view.status
        try:
            async with telling(progress, status):
                return describe(await handle.await_running())
        except asyncio.CancelledError as cancelled:
            await run_undo(handle.close(), cancelled)
            raise

    def choose(self, devbox: DevboxInfo) -> None:
        """Make `devbox` the current one."""
        self.current = devbox
        self.names.add("devbox", devbox.short)
        self._note(devbox)

    def _note(self, devbox: DevboxInfo, *, made: bool = False, keep: bool = False) -> None:
        if self.connection is None:
            return
        try:
            self.ledger.note(devbox.id, devbox.name, self.connection.base_url, made=made, keep=keep)
        except OSError as error:
            self.say(f"This devbox is not remembered for %runloop cleanup: {error}.")

    def ended(self, devbox: DevboxInfo) -> None:
        """Forget a devbox that was shut down or failed."""
        self.leases.drop(devbox.id)
        self.names.drop("devbox", devbox.short)
        self.ledger.drop(devbox.id)
        forget(devbox.id)
        if self.current is not None and self.current.id == devbox.id:
            self.current = None

    async def remembered(self) -> Sequence[Entry]:
        """Devboxes of this service that kernels knew which do not live any more, the last used first."""
        await self.sdk()
        assert self.connection is not None
        return [entry for entry in of_dead_kernels() if entry.base_url == self.connection.base_url]

    async def last_used(self) -> DevboxInfo | None:
        """The devbox that this notebook used last, before its kernel was started again, if it can still be used."""
        here, sdk = notebook(), await self.sdk()
        for entry in await self.remembered():
            if entry.notebook == here:
                found = await by_id(sdk, entry.devbox_id)
                if found is not None and found.alive:
                    return found
        return None

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
        working = asyncio.ensure_future(work)
        with self._pulse.of(self.connection) as ending:
            try:
                await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
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

    async def close(self) -> None:
        """End its panels and its connections."""
        if "feed" in vars(self):
            self.feed.end()
        await self.disconnect()

    def end(self) -> None:
        """Shut down what this kernel created. Takes a second at most; safe to call twice."""
        self.leases.end()
        self.ledger.end()
        self.current = None


def _request(parameters: Mapping[str, Any], settings: Settings, keep_alive: float) -> dict[str, Any]:
    """What the API is asked for: `parameters`, and what the user has set for all devboxes."""
    launch = {**parameters.get("launch_parameters", {}), "keep_alive_time_seconds": round(keep_alive)}
    if settings.size:
        launch.setdefault("resource_size_request", settings.size.upper())
    request = {**parameters, "launch_parameters": launch}
    if settings.blueprint and not {"blueprint_id", "blueprint_name", "snapshot_id"} & request.keys():
        request[blueprint_key(settings.blueprint)] = settings.blueprint
    return request


def blueprint_key(reference: str) -> str:
    """The API's word for a blueprint's name or id."""
    return "blueprint_id" if reference.startswith(("bpt_", "bp_")) else "blueprint_name"


async def start_embedded() -> Connection:
    """The user's own embedded service, started if it does not run. Raises `RemoteError` when it cannot be."""
    from runloop_local import service

    try:
        endpoint = await service.ensure_running()
    except service.ServiceError as error:
        raise RemoteError(str(error)) from error
    return _connection(endpoint)


def _running_embedded() -> Connection | None:
    """The user's own embedded service if it runs. Raises `RemoteError` when its state cannot be read."""
    from runloop_local import service

    try:
        endpoint = service.find()
    except service.ServiceError as error:
        raise RemoteError(str(error)) from error
    return None if endpoint is None else _connection(endpoint)


def _connection(endpoint: Endpoint) -> Connection:
    return Connection(endpoint.base_url, endpoint.api_key, True, endpoint.isolation, tuple(endpoint.notes))


async def reach(connection: Connection) -> None:
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


def service_gone(connection: Connection) -> RemoteError:
    """The error for an embedded service that ended on its own."""
    return RemoteError(
        f"The embedded service at {connection.base_url} ended; the next cell starts it again. "
        "Its devboxes come back suspended, with their files: %devbox resume wakes the current one."
    )
