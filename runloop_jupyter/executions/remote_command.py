"""A command as its service has it: how it is started, taken up, killed, and how it ended."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ..diagnosis import Subject
from ..errors import RemoteError, UsageError
from ..resources.devboxes import DevboxInfo, describe

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox, AsyncExecution

    from ..connection import Connection
    from .command_spec import CommandSpec
    from .context import RunContext

T = TypeVar("T")

_KILLED = 128 + 9  # also what a command ends with whose devbox went away
_END_PATIENCE = 10.0  # seconds that a command's end may lag behind the end of its output, or behind a kill
_SETTLING = 2.5  # seconds that a devbox's end may lag behind that of the program which used all its memory


class RemoteCommand:
    """A command on a devbox of the service that was used when it began: the notebook may use another one meanwhile."""

    def __init__(self, context: RunContext, devbox: DevboxInfo) -> None:
        self.devbox = devbox
        self.execution: AsyncExecution | None = None
        """The SDK's handle on it, once it has started."""
        self.connection: Connection | None = None
        """The connection that it was started by."""
        self._context = context
        self._box: AsyncDevbox | None = None
        self._is_killed = False  # by this program

    @property
    def execution_id(self) -> str:
        """Its id; empty before it has started."""
        return self.execution.execution_id if self.execution else ""

    async def box(self) -> AsyncDevbox:
        """The SDK's devbox, by the connection that was used first."""
        if self._box is None:
            self._box = (await self._context.client.sdk()).devbox.from_id(self.devbox.id)
            self.connection = self._context.client.connection
        return self._box

    async def start(self, spec: CommandSpec) -> None:
        """Start it; `DevboxUnavailableError` tells what the devbox is doing instead."""
        box = await self.box()
        runner = box.shell(spec.shell) if spec.shell else box.cmd
        starting = runner.exec_async(spec.prepared, attach_stdin=True if spec.attaches_stdin else None)
        self.execution = await self.diagnosed(starting, starting=True)

    async def attach(self, execution_id: str) -> None:
        """Take up one that runs already."""
        self.execution = (await self.box()).execution(execution_id)

    async def kill(self) -> None:
        """Kill it with all that it started."""
        assert self.execution is not None
        self._is_killed = True
        await self.execution.kill()

    async def exit_code(self) -> int:
        """Its exit code, once its output has ended. Raises what ended the devbox, if that is why it ended."""
        from runloop_sdk import PollingConfig

        assert self.execution is not None
        result = await self.execution.result(polling_config=PollingConfig(timeout_seconds=_END_PATIENCE))
        if result.exit_code is None:  # mostly the devbox ended before the command did
            await self._check_devbox()
            raise RemoteError(
                f"The command on {self.devbox.label} ended without an exit code: %devbox logs may say why."
            )
        # Nobody here killed it: a devbox that is out of memory or out of time kills what runs before its own record
        # says that it has ended, and "exit code 137" would be all that the user learns.
        if result.exit_code == _KILLED and not self._is_killed:
            await self.check_ended()
        return result.exit_code

    async def check_ended(self) -> None:
        """Raise `DevboxUnavailableError` if the devbox has ended, or is about to: it does so after what it ran."""
        from runloop_sdk import PollingConfig, PollingTimeoutError, UnexpectedStateError

        with suppress(PollingTimeoutError, UnexpectedStateError):
            await (await self.box()).await_suspended(polling_config=PollingConfig(timeout_seconds=_SETTLING))
        await self._check_devbox()

    async def check_surroundings(self, spec: CommandSpec, exit_code: int) -> None:
        """Raise `UsageError` where the command did not begin because its directory or user does not exist."""
        from runloop_sdk.own_commands import own_command

        for command, problem in spec.checks(exit_code):
            if not (await (await self.box()).cmd.exec(own_command(command))).success:
                raise UsageError(problem.format(self.devbox.label))

    async def diagnosed(self, work: Awaitable[T], *, starting: bool = False) -> T:
        """`work`'s result; where an answer is lost or refused, the error says what the devbox and the command do."""
        from runloop_sdk import (
            APIConnectionError,
            APIStatusError,
            AuthenticationError,
            PermissionDeniedError,
            StreamError,
        )

        try:
            return await work
        except (AuthenticationError, PermissionDeniedError):
            raise
        except APIStatusError:
            # A devbox that has ended refuses with 404 or 400, which says nothing: its own state is the better answer.
            await self._check_devbox()
            raise
        except (APIConnectionError, StreamError) as error:
            subject = Subject(self.devbox, self.execution_id, starting)
            raise await self._context.client.diagnosed(error, subject, self.connection) from error

    async def _check_devbox(self) -> None:
        """Raise `DevboxUnavailableError` if the devbox, on the service where the command is, cannot run commands."""
        self._context.check(describe(await (await self.box()).get_info()))
