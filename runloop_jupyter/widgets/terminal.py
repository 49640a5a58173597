"""A terminal in the notebook: a login shell of the devbox, drawn by xterm.js.

The shell outlives the widget: closing detaches, and the next terminal of this notebook on the same devbox finds the
shell again, with what it printed meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

from ..errors import MagicError
from ..kernel import kernel_registry
from . import assets
from .protocol import terminal as messages
from .protocol.terminal import ShellState
from .terminal_output import TerminalOutput, bursts
from .tool import DevboxTool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runloop_sdk import AsyncDevbox, AsyncPty

    from ..resources.devboxes import DevboxInfo
    from ..session import Session

_MOST = 32  # terminals of one notebook on one devbox


class Terminal(DevboxTool):
    """An interactive shell in the devbox."""

    _esm = assets.script("terminal")
    _sheet = assets.style("terminal")
    protocol = messages.PROTOCOL

    def __init__(self, session: Session, devbox: DevboxInfo, name: str | None = None, **options: Any) -> None:
        super().__init__(session, devbox, "Terminal", **options)
        self.state: ShellState = "detached"
        self._name = name
        self._pty: AsyncPty | None = None
        self._serving = asyncio.Lock()
        self._size = (80, 24)
        self._output = TerminalOutput(self.channel)
        self._typed = bytearray()
        self._typing = asyncio.Event()
        self.channel.on(messages.LoadEmulator, self._send_emulator)
        self.channel.on(messages.Type, self._take_typed)
        self.channel.on(messages.Drawn, lambda view, drawn: self._output.note_drawn(drawn.offset))
        self.channel.on(messages.Resize, self._change_size)
        self.channel.on(messages.Open, self._reopen)

    @property
    def close_message(self) -> str:
        """Says what closing it ends, for the one who closes it."""
        if self.state != "attached":
            return ""
        return f"The shell on {self.devbox.short} runs on for a while; the next terminal finds it again."

    def post_snapshot(self, view: str) -> None:
        """Replay what the terminal shows."""
        state: ShellState = "connecting" if self.state == "detached" else self.state  # `opened` attaches it
        self.channel.post(messages.State(state), view=view)
        self.channel.post(self._output.snapshot(), view=view)

    async def opened(self, hello: messages.Hello) -> None:
        """Attach, if nobody looked so far."""
        self._size = _size(hello.cols, hello.rows, self._size)
        self._output.note_all_drawn()
        if self.state == "detached":
            await self._open()
        else:
            await self._resize()

    async def abandoned(self) -> None:
        """Detach: the shell runs on for its idle time."""
        await self._detach()

    async def ended(self) -> None:
        """Detach, and leave the shell to the next terminal."""
        await self._detach()

    def _send_emulator(self, view: str, _: messages.LoadEmulator) -> None:
        """Send xterm.js: once per page, only when there is a terminal, and never as state that a notebook saves."""
        module, sheet = assets.script("xterm"), assets.style("xterm")
        self.channel.post(messages.Emulator(module.encode(), sheet.encode()), view=view)

    def _take_typed(self, view: str, typed: messages.Type) -> None:
        if self.state in ("connecting", "attached"):  # what is typed while it connects is meant for the shell, too
            self._typed += typed.data
            self._typing.set()

    async def _change_size(self, view: str, size: messages.Resize) -> None:
        self._size = _size(size.cols, size.rows, self._size)
        await self._resize()

    async def _reopen(self, view: str, size: messages.Open) -> None:
        if self.state in ("ended", "lost", "detached"):
            self._size = _size(size.cols, size.rows, self._size)
            await self._open()

    async def _open(self) -> None:
        self._become("connecting")
        self._typed.clear()
        try:
            async with self._serving:
                pty = await self.checked(self._attach())
        except (MagicError, asyncio.CancelledError):
            self._become("lost")
            raise
        self.say("")
        if pty.created or pty is not self._pty:  # what another shell showed before is over
            self._output.reset()
        self._pty = pty
        self._become("attached", found=not pty.created)
        self.channel.begin(self._serve(pty))

    async def _attach(self) -> AsyncPty:
        """The shell that this terminal had, else the first of this notebook's that no other terminal holds."""
        from runloop_sdk import ConflictError

        for pty in self._candidates(await self.handle()):
            try:
                await pty.reattach()
            except ConflictError:
                continue
            await self._fit(pty)
            return pty
        raise MagicError(f"All terminals on {self.devbox.label} are in use: close one.")

    def _candidates(self, devbox: AsyncDevbox) -> Iterator[AsyncPty]:
        cols, rows = self._size
        if self._pty is not None:
            yield self._pty
        if self._name is not None:
            yield devbox.pty(self._name, cols=cols, rows=rows)
            return
        prefix = _prefix()
        for number in range(1, _MOST + 1):
            yield devbox.pty(f"{prefix}-{number}", cols=cols, rows=rows)

    async def _serve(self, pty: AsyncPty) -> None:
        """Move bytes both ways until the shell ends or the connection is lost."""
        from runloop_sdk import StreamError

        async with self._serving:
            typing = asyncio.create_task(self._type(pty))
            try:
                await self._session.client.while_service_lives(self._show(pty))
            except (StreamError, MagicError) as error:
                if self.state == "attached":
                    await self._over("lost", error)
            else:
                if self.state == "attached":
                    await self._over("ended")
            finally:
                typing.cancel()
                with contextlib.suppress(asyncio.CancelledError, StreamError):
                    await typing

    async def _over(self, state: ShellState, error: Exception | None = None) -> None:
        """Say that the shell ended or was lost, and why, as far as can be known."""
        self._become(state)
        if isinstance(error, MagicError):
            raise error
        await self.checked(self._session.check_usable(self.devbox.id))
        if error is not None:
            raise MagicError("The connection to the terminal was lost; the shell may still run.") from error

    async def _show(self, pty: AsyncPty) -> None:
        async with contextlib.aclosing(bursts(pty)) as printed:
            async for data in printed:
                await self._output.print(data)

    async def _type(self, pty: AsyncPty) -> None:
        while True:
            await self._typing.wait()
            self._typing.clear()
            data, self._typed = bytes(self._typed), bytearray()
            await pty.write(data)

    async def _resize(self) -> None:
        if self._pty is not None and self.state == "attached":
            await self._fit(self._pty)

    async def _fit(self, pty: AsyncPty) -> None:
        from runloop_sdk import APIStatusError

        with contextlib.suppress(APIStatusError):  # it has ended meanwhile, which `_show` tells
            await pty.resize(*self._size)

    async def _detach(self) -> None:
        self._become("detached")
        self._output.note_all_drawn()  # nobody is waited for any more
        if self._pty is not None:
            await self._pty.detach()

    def _become(self, state: ShellState, *, found: bool = False) -> None:
        self.state = state
        self.channel.post(messages.State(state, found))


def _size(cols: int, rows: int, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Return a size that a terminal can have; 0 stands for one that the page does not know."""
    if not cols or not rows:
        return otherwise
    return min(max(cols, 2), 1000), min(max(rows, 1), 1000)


def _prefix() -> str:
    """Return the prefix of the names of this notebook's shells: the same again after a restart of its kernel."""
    return f"jupyter-{hashlib.sha256(kernel_registry.notebook().encode(errors='surrogatepass')).hexdigest()[:16]}"
