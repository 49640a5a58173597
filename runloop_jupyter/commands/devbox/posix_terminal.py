"""Connects the terminal in which IPython runs to one in a devbox. POSIX only."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runloop_sdk import AsyncPty

assert sys.platform != "win32"

_DETACH = b"\x1d"  # Ctrl-]


async def pass_through(pty: AsyncPty) -> None:
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
