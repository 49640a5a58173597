"""What the subcommands that run something in a devbox share: their options, and how their results come out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from ..executions.command_spec import CommandSpec
from ..output.output_targets import ScreenSize, runs_one_magic
from ..output.progress import waiting
from ..results import DevboxCommandError, DevboxTimeoutError
from ..text.durations import spell_duration
from .parser import Parser, assignment, duration, variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..executions.background import BackgroundExecution
    from ..executions.fan_out import MakeRun
    from ..executions.run import CommandRun
    from ..output.cell_output import CellOutput
    from ..output.transcript import Stream
    from ..resources.devboxes import DevboxInfo
    from ..results import DevboxResult, FanOutResult
    from ..session import Session

T = TypeVar("T")

RESULT = (
    "For a line a result with `.exit_code`, `.stdout`, `.stderr`, `.output` and `.duration`; for "
    "several devboxes one for each, by name. A cell shows its output and returns nothing: -o NAME "
    "keeps the result. With --bg it is a handle with .wait(), .kill(), .send_stdin() and `.output`."
)
"""What running something returns."""
MISTAKES = (
    (
        "An exit code other than 0 raises `DevboxCommandError`, so that Run All stops there; its "
        "`.result` has everything. --no-raise-error lets the cell succeed."
    ),
    ("A command that takes longer than --timeout is killed and raises `DevboxTimeoutError`, with the output so far."),
    "Stop kills the command with all that it started; a second Stop gives up at once.",
    (
        "A connection that is lost kills nothing: it is tried again for as long as the command runs, and a cell that "
        "gives up says what the command does and how %devbox attach finds it again."
    ),
    ("A devbox that ends in the middle fails the cell and says why; what it printed until then is kept."),
    (
        "Where --on names several, all run to their end and the cell fails if one of them did; "
        "--fail-fast kills the others."
    ),
)
"""What can go wrong when something runs."""

_OPEN = "-"
_HANDLE_HAS_IT = "its .output has all of it"
_NAMED = 5  # devboxes that failed


def add_running_options(made: Parser) -> None:
    """The options that say where and how to run, and where the results go."""
    made.add_argument("--out", metavar="NAME", type=variable, help="put stdout into this variable")
    made.add_argument("--err", metavar="NAME", type=variable, help="put stderr into this variable")
    made.add_argument("--result", "-o", metavar="NAME", type=variable, help="put the result object into this variable")
    made.add_argument("--json", action="store_true", help="read stdout as JSON: the result, and what --out gets")
    add_common_options(made)


def add_common_options(made: Parser) -> None:
    """Those that do not depend on what is run."""
    add_target_option(made)
    made.add_argument("--fail-fast", action="store_true", help="of several devboxes: the first failure kills the rest")
    add_background_option(made)
    made.add_argument("--timeout", metavar="SECONDS", type=duration, help="kill the command after so long: 90, 90s, 5m")
    made.add_argument("--cwd", metavar="DIR", help="the directory to run in")
    made.add_argument("--env", metavar="K=V", action="append", default=[], type=assignment, help="environment variable")
    made.add_argument(
        "--tty", action="store_true", help="give it a terminal: colours, the width, bars that are redrawn"
    )
    made.add_argument("--user", metavar="NAME", help="the user to run as, in place of the devbox's own")
    add_showing_options(made)
    made.set_defaults(stdin=None, interactive=False)


def add_input_options(made: Parser) -> None:
    """Where the command's input comes from."""
    made.add_name(
        "variable",
        "--stdin",
        metavar="NAME|TEXT",
        help="the input: a variable's value, or this text and a newline; - with --bg: what .send_stdin() sends",
    )
    made.add_argument(
        "--interactive", "-i", action="store_true", help="answer at a prompt what the command asks at its terminal"
    )


def add_target_option(made: Parser) -> None:
    """--on, as often as there are devboxes to name."""
    made.add_name(
        "devboxes",
        "--on",
        metavar="NAME|ID|GLOB|all",
        action="append",
        help="the devbox to run on instead of the current one; several with 'web-*', all, or --on again",
    )


def add_background_option(made: Parser) -> None:
    """--bg."""
    made.add_argument(
        "--bg", action="store_true", help="return at once a handle with .wait() .kill() .send_stdin(); output goes on"
    )


def add_showing_options(made: Parser) -> None:
    """How much the cell shows, and whether a failure fails it."""
    made.add_argument("--quiet", action="store_true", help="show neither output nor status")
    made.add_argument("--tail", metavar="N", type=_count, help="show only the last N lines")
    made.add_argument("--no-raise-error", action="store_true", help="let the cell succeed whatever the exit code")


