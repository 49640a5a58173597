"""Parameters for running a command, besides the command itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ._options import LongPollingRequestOptions, LongRequestOptions

OutputCallback = Callable[[str], Awaitable[None] | None]


class CommandOptions(LongRequestOptions, total=False):
    """Parameters of `devbox.cmd.exec_async`, besides the command."""

    stdout: OutputCallback | None
    """Called with each piece of stdout; a plain or a coroutine function."""
    stderr: OutputCallback | None
    """Called with each piece of stderr."""
    output: OutputCallback | None
    """Called with each piece of either, in their order."""
    attach_stdin: bool | None
    """True to allow `send_stdin`."""
    shell_name: str | None
    """A named shell: its commands run one after the other and share directory and environment."""


class ExecOptions(CommandOptions, LongPollingRequestOptions, total=False):
    """Parameters of `devbox.cmd.exec`, besides the command."""

    kill_on_cancel: bool | None
    """False to let the command run on if `exec` is cancelled or fails; a note on the exception has its id."""
