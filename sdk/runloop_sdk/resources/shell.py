"""`devbox.shell(name)`: commands that share a directory and an environment, on every server."""

from __future__ import annotations

import asyncio
import re
import shlex
from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._errors import ConfigurationError
from ..params.commands import CommandOptions, ExecOptions

if TYPE_CHECKING:
    from .command import AsyncCommandInterface
    from .execution import AsyncExecution, AsyncExecutionResult

FOLDER = "$HOME/.runloop/shells"
# POSIX shell. The state is stored on the disk of the devbox, so that it outlives the client, a suspend and a snapshot.
# The trap runs however the command ends, except by `exec` or a signal: then the state stays as it was.
_WRAPPED = """mkdir -p "{folder}"
[ ! -f "{state}.env" ] || . "{state}.env"
[ ! -f "{state}.cwd" ] || cd -- "$(cat "{state}.cwd")" || exit
trap 'set -- $?; export -p > "{state}.env"; pwd > "{state}.cwd"; exit $1' EXIT
eval {command}"""


def typed(command: str) -> str:
    """The original command of one that was wrapped by a named shell; any other command as it is."""
    head, wrapper, quoted = command.partition("' EXIT\neval ")
    if not (wrapper and head.startswith(f'mkdir -p "{FOLDER}"')):
        return command
    try:
        return " ".join(shlex.split(quoted))
    except ValueError:
        return command


@check_arguments
class AsyncNamedShell:
    """A named shell: its commands run one after the other and share a working directory and exported variables.

    The state is kept in the devbox: another client continues it by using the same name.
    """

    def __init__(self, commands: AsyncCommandInterface, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
            raise ConfigurationError(f"{name!r} is no name for a shell: use up to 64 of A-Z a-z 0-9 _ . -")
        self._commands = commands
        self._name = name
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<AsyncNamedShell {self._name}>"

    @property
    def name(self) -> str:
        """The shell's name."""
        return self._name

    async def exec(self, command: str, **params: Unpack[ExecOptions]) -> AsyncExecutionResult:
        """Run `command` in the shell, like `devbox.cmd.exec`."""
        async with self._lock:
            return await self._commands.exec(self.wrapped(command), **params)

    async def exec_async(self, command: str, **params: Unpack[CommandOptions]) -> AsyncExecution:
        """Start `command` in the shell, like `devbox.cmd.exec_async`; the next command waits until it has ended."""
        # Not `async with`: it is held until the command has ended, not until it has been started.
        await self._lock.acquire()
        try:
            execution = await self._commands.exec_async(self.wrapped(command), **params)
        except BaseException:
            self._lock.release()
            raise
        self._release_after(execution)
        return execution

    def wrapped(self, command: str) -> str:
        """The script that restores the shell's state, runs `command`, and saves the state."""
        state = f"{FOLDER}/{self._name}"
        return _WRAPPED.format(folder=FOLDER, state=state, command=shlex.quote(command))

    def _release_after(self, execution: AsyncExecution) -> None:
        async def wait() -> None:
            try:
                await execution.result()
            finally:
                self._lock.release()

        self._waiting = asyncio.create_task(wait())
        # The owner of the execution gets its error; this keeps asyncio from reporting it a second time.
        self._waiting.add_done_callback(lambda task: task.cancelled() or task.exception())
