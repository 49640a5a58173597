"""Imports what the first command needs while the kernel is idle, which saves the user a quarter of a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# In steps that each hold up the loop for a moment only: a module after those that it imports.
_MODULES = (
    "pydantic",
    "pydantic.types",
    "pydantic.main",
    "runloop_sdk",
    "runloop_sdk.models.launch",
    "runloop_sdk.models.devboxes",
    "runloop_sdk.params.devboxes",
    "runloop_sdk.api.devboxes",
    "runloop_sdk.api.executions",
    "runloop_sdk.resources.devbox",
    "runloop_sdk._event_stream",
    "runloop_jupyter.session",
    "runloop_jupyter.commands.devbox.exec",
    "runloop_jupyter.kernel.keep_alive",
    "runloop_jupyter.kernel.loop",
    "runloop_jupyter.output.cell_output",
    "runloop_jupyter.variables",
    "runloop_jupyter.executions.foreground",
    "runloop_jupyter.executions.run",
    "runloop_local.service",
)
_DELAY = 0.1  # seconds before the first import: a cell that waits already runs first
_INTERVAL = 0.01  # seconds between two imports, in which the loop handles messages
_PAUSE = 1.0  # seconds between two looks whether a command has ended


class Preload:
    """Imports the modules one by one on the kernel's loop, and stands back while a command runs.

    Not in a thread: a cell that imports the same packages meanwhile could see them half initialised.
    """

    def __init__(self) -> None:
        self._commands = 0
        steps: list[Callable[[], object]] = [*(partial(import_module, name) for name in _MODULES), _build_views]
        self._steps = iter(steps)

    def start(self) -> None:
        """Begin soon. Without a running loop, as in a terminal, nothing is done: the first command imports it all."""
        if "asyncio" not in sys.modules:  # so no loop runs, and importing asyncio would cost more than it tells
            return
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_later(_DELAY, self._do_next, loop)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand back: a command imports what it needs itself, and pydantic only once its devbox has been asked for."""
        self._commands += 1
        try:
            yield
        finally:
            self._commands -= 1

    def _do_next(self, loop: AbstractEventLoop) -> None:
        if self._commands:
            loop.call_later(_PAUSE, self._do_next, loop)
            return
        for step in self._steps:
            step()
            loop.call_later(_INTERVAL, self._do_next, loop)
            return


def _build_views() -> None:
    """Build the views of the first command's answers.

    With the first one, pydantic looks for plugins in all packages that are installed: half of the time until the first
    byte, where there are 160 of them.
    """
    from runloop_sdk.models.devboxes import DevboxView
    from runloop_sdk.models.executions import DevboxAsyncExecutionDetailView, ExecutionUpdateChunk

    for view in (DevboxView, DevboxAsyncExecutionDetailView, ExecutionUpdateChunk):
        view.build_now()
