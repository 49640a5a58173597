"""Terminal sessions of a devbox: a login shell each, which outlives its client for a while.

What a session prints is kept as far back as `KEPT_BYTES`. A client gets it from an offset on; while one is attached
and does not read, the session waits with it, so nothing is lost. While none is, the oldest output makes room.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...sandbox.base import Command, SandboxError
from ...sandbox.terminal import resize
from ..change_notifier import ChangeNotifier
from ..errors import ConflictError, InvalidError, NotFoundError
from .pipes import PipeWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...sandbox.base import Process, Sandbox

KEPT_BYTES = 256 * 1024
IDLE_TTL_S = 900.0
_CHUNK = 64 * 1024
_LARGEST = 1000
End = Literal["exited", "closed", "lost"]


@dataclass(frozen=True, slots=True)
class Size:
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
        self._output = Scrollback()
        self._client: Client | None = None
        self._loop = asyncio.get_running_loop()
        self._input = PipeWriter(os.dup(file))
        self._reading = False
        self._read_on()
        self._watch = asyncio.create_task(self._watch_exit(process))
        self._timer: asyncio.TimerHandle | None = None

    @property
    def attached(self) -> bool:
        """Whether a client is connected."""
        return self._client is not None

    def attach(self, offset: int | None) -> Client:
        """The one client, which reads from `offset` on, or all that is kept. `ConflictError` if there is one."""
        if self.end is not None:
            raise NotFoundError(f"The terminal {self.name!r} has ended: ask for it anew.")
        if self._client is not None:
            raise ConflictError(f"The terminal {self.name!r} has a client already: one at a time.")
        self._stop_timer()
        start = self._output.start if offset is None else self._output.nearest(offset)
        self._client = Client(self, start)
        return self._client

    def detach(self, client: Client, ttl: float) -> None:
        """The client is gone; the session ends unless another comes within `ttl` seconds."""
        if self._client is client:
            self._client = None
            self._read_on()
            self.expire_after(ttl)

    def expire_after(self, ttl: float) -> None:
        """End unless a client comes within `ttl` seconds."""
        self._stop_timer()
        if self.end is None:
            self._timer = self._loop.call_later(ttl, self.close)

    def output(self, offset: int) -> bytes:
        """What was printed from `offset` on, in one piece of bounded size; empty when there is no more."""
        return self._output.read(offset)

    def consumed(self) -> None:
        """The client has made room."""
        self._read_on()

    async def write(self, data: bytes) -> None:
        """What was typed. It is lost when the session has ended."""
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
        if not self._signal(number):
            raise InvalidError(f"Nothing runs in the foreground of the terminal {self.name!r}.")

    def close(self) -> None:
        """Hang up."""
        if self.end is None:
            self._signal(signal.SIGHUP)
            self._finish("closed")

    def lose(self) -> None:
        """The devbox has stopped."""
        self._finish("lost")

    def _signal(self, number: int) -> bool:
        group = _foreground(self._file)
        if group <= 1 or group == os.getpgrp():
            return False
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _require_running(self) -> None:
        if self.end is not None:
            raise NotFoundError(f"The terminal {self.name!r} has ended.")

    async def _watch_exit(self, process: Process) -> None:
        try:
            await process.wait()
        except SandboxError:
            self._finish("lost")
            return
        await self._drain()
        self._finish("exited")

    async def _drain(self) -> None:
        """Keep what it printed last. A background process may hold the terminal open for ever."""
        while self.end is None:
            while self._is_full():
                await self.changed.wait()
            if not self._keep(self._read()):
                return

    def _finish(self, end: End) -> None:
        if self.end is not None:
            return
        self.end = end
        self._stop_timer()
        self._pause()
        self._input.close()
        os.close(self._file)
        if self._watch is not asyncio.current_task():
            self._watch.cancel()
        self.changed.notify()
        self._on_end()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _readable(self) -> None:
        if self._is_full():
            self._pause()
            return
        data = self._read()
        if data is not None and not self._keep(data):
            self._pause()  # hung up: its exit follows

    def _read(self) -> bytes | None:
        """What the terminal has: empty when it has been hung up, None when there is nothing yet."""
        try:
            return os.read(self._file, _CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # Linux's end of a terminal
            return b""

    def _keep(self, data: bytes | None) -> bool:
        if data:
            self._output.append(data, KEPT_BYTES)
            self.changed.notify()
        return bool(data)

    def _is_full(self) -> bool:
        return self._client is not None and self._output.end - self._client.offset >= KEPT_BYTES - _CHUNK

    def _read_on(self) -> None:
        if self.end is None and not self._reading and not self._is_full():
            self._reading = True
            self._loop.add_reader(self._file, self._readable)
            self.changed.notify()

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._file)


class Client:
    """Whoever is attached to a session."""

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


class Scrollback:
    """The last bytes of an endless output, by their offset."""

    def __init__(self) -> None:
        self.start = 0
        self._kept = bytearray()

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.start + len(self._kept)

    def append(self, data: bytes, most: int) -> None:
        """Add to the end; the oldest bytes make room."""
        self._kept += data
        excess = max(0, len(self._kept) - most)
        del self._kept[:excess]
        self.start += excess

    def nearest(self, offset: int) -> int:
        """The offset itself, if it is kept or the next to come."""
        return min(max(offset, self.start), self.end)

    def read(self, offset: int) -> bytes:
        """Some bytes from `offset` on."""
        place = offset - self.start
        return bytes(self._kept[place : place + _CHUNK])


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
        """Whether somebody is attached to one of them."""
        return any(session.attached for session in self)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def get(self, name: str) -> Session:
        """The session of this name; `NotFoundError` if there is none."""
        if name not in self._sessions:
            raise NotFoundError(f"There is no terminal {name!r}: it has ended, or never was.")
        return self._sessions[name]

    async def open(self, name: str, size: Size | None) -> tuple[Session, bool]:
        """The session of this name, and whether it is new; a given size becomes its size."""
        async with self._opening:
            known = self._sessions.get(name)
            if known is None:
                return await self._open(name, size or Size()), True
            if size is not None:
                known.resize(size)
            return known, False

    def detach(self, client: Client) -> None:
        """The client is gone."""
        client.session.detach(client, self.idle_ttl)

    def end(self) -> None:
        """The sandbox has stopped."""
        for session in self:
            session.lose()

    async def _open(self, name: str, size: Size) -> Session:
        process, file = await self._sandbox.spawn_on_terminal(self._command, rows=size.rows, cols=size.cols)
        session = Session(name, process, file, size, lambda: self._sessions.pop(name, None))
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
