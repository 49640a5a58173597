"""Terminal sessions of a devbox: a login shell each, which outlives its client for a while.

The output of a session is kept as far back as `scrollback.KEPT_BYTES`. A client gets it from an offset on; while one is
attached and does not read, the session waits with it, so nothing is lost. While none is, the oldest output makes room.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from typing import TYPE_CHECKING, Literal

import msgspec

from ...sandbox.base import Command, SandboxError
from ...sandbox.terminal import resize
from ..change_notifier import ChangeNotifier
from ..errors import ConflictError, InvalidError, NotFoundError
from .pipes import PipeWriter
from .scrollback import TerminalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...sandbox.base import Process, Sandbox

IDLE_TTL_S = 900.0
_LARGEST = 1000
End = Literal["exited", "closed", "lost"]


class Size(msgspec.Struct, frozen=True):
    """A terminal's size in characters."""

    cols: int = 80
    rows: int = 24

    def __post_init__(self) -> None:
        for name, value in (("cols", self.cols), ("rows", self.rows)):
            if not 1 <= value <= _LARGEST:
                raise InvalidError(f"{name} must be a whole number from 1 to {_LARGEST}, not {value}.")


class Session:
    """One login shell on a terminal."""

    def __init__(self, name: str, process: Process, file: int, size: Size, on_end: Callable[[], object]) -> None:
        self.name = name
        self.size = size
        self.end: End | None = None
        self.changed = ChangeNotifier()
        self._file = file
        self._on_end = on_end
        self._client: Client | None = None
        self._reader = TerminalReader(file, self._unread_from, self.changed.notify)
        # A copy, as reader and writer each close their own: the numbers of both must not be closed twice.
        self._input = PipeWriter(os.dup(file))
        self._reader.resume()
        self._watch = asyncio.create_task(self._watch_exit(process))
        self._timer: asyncio.TimerHandle | None = None

    @property
    def attached(self) -> bool:
        """True while a client is connected."""
        return self._client is not None

    def attach(self, offset: int | None) -> Client:
        """The one client, which reads from `offset` on, or all that is kept. Raises `ConflictError` if there is one."""
        if self.end is not None:
            raise NotFoundError(f"The terminal {self.name!r} has ended: ask for it anew.")
        if self._client is not None:
            raise ConflictError(f"The terminal {self.name!r} has a client already: one at a time.")
        self._stop_timer()
        output = self._reader.output
        self._client = Client(self, output.start if offset is None else output.nearest(offset))
        return self._client

    def detach(self, client: Client, ttl: float) -> None:
        """Let the client go; the session ends unless another comes within `ttl` seconds."""
        if self._client is client:
            self._client = None
            # Reading stopped where the client was; without one, the oldest output makes room for the newest.
            self.consumed()
            self.expire_after(ttl)

    def expire_after(self, ttl: float) -> None:
        """End unless a client comes within `ttl` seconds."""
        self._stop_timer()
        if self.end is None:
            self._timer = asyncio.get_running_loop().call_later(ttl, self.close)

    def output(self, offset: int) -> bytes:
        """The output from `offset` on, in one piece of bounded size; empty when there is no more."""
        return self._reader.output.read(offset)

    def consumed(self) -> None:
        """Read on, as the client has made room."""
        if self.end is None:
            self._reader.resume()

    async def write(self, data: bytes) -> None:
        """Type `data`. It is lost when the session has ended."""
        try:
            await self._input.write(data)
        except OSError:
            return  # its reader sees the end

    def resize(self, size: Size) -> None:
        """Change the size; programs in the foreground are told."""
        self._require_running()
        resize(self._file, size.rows, size.cols)
        self.size = size

    def signal(self, name: str) -> None:
        """Send the signal of this name to what runs in the foreground."""
        number = getattr(signal.Signals, name, None) if name.startswith("SIG") else None
        if number is None:
            raise InvalidError(f"signal must be the name of a signal, like SIGINT, not {name!r}.")
        self._require_running()
        if not _signal_foreground(self._file, number):
            raise InvalidError(f"Nothing runs in the foreground of the terminal {self.name!r}.")

    def close(self) -> None:
        """Hang up."""
        if self.end is None:
            _signal_foreground(self._file, signal.SIGHUP)
            self._finish("closed")

    def lose(self) -> None:
        """End the session, as the devbox has stopped."""
        self._finish("lost")

    def _unread_from(self) -> int | None:
        """The offset that the client has read up to; None if there is no client."""
        return None if self._client is None else self._client.offset

    def _require_running(self) -> None:
        if self.end is not None:
            raise NotFoundError(f"The terminal {self.name!r} has ended.")

    async def _watch_exit(self, process: Process) -> None:
        try:
            await process.wait()
        except SandboxError:
            self._finish("lost")
            return
        # The exit is seen before the last of the output has been read.
        await self._drain()
        self._finish("exited")

    async def _drain(self) -> None:
        """Keep what it printed last. A background process may hold the terminal open for ever."""
        while self.end is None:
            while self._reader.is_full():
                await self.changed.wait()
            if not self._reader.read():
                return

    def _finish(self, end: End) -> None:
        if self.end is not None:
            return
        self.end = end
        self._stop_timer()
        self._reader.pause()
        self._input.close()
        os.close(self._file)
        # The watcher ends itself when the shell exits, and a task that cancels itself would not reach its end.
        if self._watch is not asyncio.current_task():
            self._watch.cancel()
        self.changed.notify()
        self._on_end()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Client:
    """The client of a session."""

    def __init__(self, session: Session, offset: int) -> None:
        self.session = session
        self.offset = offset

    async def read(self) -> bytes:
        """The next output; empty at the end of the session."""
        while not (data := self.session.output(self.offset)):
            if self.session.end is not None:
                return b""
            await self.session.changed.wait()
        self.offset += len(data)
        self.session.consumed()
        return data


