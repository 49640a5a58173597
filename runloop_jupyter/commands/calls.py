"""Commands that Python code calls, instead of a magic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..executions.command_spec import CommandSpec
from ..output.output_targets import ScreenSize
from ..resources.api_limits import VARIABLE
from .devbox_to_use import current_or_new_devbox
from .running import raise_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..results import DevboxResult
    from ..session import Session


async def call(
    session: Session,
    command: str,
    *,
    devbox: str | None,
    cwd: str | None,
    env: Mapping[str, str] | None,
    user: str | None,
    stdin: str | None,
    timeout: float | None,
    check: bool,
) -> DevboxResult:
    """Run a command as `runloop_jupyter.exec` describes it."""
    from ..executions.foreground import run_in_cell
    from ..executions.run import CommandRun, start_in_cell
    from ..output.cell_output import CellOutput
    from ..output.transcript import Transcript

    if not command.strip():
        raise UsageError("There is no command: runloop_jupyter.exec takes a shell command, such as 'uname -a'.")
    if timeout is not None and not timeout > 0:
        raise UsageError(f"The timeout {timeout!r} is no time: give a number of seconds above 0.")
    size = ScreenSize.of_cell(session.settings.columns)
    title = command.strip().partition("\n")[0]
    variables = tuple(_variable(name, value) for name, value in (env or {}).items())
    spec = CommandSpec(command, title, cwd, variables, user, timeout=timeout, stdin=stdin, size=size)
    run = CommandRun(session, await current_or_new_devbox(session, devbox), spec, Transcript())
    await start_in_cell(run)
    output = CellOutput(whole="the result's .output has all of it", size=size)
    result = await run_in_cell(run, output, show_status=False)
    raise_failure(run, result, check=check)
    return result


def _variable(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not VARIABLE.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of an environment variable: write it like MODE.")
    if not isinstance(value, str):
        raise UsageError(f"The environment variable {name} is {type(value).__name__}, but a value must be str.")
    return name, value
