"""What the subcommands that run something in a devbox share: their options, and how their results come out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..durations import spell_duration
from ..errors import DevboxCommandError, DevboxTimeoutError
from ..executions.order import Order
from .parser import Parser, add_on_option, assignment, duration, variable

if TYPE_CHECKING:
    from ..cell_output import CellOutput
    from ..executions.run import CommandRun
    from ..results import DevboxResult
    from ..session import Session


def add_running_options(made: Parser) -> None:
    """The options that say where and how to run, and where the results go."""
    add_on_option(made, "the devbox to run on instead of the current one")
    made.add_argument("--out", metavar="NAME", type=variable, help="put stdout into this variable")
    made.add_argument("--err", metavar="NAME", type=variable, help="put stderr into this variable")
    made.add_argument("--result", "-o", metavar="NAME", type=variable, help="put the result object into this variable")
    made.add_argument("--timeout", metavar="SECONDS", type=duration, help="kill the command after so long: 90, 90s, 5m")
    made.add_argument("--cwd", metavar="DIR", help="the directory to run in")
    made.add_argument("--env", metavar="K=V", action="append", default=[], type=assignment, help="environment variable")
    made.add_argument("--quiet", action="store_true", help="show neither output nor status")
    made.add_argument("--no-raise-error", action="store_true", help="let the cell succeed whatever the exit code")


def order_of(args: argparse.Namespace, command: str) -> Order:
    """The order for a command, from the options."""
    return Order(
        command,
        title=args.typed.strip().partition("\n")[0],
        cwd=args.cwd,
        env=tuple(args.env),
        shell=getattr(args, "shell", None),
        timeout=args.timeout,
    )


async def execute(session: Session, args: argparse.Namespace, order: Order) -> DevboxResult:
    """Run the order as the options say. The variables get the result in any case."""
    from ..executions.foreground import run_in_cell
    from ..executions.run import started

    run = await started(session, await session.target(args.on), order)
    result = await run_in_cell(run, _output(args), show_status=args.cell is not None)
    _keep(result, args)
    _check(run, result, args)
    return result


def _output(args: argparse.Namespace) -> CellOutput:
    from ..cell_output import CellOutput

    return CellOutput(quiet=args.quiet, whole=_whole(args))


def _keep(result: DevboxResult, args: argparse.Namespace) -> None:
    for name, value in ((args.out, result.stdout), (args.err, result.stderr), (args.result, result)):
        if name:
            args.variables[name] = value


def _whole(args: argparse.Namespace) -> str:
    """Where all of a long output is, for the line that stands for what a cell does not show."""
    if args.result:
        return f"{args.result}.output has all of it"
    if args.out:
        return f"{args.out} has all of stdout"
    return "-o NAME keeps all of it in a variable"


def _check(run: CommandRun, result: DevboxResult, args: argparse.Namespace) -> None:
    where = run.devbox.label
    if run.timed_out:
        told = f"Stopped after --timeout {spell_duration(args.timeout)} on {where}; the command was killed."
        raise DevboxTimeoutError(told, result)
    if not result.success and not args.no_raise_error:
        killed = f" (killed by signal {result.exit_code - 128})" if 128 < result.exit_code <= 192 else ""
        took = spell_duration(result.duration)
        raise DevboxCommandError(f"exit code {result.exit_code}{killed} after {took} on {where}.", result)
