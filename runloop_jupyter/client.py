"""The notebook's connection to a service: made when first needed, and anew when another service is meant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from . import embedded as embedded_service
from .connection import Connection, from_environment
from .diagnosis import Subject, error_for, investigate
from .errors import MagicError, RemoteError, UsageError
from .kernel.service_watch import ServiceWatch, refuses
from .output.progress import waiting
from .resources.devboxes import describe, unavailable

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK, RunloopError

T = TypeVar("T")

_CONNECT_WITHIN = 10.0  # seconds for the first connection to a service
_EMBEDDED_RETRIES = 2  # a service on this machine that refuses connections has ended: no reason to wait long


def sdk_for(connection: Connection) -> AsyncRunloopSDK:
    """Return an SDK that talks to a service."""
    from runloop_sdk import AsyncRunloopSDK

    if connection.embedded:
        return AsyncRunloopSDK(
            bearer_token=connection.api_key, base_url=connection.base_url, max_retries=_EMBEDDED_RETRIES
        )
    return AsyncRunloopSDK(bearer_token=connection.api_key, base_url=connection.base_url)


class Client:
    """The SDK, connected to what was chosen, else to what the environment names, else to the embedded service.

    `say` writes a line to the cell; `start_timeout` returns the seconds that the embedded service has to start.
    `on_switch` is called when another service is used from then on, `on_restart` with both connections when the same
    embedded service is at another address.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        start_timeout: Callable[[], float | None],
        *,
        on_switch: Callable[[], None],
        on_restart: Callable[[Connection, Connection], None],
    ) -> None:
        self.connection: Connection | None = None
        """The service in use; None before the first use."""
        self.environ = environ
        self._say = say
        self._start_timeout = start_timeout
        self._on_switch = on_switch
        self._on_restart = on_restart
        self._chosen: Connection | None = None
        self._service_watch = ServiceWatch()
        self._is_doubted = False  # an answer was lost: see that the service can be reached, before many tries
        self._sdk: AsyncRunloopSDK | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that the SDK belongs to: a script may run one after another."""
        self._retired: list[AsyncRunloopSDK] = []
        self._embedded: Connection | None = None

    # The connection

    async def sdk(self) -> AsyncRunloopSDK:
        """Return the SDK, connected. The embedded service is started if need be."""
        wanted = self._named() or await self.embedded()
        if self._sdk is None or wanted != self.connection or self._loop is not asyncio.get_running_loop():
            self.retire()
            await reach(wanted)
            self._sdk = await self._connect(wanted)
            self._loop = asyncio.get_running_loop()
        elif self._is_doubted:
            await reach(wanted)
        self._is_doubted = False
        return self._sdk

    async def connected(self) -> Connection:
        """Return the connection in use, made if need be."""
        await self.sdk()
        assert self.connection is not None
        return self.connection

    async def embedded(self) -> Connection:
        """Return the user's own embedded service, started if it does not run. Raises `RemoteError` when it fails."""
        running = embedded_service.running()
        if running is not None:
            return running
        async with waiting(embedded_service.starting()):
            return await embedded_service.start(self._start_timeout())

    async def connect(self, to: Connection | None) -> Connection:
        """Use another service from now on, whatever the environment says; None for what it says again.

        Nothing changes where the service cannot be reached or does not accept the key.
        """
        before, self._chosen = self._chosen, to
        try:
            await (await self.sdk()).api.devboxes.list(limit=1)
        except BaseException:
            self._chosen = before
            self.retire()
            raise
        return await self.connected()

    def service(self) -> Connection | None:
        """Return the service that would be used now, without starting it; None while the embedded one does not run."""
        return self._named() or embedded_service.running()

    def retire(self, *others: AsyncRunloopSDK) -> None:
        """Use another SDK from now on. What goes on with this one, as commands in the background do, may go on."""
        self._retired += [*([] if self._sdk is None else [self._sdk]), *others]
        self._sdk = None

    async def disconnect(self) -> None:
        """Close the SDK, also those that were retired; the next use connects anew."""
        self.retire()
        retired, self._retired = self._retired, []
        for sdk in retired:
            await sdk.aclose()

    def _named(self) -> Connection | None:
        """Return what was chosen, else what the environment names; None for the embedded service."""
        named = self._chosen or from_environment(self.environ)
        return None if named is None or named.embedded else named

    async def _connect(self, to: Connection) -> AsyncRunloopSDK:
        before, self.connection = self.connection, to
        if before is not None and before.service != to.service:
            self._on_switch()
        if to.embedded:
            await self._meet_embedded(to, changed=before is None or not before.embedded)
        return sdk_for(to)

    async def _meet_embedded(self, to: Connection, *, changed: bool) -> None:
        before, self._embedded = self._embedded, to
        if before is not None and before != to:
            is_same = before.service == to.service
            if is_same:
                self._on_restart(before, to)
            if is_same and await refuses(before):
                self._say("The embedded service had ended and was started again; what ran is suspended: %devbox resume")
            else:
                self._say(f"Another embedded service is used from now on, at {to.base_url}.")
        elif changed:
            for line in to.greeting:
                self._say(line)

    # Errors

    async def while_service_lives(self, work: Coroutine[object, object, T], connection: Connection | None = None) -> T:
        """Return `work`'s result; `ConnectionLostError` within a second or so of the embedded service's end.

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
        """Return the error for a lost answer: it says what the service, the devbox and the command do now.

        `connection` is the service that was asked, if it may be another one than now.
        """
        asked = connection or self.connection
        return RemoteError(str(error)) if asked is None else await self._diagnosed(str(error), subject, asked)

    async def _diagnosed(self, happened: str, subject: Subject, connection: Connection) -> MagicError:
        self._is_doubted = self._is_doubted or connection == self.connection
        found = await investigate(subject, connection, embedded_service.running if connection.embedded else None)
        return error_for(happened, subject, found, connection)

    async def guard(self, work: Awaitable[T], doing: str = "") -> T:
        """Return `work`'s result; what the SDK raises, or the system about a file, comes out as one clear sentence.

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
            now = embedded_service.running()
            if now is not None and now.api_key != connection.api_key:
                return RemoteError(f"The key of {label} has changed (401); the next cell connects to it again.")
            return RemoteError(f"{_capital(label)} does not accept its own key (401): %runloop doctor looks for more.")
        return RemoteError(
            f"{_capital(label)} does not accept the key in RUNLOOP_API_KEY (401): set a valid one, or none."
        )


async def reach(connection: Connection) -> None:
    """Raise `RemoteError` at once, not after many tries, where nothing answers at the address of a first use."""
    if connection.embedded or (not connection.loopback and _has_proxy()):
        return
    where = urlsplit(connection.base_url)
    port = where.port or (443 if where.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_CONNECT_WITHIN):
            _, writer = await asyncio.open_connection(where.hostname, port)
    except OSError as error:
        raise _unreachable(connection, error) from error
    writer.close()


def _has_proxy() -> bool:
    from urllib.request import getproxies  # with an HTTP client that nobody needs

    return bool(getproxies())


def _unreachable(connection: Connection, error: Exception) -> RemoteError:
    cause = str(error) or f"no answer within {_CONNECT_WITHIN:.0f} s"
    return RemoteError(f"Cannot reach {connection.label}: {cause}. Check the network and RUNLOOP_BASE_URL.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