def order_of(session: Session, args: argparse.Namespace, command: str, *, stdin: str | None = None) -> CommandSpec:
    """The order for a command, from the options; `stdin` is its input where no option gives one.

    Raises `UsageError` for options that exclude each other.
    """
    shell = getattr(args, "shell", None)
    if shell and args.user:
        raise UsageError("--shell and --user cannot be used together: a named shell belongs to the devbox's own user.")
    if args.interactive and args.stdin is not None:
        raise UsageError("--interactive and --stdin cannot be used together: the input comes from you or from a value.")
    if args.stdin == _OPEN and not args.bg:
        raise UsageError(
            "--stdin - keeps the input open for .send_stdin() of a handle: add --bg, or use --interactive."
        )
    # What a named shell runs leaves its state to the next, which a program on a terminal of its own cannot.
    terminal = args.tty or (args.interactive and not shell)
    _check_terminal(args, shell, terminal=terminal)
    return CommandSpec(
        command,
        title=args.typed.strip().partition("\n")[0],
        cwd=args.cwd,
        env=tuple(args.env),
        user=args.user,
        shell=shell,
        timeout=args.timeout,
        stdin=stdin if args.stdin in (None, _OPEN) else _input(args.stdin, args),
        open_input=args.stdin == _OPEN,
        interactive=args.interactive,
        size=_size(session),
        terminal=terminal,
    )


def _check_terminal(args: argparse.Namespace, shell: str | None, *, terminal: bool) -> None:
    if args.tty and shell:
        raise UsageError("--tty and --shell cannot be used together: what a named shell runs has no terminal.")
    if terminal and getattr(args, "err", None):
        option = "--tty" if args.tty else "--interactive"
        raise UsageError(f"--err and {option} cannot be used together: a terminal has one stream, which --out gets.")


def runs(session: Session, order: CommandSpec) -> MakeRun:
    """How an order becomes a run on a devbox."""
    from ..executions.run import CommandRun

    return lambda devbox, transcript: CommandRun(session, devbox, order, transcript)


async def execute(
    session: Session, args: argparse.Namespace, make: MakeRun, *, keep: Callable[[Any], None] | None = None
) -> object:
    """Run as the options say. The variables get the result in any case; `keep` gets it first."""
    from ..executions.run import start_in_cell
    from ..output.transcript import Transcript

    if args.interactive:
        _check_interactive(args)
    said = session.said
    if _means_several(args.on):
        return await _on_several(session, args, make, keep)
    run = make(await _target(session, args.on), Transcript())
    await start_in_cell(run)
    if args.bg:
        return in_background(session, run, args)
    is_alone = runs_one_magic()
    return await _follow(session, run, args, keep, fills_cell=lambda: is_alone and session.said == said)


async def _target(session: Session, references: Sequence[str] | None) -> DevboxInfo:
    if not references:
        async with waiting("connecting"):
            await session.sdk()
        return await session.target(None)
    async with waiting(f"looking for {references[0]}"):
        return await session.find(references[0])


async def _follow(
    session: Session,
    run: CommandRun,
    args: argparse.Namespace,
    keep: Callable[[Any], None] | None,
    *,
    fills_cell: Callable[[], bool],
) -> object:
    from ..executions.foreground import run_in_cell

    output = _output(session, args, fills_cell=fills_cell)
    result = await run_in_cell(run, output, show_status=args.cell is not None)
    if keep is not None:
        keep(result)
    return _concluded(run, result, args)


async def watch(session: Session, run: CommandRun, args: argparse.Namespace) -> object:
    """What comes of a command that goes on if the cell is stopped."""
    from ..executions.foreground import watch_in_cell

    return _concluded(run, await watch_in_cell(run, _output(session, args)), args)


def _concluded(run: CommandRun, result: DevboxResult, args: argparse.Namespace) -> object:
    value = _keep(result, args)
    if result.timed_out:
        told = f"Stopped after --timeout {spell_duration(args.timeout)} on {run.devbox.label}; {run.fate}."
        raise DevboxTimeoutError(told, result)
    if not result.success and not args.no_raise_error:
        raise DevboxCommandError(f"{result.failure} on {run.devbox.label}.", result)
    return value


def in_background(session: Session, run: CommandRun, args: argparse.Namespace) -> BackgroundExecution | None:
    """The handle on a command that has started; its output goes to this cell when the cell has ended."""
    from ..executions.background import start_in_background

    return _handed_over(start_in_background(session, run, _output(session, args, _HANDLE_HAS_IT)), args)


