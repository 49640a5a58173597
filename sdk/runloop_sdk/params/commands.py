"""What running a command takes beside the command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ._options import LongPollingRequestOptions, LongRequestOptions

OutputCallback = Callable[[str], Awaitable[None] | None]


class CommandOptions(LongRequestOptions, total=False):
    """What `exec_async` takes beside the command."""

    stdout: OutputCallback | None
    """Called with each piece of stdout; a plain or a coroutine function."""
    stderr: OutputCallback | None
    """Called with each piece of stderr."""
    output: OutputCallback | None
    """Called with each piece of either, in their order."""
    attach_stdin: bool | None
    """Whether `send_stdin` will be used."""
    shell_name: str | None
    """A named shell: its commands run one after the other and share directory and environment."""


class ExecOptions(CommandOptions, LongPollingRequestOptions, total=False):
    """What `exec` takes beside the command."""

    kill_on_cancel: bool | None
    """False lets the command go on when `exec` is cancelled or fails; a note on the exception has its id."""
