"""`%devbox pty`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...kernel.prompts import is_live
from ...operations.lifecycle import handle_of
from ...resources.devboxes import unavailable
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runloop_sdk import AsyncPty

    from ...session import Session

_DETACH = b"\x1d"  # Ctrl-]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(DevboxArgument):
    """The options of `%devbox pty`."""

    session: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox pty`."""
    made = Parser(
        Options,
        "%devbox pty",
        "Open an interactive terminal in a devbox: in the cell of a notebook, or right here in a terminal.",
        "In a terminal Ctrl-] leaves it; a named one runs on and is found again by its name.",
    )
    made.shows_output = True
    add_devbox_argument(made)
    made.add_argument("--session", metavar="NAME", help="a terminal by name, that runs on when it is left")
    return made.explain(
        ("a terminal in the current devbox", "%devbox pty"),
        ("one that runs on when it is left, and is found again", "%devbox pty web --session work"),
        returns="Nothing in a terminal; in a notebook the terminal, as a widget.",
        mistakes=[
            "Where there is neither a notebook nor a terminal, as in a script, it says so.",
        ],
    )


async def run(session: Session, options: Options) -> object:
    """Open a terminal in the devbox."""
    from IPython.core.getipython import get_ipython

    devbox = await session.find(options.devbox) if options.devbox else await current_or_new_devbox(session, None)
    error = unavailable(devbox)
    if error is not None:
        raise error
    if getattr(get_ipython(), "kernel", None) is not None:
        if not is_live():
            raise UsageError("%devbox pty cannot be used here: nobody can type. %devbox exec runs single commands.")
        from ...widgets.terminal import Terminal

        return Terminal(session, devbox, options.session)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("%devbox pty needs a terminal or a notebook; %devbox exec runs single commands.")
    size = os.get_terminal_size()
    handle = await handle_of(session, devbox)
    async with handle.pty(options.session, cols=size.columns, rows=size.lines) as pty:
        session.say(f"Terminal on {devbox.label}; Ctrl-] leaves it.")
        await _pass_through(pty)
    session.say(f"\r\nLeft the terminal on {devbox.short}.")
    return None


async def _pass_through(pty: AsyncPty) -> None:
    """Keys go to the devbox as they are typed, what it prints comes as it is, until its shell ends or Ctrl-]."""
    loop = asyncio.get_running_loop()
    keys: asyncio.Queue[bytes] = asyncio.Queue()
    stdin = sys.stdin.fileno()
    resized = asyncio.Event()
    with _raw(stdin):
        loop.add_reader(stdin, lambda: keys.put_nowait(os.read(stdin, 65536)))
        loop.add_signal_handler(signal.SIGWINCH, resized.set)
        tasks = [asyncio.create_task(each) for each in (_print(pty), _type(pty, keys), _resize(pty, resized))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(stdin)
            loop.remove_signal_handler(signal.SIGWINCH)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed ahead is not thrown away
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def _print(pty: AsyncPty) -> None:
    while data := await pty.read():
        await asyncio.to_thread(_write_all, data)


def _write_all(data: bytes) -> None:
    sys.stdout.flush()
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


async def _type(pty: AsyncPty, keys: asyncio.Queue[bytes]) -> None:
    while True:
        data = await keys.get()
        before, detach, _ = data.partition(_DETACH)
        if before:
            await pty.write(before)
        if detach or not data:
            return


async def _resize(pty: AsyncPty, resized: asyncio.Event) -> None:
    while True:
        await resized.wait()
        resized.clear()
        size = os.get_terminal_size()
        await pty.resize(size.columns, size.lines)
