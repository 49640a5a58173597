"""Imports what the first command needs while the kernel is idle, which saves the user a quarter of a second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_MODULES = (
    "pydantic",
    "httpx",
    "runloop_sdk.api.devboxes",
    "runloop_sdk.resources.devbox",
    "runloop_jupyter.session",
    "runloop_jupyter.commands.devbox.exec",
    "runloop_jupyter.executions.foreground",
    "runloop_local.service",
)
_DELAY = 0.1  # seconds before the first import: a cell that waits already runs first
_INTERVAL = 0.01  # seconds between two imports, in which the loop handles messages


def preload() -> None:
    """Import the modules one by one on the kernel's loop.

    Not in a thread: a cell that imports the same packages meanwhile could see them half initialised. Without a running
    loop, as in a terminal, nothing is done, and the first command imports them.
    """
    if "asyncio" not in sys.modules:  # so no loop runs, and importing asyncio would cost more than it tells
        return
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(_DELAY, _import_next, loop, iter(_MODULES))


def _import_next(loop: AbstractEventLoop, names: Iterator[str]) -> None:
    for name in names:
        import_module(name)
        loop.call_later(_INTERVAL, _import_next, loop, names)
        return