def _handed_over(execution: T, args: argparse.Namespace) -> T | None:
    """A handle goes into its variable; what the magic returns."""
    if not args.result:
        return execution
    args.variables[args.result] = execution
    return None if args.cell is not None else execution


async def _on_several(
    session: Session, args: argparse.Namespace, make: MakeRun, keep: Callable[[Any], None] | None
) -> object:
    from ..executions.background import fan_out_in_background
    from ..executions.fan_out import FanOut
    from ..executions.foreground import run_on_all
    from .matching import matching

    if args.interactive:
        raise UsageError("--interactive works on one devbox, but --on names several. --stdin gives the input to all.")
    async with waiting("looking for the devboxes"):
        devboxes = await matching(session, args.on)
    output = _output(session, args, _HANDLE_HAS_IT if args.bg else "")
    fan_out = FanOut(session, devboxes, make, output, tail=args.tail)
    if args.bg:
        return _handed_over(await fan_out_in_background(session, fan_out, output, fail_fast=args.fail_fast), args)
    result = await run_on_all(fan_out, output, fail_fast=args.fail_fast, keep=args.cell is not None)
    if keep is not None:
        keep(result)
    value = _keep(result, args)
    if not result.success and not args.no_raise_error:
        raise DevboxCommandError(_several_failed(result), result)
    return value


def _means_several(references: Sequence[str] | str | None) -> bool:
    from .matching import is_pattern

    if not references or isinstance(references, str):  # attach takes one
        return False
    return len(references) > 1 or is_pattern(references[0])


def _check_interactive(args: argparse.Namespace) -> None:
    from ..kernel.prompts import can_ask

    if args.bg:
        raise UsageError("--bg and --interactive cannot be used together: give input with .send_stdin() of the handle.")
    if not can_ask():
        raise UsageError("--interactive cannot be used here: nobody can answer. Give the input with --stdin.")


def _size(session: Session) -> ScreenSize:
    return ScreenSize.of_cell(session.settings.columns)


def _output(
    session: Session, args: argparse.Namespace, whole: str = "", *, fills_cell: Callable[[], bool] = lambda: False
) -> CellOutput:
    from ..output.cell_output import CellOutput, DisplayLimits

    hidden: tuple[Stream, ...] = ("stdout",) if getattr(args, "json", False) else ()
    limits = DisplayLimits()
    if args.tail and not _means_several(args.on):
        limits = DisplayLimits(head=0, head_lines=0, tail=limits.head, tail_lines=args.tail)
    return CellOutput(
        limits=limits,
        quiet=args.quiet,
        hidden=hidden,
        whole=whole or _whole(args),
        size=_size(session),
        fills_cell=fills_cell,
    )


def _keep(result: DevboxResult | FanOutResult, args: argparse.Namespace) -> object:
    """Set the variables; what the magic returns, which for a cell is nothing unless it is JSON."""
    out, is_json = getattr(args, "out", None), getattr(args, "json", False)
    if getattr(args, "err", None):
        args.variables[args.err] = result.stderr
    if args.result:
        args.variables[args.result] = result
    if not is_json:
        if out:
            args.variables[out] = result.stdout
        return None if args.cell is not None else result
    if not result.success:
        return result  # its stdout is what it printed before it failed
    value = result.json()
    if out:
        args.variables[out] = value
    return None if args.cell is not None and (out or args.result) else value


def _whole(args: argparse.Namespace) -> str:
    """Where all of a long output is, for the line that stands for what a cell does not show."""
    if args.result:
        return f"{args.result}.output has all of it"
    if getattr(args, "out", None):
        return f"{args.out} has all of stdout"
    return "-o NAME keeps all of it in a variable"


def _several_failed(result: FanOutResult) -> str:
    failed = [
        f"{name} {f'exit code {each.exit_code}' if each.exit_code is not None else each.failure}"
        + (" (--timeout)" if each.timed_out else "")
        for name, each in result.failed.items()
    ]
    named = "; ".join(failed[:_NAMED]) + ("; …" if len(failed) > _NAMED else "")
    return f"{len(failed)} of {len(result)} devboxes failed: {named}."


def _input(reference: str, args: argparse.Namespace) -> str:
    """What follows --stdin: a variable's value if it is a name, else the text itself with a newline."""
    if not reference.isidentifier():
        return reference if reference.endswith("\n") else reference + "\n"
    value = args.variables[reference]
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"--stdin {reference}: its bytes are not UTF-8 text (see byte {error.start}). "
                "Send them as a file: %devbox upload FILE"
            ) from error
    raise UsageError(f"--stdin {reference}: it is a {type(value).__name__}, but an input must be str or bytes.")


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines: write it like 20")
    return int(text)
