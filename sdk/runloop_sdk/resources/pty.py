"""`devbox.pty(session)`: an interactive terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self, TypedDict, Unpack

from .._arguments import check_arguments
from .._errors import APIConnectionError, APIStatusError, ConfigurationError, StreamError, status_error
from .._ids import uuid7
from .._retry import backoff
from .._tunnels import tunnel_address
from ..cancellation import run_undo

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.http11 import Response

    from .._tunnels import TunnelAddress
    from ..api._client import AsyncRunloopAPI

PORT = 13
ENDED = 4000
"""The code with which the server closes the WebSocket when the shell has ended."""
_OFFSET = "x-runloop-pty-offset"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LARGEST = 1000


class _Host(TypedDict):
    base_url: str
    auth_token: str
    extra_headers: dict[str, str]


class _Action(TypedDict, total=False):
    action: Literal["resize", "signal", "close"]
    cols: int
    rows: int
    signal: str


@check_arguments
class AsyncPty:
    """One terminal session with a login shell.

    `async with` attaches to it. At its end it is detached: the shell runs on for a while, and can be attached to again
    by its name. A session that the caller did not name is closed instead. A second client gets a `ConflictError`.
    """

    def __init__(
        self,
        api: AsyncRunloopAPI,
        devbox_id: str,
        session: str | None = None,
        *,
        cols: int | None = None,
        rows: int | None = None,
    ) -> None:
        self._api = api
        self._devbox_id = devbox_id
        self._anonymous = session is None
        self._session = f"pty-{uuid7()}" if session is None else session
        self._cols, self._rows = _checked_size(cols, rows)
        self._socket: ClientConnection | None = None
        self._tunnel: _Tunnel | None = None
        self._position: int | None = None
        self._ended = False
        self._created = False
        if not _NAME.fullmatch(self._session):
            raise ConfigurationError(
                f"{self._session[:80]!r} is no name for a terminal: use up to 256 of A-Z a-z 0-9 _ -"
            )

    def __repr__(self) -> str:
        state = "ended" if self._ended else "detached" if self._socket is None else "attached"
        return f"<AsyncPty {self._session} {state}>"

    async def __aenter__(self) -> Self:
        await self.reattach()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leaving = self.close() if self._anonymous else self.detach()
        if error is None:
            await leaving
        else:
            await run_undo(leaving, error)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    @property
    def session(self) -> str:
        """The session's name."""
        return self._session

    @property
    def created(self) -> bool:
        """True if the last `reattach` started a new shell."""
        return self._created

    @property
    def ended(self) -> bool:
        """True once `read` has returned the end of the shell."""
        return self._ended

    async def read(self) -> bytes:
        """The next bytes of output, as soon as there are any; empty once the shell has ended.

        Raises `StreamError` if the connection is lost; `reattach` resumes it.
        """
        from websockets.exceptions import ConnectionClosed

        if self._ended:
            return b""
        try:
            data = await self._attached().recv()
        except ConnectionClosed as closed:
            self._note_end(closed.rcvd.code if closed.rcvd else None)
            return b""
        data = data.encode() if isinstance(data, str) else data
        if self._position is not None:
            self._position += len(data)
        return data or await self.read()

    async def write(self, data: bytes | str) -> None:
        """Send input; "\\x03" is Ctrl-C, "\\x04" Ctrl-D. Ignored once the shell has ended."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._attached().send(data.encode() if isinstance(data, str) else data)
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != ENDED:
                raise StreamError(f"The connection to the terminal {self._session!r} is lost: reattach()") from closed

    async def resize(self, cols: int, rows: int) -> None:
        """Set the size in characters, 1 to 1000; programs in the foreground get SIGWINCH."""
        self._cols, self._rows = _checked_size(cols, rows)
        await self._control(action="resize", cols=cols, rows=rows)

    async def signal(self, name: str) -> None:
        """Send a signal, like "SIGINT", to the foreground process; raises `BadRequestError` for an unknown name."""
        await self._control(action="signal", signal=name)

    async def detach(self) -> None:
        """Disconnect; the shell runs on for its idle time. After `reattach`, its output of that time can be read."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def reattach(self) -> None:
        """Connect again, to a new shell if the old one has ended. Resumes at the position of `read`, if possible."""
        await self.detach()
        view = await self._api.devboxes.create_pty_tunnel(self._devbox_id)
        tunnel = _Tunnel(tunnel_address(self._api.config.base_url, view.tunnel_key, PORT), view.auth_token)
        self._tunnel = tunnel
        session = await self._api.pty.connect(self._session, cols=self._cols, rows=self._rows, **tunnel.host)
        self._created, self._ended = session.created, False
        if session.created:  # a new shell has none of the output that was read before
            self._position = None
        if not session.connect_url:
            raise StreamError(f"The server gave no address for the terminal {self._session!r}")
        path = session.connect_url
        if self._position is not None:
            path += f"{'&' if '?' in path else '?'}offset={self._position}"
        self._socket = await tunnel.connect(path, self._api.config.max_retries)
        self._position = _position(self._socket)
        await self._api.adopt(self)

    async def close(self) -> None:
        """End the shell; does nothing if it has ended."""
        try:
            if not self._ended and self._tunnel is not None:
                await self._control(action="close")
        except APIStatusError as error:
            if error.status_code != 404:  # it has ended by itself
                raise
        finally:
            await self.detach()
            self._ended = True

    def _attached(self) -> ClientConnection:
        if self._socket is None:
            raise self._detached()
        return self._socket

    def _detached(self) -> StreamError:
        return StreamError(f"The terminal {self._session!r} is detached: use it in `async with`, or reattach()")

    def _note_end(self, code: int | None) -> None:
        if code != ENDED:
            raise StreamError(f"The connection to the terminal {self._session!r} is lost: reattach()")
        self._ended = True

    async def _control(self, **action: Unpack[_Action]) -> None:
        if self._tunnel is None:
            raise self._detached()
        await self._api.pty.control(self._session, **action, **self._tunnel.host)


