"""What the first command imports, imported while the kernel waits for it: a quarter of a second less for the user."""

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
_PAUSE = 0.1  # seconds: a cell that waits already goes first
_BREATH = 0.01  # seconds between two modules, for messages


def preload() -> None:
    """Import them by and by, on the kernel's loop: two threads that import the same packages can fail at it.

    Without a loop, as in a terminal, nothing is done: the first command imports them.
    """
    if "asyncio" not in sys.modules:  # then no loop runs
        return
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(_PAUSE, _import_next, loop, iter(_MODULES))


def _import_next(loop: AbstractEventLoop, names: Iterator[str]) -> None:
    for name in names:
        import_module(name)
        loop.call_later(_BREATH, _import_next, loop, names)
        return