class Terminals:
    """The terminal sessions of one started sandbox, by name."""

    def __init__(self, sandbox: Sandbox, command: Command, idle_ttl: float) -> None:
        self._sandbox = sandbox
        self._command = command
        self.idle_ttl = idle_ttl
        self._sessions: dict[str, Session] = {}
        self._opening = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """True while somebody is attached to one of them."""
        return any(session.attached for session in self)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def get(self, name: str) -> Session:
        """The session of this name; raises `NotFoundError` if there is none."""
        if name not in self._sessions:
            raise NotFoundError(f"There is no terminal {name!r}: it has ended, or never was.")
        return self._sessions[name]

    async def open(self, name: str, size: Size | None) -> tuple[Session, bool]:
        """The session of this name, and True if it is new; a given size becomes its size."""
        # Two requests for one name at once must not make two shells, of which one would be lost.
        async with self._opening:
            known = self._sessions.get(name)
            if known is None:
                return await self._open(name, size or Size()), True
            if size is not None:
                known.resize(size)
            return known, False

    def detach(self, client: Client) -> None:
        """Let the client go."""
        client.session.detach(client, self.idle_ttl)

    def end(self) -> None:
        """End all sessions, as the sandbox has stopped."""
        for session in self:
            session.lose()

    async def _open(self, name: str, size: Size) -> Session:
        process, file = await self._sandbox.spawn_on_terminal(self._command, rows=size.rows, cols=size.cols)
        session = Session(name, process, file, size, lambda: self._sessions.pop(name, None))
        # A session that is made and never attached to would else last as long as the devbox.
        session.expire_after(self.idle_ttl)
        self._sessions[name] = session
        return session


def _foreground(file: int) -> int:
    """The process group in the foreground of a terminal, as this process sees it; 0 when there is none."""
    try:
        found: int = struct.unpack("i", fcntl.ioctl(file, termios.TIOCGPGRP, b"\0\0\0\0"))[0]
    except OSError:
        return 0
    return found


def _signal_foreground(file: int, number: int) -> bool:
    """Send a signal to what runs in the foreground of a terminal; False if nothing does."""
    group = _foreground(file)
    # A group that is not visible here reads as 0, and to signal that would be to signal the service itself.
    if group <= 1 or group == os.getpgrp():
        return False
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