@dataclass(frozen=True, slots=True)
class _Tunnel:
    """The way to the terminals of a devbox."""

    address: TunnelAddress
    token: str = field(repr=False)

    @property
    def host(self) -> _Host:
        """The options of a request that goes this way."""
        headers = {} if self.address.host is None else {"host": self.address.host}
        return {"base_url": self.address.base_url, "auth_token": self.token, "extra_headers": headers}

    async def connect(self, path: str, max_retries: int) -> ClientConnection:
        """A WebSocket to a terminal."""
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        for attempt in range(max_retries + 1):
            try:
                return await self._open(path)
            except InvalidStatus as error:
                # The terminal server in the devbox may still be starting.
                if error.response.status_code not in (502, 503) or attempt == max_retries:
                    raise _refusal(error.response, path) from error
            except (OSError, InvalidHandshake) as error:
                raise APIConnectionError(
                    f"The terminal cannot be reached ({error})", method="GET", path=path
                ) from error
            await asyncio.sleep(backoff(attempt))
        raise AssertionError("unreachable")

    async def _open(self, path: str) -> ClientConnection:
        from websockets.asyncio.client import connect
        from websockets.typing import Subprotocol

        return await connect(
            self.address.websocket_url + path,
            subprotocols=[Subprotocol(self.token)],
            compression=None,
            max_size=None,
            **self.address.connect_options(),
        )


def _position(socket: ClientConnection) -> int | None:
    """The position in the shell's output at which the socket begins; None from a service that does not say."""
    offset = socket.response.headers.get(_OFFSET) if socket.response is not None else None
    return int(offset) if offset is not None and offset.isdigit() else None


def _checked_size(cols: int | None, rows: int | None) -> tuple[int | None, int | None]:
    if cols is not None or rows is not None:
        for name, value in (("cols", cols), ("rows", rows)):
            if value is None or not 1 <= value <= _LARGEST:
                raise ConfigurationError(f"{name} is {value!r}; a terminal has 1 to {_LARGEST} cols and as many rows.")
    return cols, rows


def _refusal(response: Response, path: str) -> APIStatusError:
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return status_error(response.status_code, headers, bytes(response.body or b""), method="GET", path=path)
