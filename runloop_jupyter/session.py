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

from .client import client
from .connection import Connection, from_environment
from .diagnosis import Subject, error_for, investigate
from .errors import MagicError, RemoteError, UsageError
from .executions.execution_history import ExecutionHistory
from .kernel.kernel_registry import Entry, KernelRegistry, notebook
from .kernel.owned import OwnedDevboxes
from .kernel.service_watch import ServiceWatch, refuses
from .output.progress import Progress, polling, waiting
from .resources.devboxes import DevboxInfo, by_id, describe, find, unavailable
from .resources.name_cache import NameCache
from .settings import Settings
from .state import StateFolder

if TYPE_CHECKING:
    from runloop_local.service import Endpoint
    from runloop_sdk import AsyncRunloopSDK, RunloopError
    from runloop_sdk.models.devboxes import DevboxView

    from .executions.background import Background
    from .resource_panel.feed import Feed

T = TypeVar("T")

_PATIENCE = 10.0  # seconds for the first connection to a service


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
        self.said = 0
        """How often a line was written to a cell."""
        self.say = self._counted(say)
        self.state = StateFolder(lambda text: self.say(text))
        self.owned = OwnedDevboxes()
        self.kernel_registry = KernelRegistry(self.state)
        self.current: DevboxInfo | None = None
        self.connection: Connection | None = None
        self.names = NameCache()
        self.printed = NameCache()
        self.execution_history = ExecutionHistory(self.state)
        self.executions: list[Background[Any]] = []
        self.environ = environ
        self._settings = settings
        self._chosen: Connection | None = None
        self._service_watch = ServiceWatch()
        self._is_doubted = False  # whether it is to be seen that the service can be reached, before many tries
        self._sdk: AsyncRunloopSDK | None = None
        self._former: list[AsyncRunloopSDK] = []
        self._user_sdks: dict[bool | None, AsyncRunloopSDK] = {}
        self._embedded: Connection | None = None

    def _counted(self, say: Callable[[str], None]) -> Callable[[str], None]:
        def count_and_say(text: str) -> None:
            self.said += 1
            say(text)

        return count_and_say

    @property
    def settings(self) -> Settings:
        """What the user has set, as it is now."""
        return self._settings()

    async def sdk(self) -> AsyncRunloopSDK:
        """The SDK, connected to what was chosen, else to what the environment names now.

        The embedded service is started if need be.
        """
        wanted = self._named() or await self.embedded()
        if self._sdk is None or wanted != self.connection:
            self._retire()
            await reach(wanted)
            self._sdk = await self._connect(wanted)
        elif self._is_doubted:
            await reach(wanted)
        self._is_doubted = False
        return self._sdk

    async def embedded(self) -> Connection:
        """The user's own embedded service, started if it does not run. Raises `RemoteError` when it cannot be."""
        running = _running_embedded()
        if running is not None:
            return running
        async with waiting("starting the embedded service"):
            return await _start_embedded(self.settings.start_timeout)

    async def user_sdk(self, *, keep: bool | None = None) -> AsyncRunloopSDK:
        """The SDK for the notebook's own code: what it creates ends with the kernel unless `keep`.

        None for `keep` is what the user has set.
        """
        from .kernel.kernel_sdk import kernel_sdk

        await self.sdk()
        assert self.connection is not None
        if keep not in self._user_sdks:
            self._user_sdks[keep] = kernel_sdk(self, self.connection, keep=keep)
        return self._user_sdks[keep]

    async def connect(self, to: Connection | None) -> Connection:
        """Use another service from now on, whatever the environment says; None for what it says again.

        Nothing changes where the service cannot be reached or does not accept the key.
        """
        before, self._chosen = self._chosen, to
        try:
            await (await self.sdk()).api.devboxes.list(limit=1)
        except BaseException:
            self._chosen = before
            self._retire()
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
        return self._named() or _running_embedded()

    def _named(self) -> Connection | None:
        """What was chosen, else what the environment names; None for the embedded service, wherever that is now."""
        named = self._chosen or from_environment(self.environ)
        return None if named is None or named.embedded else named

    async def _connect(self, to: Connection) -> AsyncRunloopSDK:
        before, self.connection = self.connection, to
        if before is not None and before.service != to.service:
            self.current, self.names, self.printed = None, NameCache(), NameCache()  # they belong to another service
        if to.embedded:
            await self._meet_embedded(to, changed=before is None or not before.embedded)
        return client(to)

    async def _meet_embedded(self, to: Connection, *, changed: bool) -> None:
        before, self._embedded = self._embedded, to
        if before is not None and before != to:
            is_same = before.service == to.service
            if is_same:
                self.owned.reconnect(before, to)
            if is_same and await refuses(before):
                self.say("The embedded service had ended and was started again; what ran is suspended: %devbox resume")
            else:
                self.say(f"Another embedded service is used from now on, at {to.base_url}.")
        elif changed:
            for line in to.greeting:
                self.say(line)

    async def disconnect(self) -> None:
        """Let go of the SDK; the next use connects anew."""
        self._retire()
        former, self._former = self._former, []
        for sdk in former:
            await sdk.aclose()

    def _retire(self) -> None:
        """Use another SDK from now on; what goes on with this one, as commands in the background do, may go on."""
        self._former += [*([] if self._sdk is None else [self._sdk]), *self._user_sdks.values()]
        self._sdk, self._user_sdks = None, {}

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
        request = _request(parameters, self.settings)
        making = self.own(sdk.api.devboxes.create, request, self.connection, keep=keep, keep_alive=keep_alive)
        created = await self._running(sdk, making, progress or Progress(""))
        if use:
            self.choose(created)
        return created

    async def own(
        self,
        make: Callable[..., Awaitable[DevboxView]],
        params: Mapping[str, Any],
        on: Connection,
        *,
        keep: bool | None = None,
        keep_alive: float | None = None,
    ) -> DevboxView:
        """A devbox that `make` creates with `params` on a service, and that belongs to this kernel from then on.

        What is not given is as the user has set it; times that `params` say themselves are left as they are.
        """
        settings = self.settings
        keep = settings.keep if keep is None else keep
        keep_alive = settings.keep_alive if keep_alive is None else keep_alive
        view = await self.owned.create(on, make, params, keep=keep, keep_alive=keep_alive)
        self._note(describe(view), on, made=True, keep=keep)
        return view

    async def _running(
        self, sdk: AsyncRunloopSDK, making: Coroutine[Any, Any, DevboxView], progress: Progress
    ) -> DevboxInfo:
        """The devbox that `making` creates, once it runs; shut down again where the wait is cancelled."""
        from runloop_sdk import UnexpectedStateError, complete_or_undo, run_undo

        async def shut_down(view: DevboxView) -> None:
            await sdk.devbox.from_id(view.id).shutdown()
            self.ended(describe(view))

        view = await complete_or_undo(making, shut_down)
        handle = sdk.devbox.from_id(view.id)

        async def status() -> str:
            return str((await handle.get_info()).status)

        progress.step = view.status
        try:
            async with polling(progress, status):
                return describe(await handle.await_running())
        except asyncio.CancelledError as cancelled:
            await run_undo(shut_down(view), cancelled)
            raise
        except UnexpectedStateError:
            self.ended(describe(view))
            raise

    def choose(self, devbox: DevboxInfo) -> None:
        """Make `devbox` the current one."""
        self.current = devbox
        self.names.add("devbox", devbox.known_as)
        if self.connection is not None:
            self._note(devbox, self.connection)

    def _note(self, devbox: DevboxInfo, on: Connection, *, made: bool = False, keep: bool = False) -> None:
        self.kernel_registry.record(devbox.id, devbox.name, on.service, made=made, keep=keep)

    def ended(self, devbox: DevboxInfo) -> None:
        """Forget a devbox that was shut down or failed."""
        self.owned.drop(devbox.id)
        self.names.drop("devbox", devbox.known_as)
        self.kernel_registry.drop(devbox.id)
        if self.current is not None and self.current.id == devbox.id:
            self.current = None

    async def remembered(self) -> Sequence[Entry]:
        """Devboxes of this service that kernels knew which do not live any more, the last used first."""
        await self.sdk()
        assert self.connection is not None
        return [entry for entry in self.kernel_registry.of_dead_kernels() if entry.service == self.connection.service]

    async def last_used(self) -> DevboxInfo | None:
        """The devbox that this notebook used last, before its kernel was started again, if it can still be used."""
        here, sdk = notebook(), await self.sdk()
        for entry in await self.remembered():
            if here and entry.notebook == here:
                found = await by_id(sdk, entry.devbox_id)
                if found is not None and found.alive:
                    return found
        return None

    async def check_usable(self, devbox_id: str) -> None:
        """Raise `DevboxUnavailableError` if the devbox cannot run commands now."""
        self.check(await find(await self.sdk(), devbox_id))

    def check(self, devbox: DevboxInfo) -> None:
        """The same for one that was just looked at."""
        if not devbox.alive:
            self.ended(devbox)
        error = unavailable(devbox)
        if error is not None:
            raise error

    async def while_service_lives(self, work: Coroutine[Any, Any, T], connection: Connection | None = None) -> T:
        """`work`'s result; `ConnectionLostError` within a second or so of the embedded service's end.

        `connection` is the service that it needs, if it may be another one than now.
        """
        connection = connection or self.connection
        assert connection is not None
        if not connection.embedded:
            return await work
        working = asyncio.ensure_future(work)
        with self._service_watch.of(connection) as ending:
            try:
                await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        raise await self._diagnosed("The connection was lost", Subject(), connection)

    async def diagnosed(
        self,
        error: RunloopError,
        subject: Subject = Subject(),  # noqa: B008 - frozen
        connection: Connection | None = None,
    ) -> MagicError:
        """The error to raise where an answer was lost: it says what the service, the devbox and the command do now.

        `connection` is the service that was asked, if it may be another one than now.
        """
        asked = connection or self.connection
        return RemoteError(str(error)) if asked is None else await self._diagnosed(str(error), subject, asked)

    async def _diagnosed(self, happened: str, subject: Subject, connection: Connection) -> MagicError:
        self._is_doubted = self._is_doubted or connection == self.connection
        found = await investigate(subject, connection, _running_embedded if connection.embedded else None)
        return error_for(happened, subject, found, connection)

    async def guard(self, work: Awaitable[T], doing: str = "") -> T:
        """`work`'s result; what the SDK raises, or the system about a file, comes out as one clear sentence.

        With `doing` a line in the cell tells so once it has taken two seconds.
        """
        from runloop_sdk import RunloopError

        try:
            async with waiting(doing) if doing else nullcontext():
                return await work
        except RunloopError as error:
            raise await self._explained(error) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise UsageError(f"{error.filename}: {error.strerror}.") from error  # a file of this machine

    async def _explained(self, error: RunloopError) -> MagicError:
        from runloop_sdk import (
            APIConnectionError,
            AuthenticationError,
            PermissionDeniedError,
            StreamError,
            UnexpectedStateError,
        )
        from runloop_sdk.models.devboxes import DevboxView

        if isinstance(error, UnexpectedStateError) and isinstance(error.view, DevboxView):
            return unavailable(describe(error.view)) or RemoteError(str(error))
        if isinstance(error, AuthenticationError):
            return self._key_refused()
        if isinstance(error, PermissionDeniedError):
            return RemoteError(f"The key in RUNLOOP_API_KEY may not do this: {error.message} (403).")
        if isinstance(error, APIConnectionError | StreamError):
            return await self.diagnosed(error)
        return RemoteError(str(error))

    def _key_refused(self) -> RemoteError:
        connection = self.connection
        label = connection.label if connection else "Runloop"
        if connection is not None and connection.embedded:
            now = _running_embedded()
            if now is not None and now.api_key != connection.api_key:
                return RemoteError(f"The key of {label} has changed (401); the next cell connects to it again.")
            return RemoteError(f"{_capital(label)} does not accept its own key (401): %runloop doctor looks for more.")
        return RemoteError(
            f"{_capital(label)} does not accept the key in RUNLOOP_API_KEY (401): set a valid one, or none."
        )

    async def close(self) -> None:
        """End its panels, its connections and what it created, although the process lives on."""
        from runloop_sdk import RunloopError

        if "feed" in vars(self):
            self.feed.end()
        try:
            await self.owned.shut_down()
        except RunloopError as error:
            self.say(f"The devboxes of this kernel end when its process does: {error}.")
        self.kernel_registry.end()
        self.current = None
        await self.disconnect()

    def end(self) -> None:
        """The process ends, and with it what this kernel created. Takes three seconds at most; safe to call twice."""
        self.owned.end()
        self.kernel_registry.end()


def _request(parameters: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What the API is asked for: `parameters`, and what the user has set for all devboxes."""
    launch = dict(parameters.get("launch_parameters", {}))
    if settings.size:
        launch.setdefault("resource_size_request", settings.size.upper())
    request = {**parameters, "launch_parameters": launch}
    if settings.blueprint and not {"blueprint_id", "blueprint_name", "snapshot_id"} & request.keys():
        request[blueprint_key(settings.blueprint)] = settings.blueprint
    return request


def blueprint_key(reference: str) -> str:
    """The API's word for a blueprint's name or id."""
    return "blueprint_id" if reference.startswith(("bpt_", "bp_")) else "blueprint_name"


async def _start_embedded(limit: float | None) -> Connection:
    from runloop_local import service

    try:
        endpoint = await service.ensure_running(limit)
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
    from runloop_local import service

    return Connection(
        endpoint.base_url,
        endpoint.api_key,
        embedded=True,
        isolation=endpoint.isolation,
        notes=tuple(endpoint.notes),
        requested=endpoint.requested,
        home=str(service.home()),
    )


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
