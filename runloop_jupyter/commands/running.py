"""Running a command in devboxes: from its options to the value of the magic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..executions.command_spec import CommandSpec
from ..output.output_targets import ScreenSize, runs_one_magic
from ..output.progress import waiting
from ..results import DevboxCommandError, DevboxTimeoutError
from ..text.durations import spell_limit
from .devbox_to_use import current_or_new_devbox
from .run_options import FollowOptions, InputOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..executions.background import BackgroundExecution
    from ..executions.fan_out import MakeRun
    from ..executions.run import CommandRun
    from ..output.cell_output import CellOutput
    from ..output.transcript import Stream
    from ..resources.devboxes import DevboxInfo
    from ..results import DevboxResult, FanOutResult
    from ..session import Session
    from ..variables import Variables

    Keep = Callable[[DevboxResult | FanOutResult], None]

RESULT = (
    "For a line a result with `.exit_code`, `.stdout`, `.stderr`, `.output` and `.duration`; for "
    "several devboxes one for each, by name. A cell shows its output and returns nothing: -o NAME "
    "keeps the result. With --bg it is a handle with .wait(), .kill(), .send_stdin() and `.output`."
)
"""The value of a magic that runs something."""
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
"""The mistakes that there can be when something runs."""

_OPEN = "-"
_HANDLE_HAS_IT = "its .output has all of it"
_NAMED = 5  # devboxes that failed


class CommandInput(NamedTuple):
    """The input of a command: a text, what is sent while it runs, or what is typed at a prompt. By default none."""

    text: str | None = None
    is_open: bool = False
    interactive: bool = False


def command_input(options: InputOptions) -> CommandInput:
    """The input that the options ask for. Raises `UsageError` for options that exclude each other."""
    if options.interactive:
        _check_interactive(options)
        return CommandInput(interactive=True)
    if options.stdin == _OPEN:
        if not options.bg:
            raise UsageError(
                "--stdin - keeps the input open for .send_stdin() of a handle: add --bg, or use --interactive."
            )
        return CommandInput(is_open=True)
    if options.stdin is None:
        return CommandInput()
    return CommandInput(_input_text(options.stdin, options.invocation.variables))


def _check_interactive(options: InputOptions) -> None:
    from ..kernel.prompts import can_ask

    if options.stdin is not None:
        raise UsageError("--interactive and --stdin cannot be used together: the input comes from you or from a value.")
    if options.bg:
        raise UsageError("--bg and --interactive cannot be used together: give input with .send_stdin() of the handle.")
    if not can_ask():
        raise UsageError("--interactive cannot be used here: nobody can answer. Give the input with --stdin.")
    if options.means_several:
        raise UsageError("--interactive works on one devbox, but --on names several. --stdin gives the input to all.")


def _input_text(reference: str, variables: Variables) -> str:
    """The value of a variable if `reference` is a name, else `reference` itself with a newline."""
    if not reference.isidentifier():
        return reference if reference.endswith("\n") else reference + "\n"
    value = variables[reference]
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


def command_spec(
    session: Session, options: RunOptions, command: str, stdin: CommandInput, *, shell: str | None = None
) -> CommandSpec:
    """The command with what the options say of it; `shell` is the named shell that it runs in.

    Raises `UsageError` for options that exclude each other.
    """
    if shell and options.user:
        raise UsageError("--shell and --user cannot be used together: a named shell belongs to the devbox's own user.")
    # What a named shell runs leaves its state to the next, which a program on a terminal of its own cannot.
    terminal = options.tty or (stdin.interactive and not shell)
    _check_terminal(options, shell, terminal=terminal)
    return CommandSpec(
        command,
        title=options.invocation.typed.strip().partition("\n")[0],
        cwd=options.cwd,
        env=tuple(options.env),
        user=options.user,
        shell=shell,
        timeout=options.timeout,
        stdin=stdin.text,
        open_input=stdin.is_open,
        interactive=stdin.interactive,
        size=_size(session),
        terminal=terminal,
    )


def _check_terminal(options: RunOptions, shell: str | None, *, terminal: bool) -> None:
    if options.tty and shell:
        raise UsageError("--tty and --shell cannot be used together: what a named shell runs has no terminal.")
    if terminal and options.targets.err:
        option = "--tty" if options.tty else "--interactive"
        raise UsageError(f"--err and {option} cannot be used together: a terminal has one stream, which --out gets.")


def run_maker(session: Session, spec: CommandSpec) -> MakeRun:
    """The function that makes a run of the command on a devbox."""
    from ..executions.run import CommandRun

    return lambda devbox, transcript: CommandRun(session, devbox, spec, transcript)


async def execute(session: Session, options: RunOptions, make: MakeRun, *, keep: Keep | None = None) -> object:
    """Run as the options say. The variables get the result in any case; `keep` gets it first."""
    from ..executions.run import start_in_cell
    from ..output.transcript import Transcript

    said = session.said
    if options.means_several:
        return await _on_several(session, options, make, keep)
    run = make(await _target(session, options.on), Transcript())
    await start_in_cell(run)
    if options.bg:
        return in_background(session, run, options)
    is_alone = runs_one_magic()
    return await _follow(session, run, options, keep, fills_cell=lambda: is_alone and session.said == said)


async def _target(session: Session, references: Sequence[str] | None) -> DevboxInfo:
    if not references:
        async with waiting("connecting"):
            await session.client.sdk()
        return await current_or_new_devbox(session, None)
    async with waiting(f"looking for {references[0]}"):
        return await session.find(references[0])


async def _follow(
    session: Session, run: CommandRun, options: RunOptions, keep: Keep | None, *, fills_cell: Callable[[], bool]
) -> object:
    from ..executions.foreground import run_in_cell

    output = _output(session, options, fills_cell=fills_cell)
    result = await run_in_cell(run, output, show_status=options.invocation.is_cell)
    if keep is not None:
        keep(result)
    return _conclude(run, result, options)


async def watch(session: Session, run: CommandRun, options: FollowOptions) -> object:
    """Wait for a command that goes on if the cell is stopped; the magic's value."""
    from ..executions.foreground import watch_in_cell

    return _conclude(run, await watch_in_cell(run, _output(session, options)), options)


def _conclude(run: CommandRun, result: DevboxResult, options: FollowOptions) -> object:
    value = options.targets.deliver(result)
    raise_failure(run, result, check=not options.no_raise_error)
    return value


def raise_failure(run: CommandRun, result: DevboxResult, *, check: bool) -> None:
    """Raise `DevboxTimeoutError`, or with `check` `DevboxCommandError`, for a command that has not succeeded."""
    if result.timed_out:
        assert run.spec.timeout is not None
        limit = spell_limit(run.spec.timeout)
        raise DevboxTimeoutError(f"Stopped after --timeout {limit} on {run.devbox.label}; {run.fate}.", result)
    if check and not result.success:
        raise DevboxCommandError(f"{result.failure} on {run.devbox.label}.", result)


def in_background(session: Session, run: CommandRun, options: FollowOptions) -> BackgroundExecution | None:
    """The handle on a command that has started; its output goes to this cell when the cell has ended."""
    from ..executions.background import start_in_background

    output = _output(session, options, _HANDLE_HAS_IT)
    return options.targets.deliver_handle(start_in_background(session, run, output))


async def _on_several(session: Session, options: RunOptions, make: MakeRun, keep: Keep | None) -> object:
    from ..executions.background import fan_out_in_background
    from ..executions.fan_out import FanOut
    from ..executions.foreground import run_on_all
    from .matching import matching

    async with waiting("looking for the devboxes"):
        devboxes = await matching(session, options.on or ())
    output = _output(session, options, _HANDLE_HAS_IT if options.bg else "", several=True)
    fan_out = FanOut(session, devboxes, make, output, tail=options.tail)
    if options.bg:
        execution = await fan_out_in_background(session, fan_out, output, fail_fast=options.fail_fast)
        return options.targets.deliver_handle(execution)
    result = await run_on_all(fan_out, output, fail_fast=options.fail_fast, keep=options.invocation.is_cell)
    if keep is not None:
        keep(result)
    value = options.targets.deliver(result)
    if not result.success and not options.no_raise_error:
        raise DevboxCommandError(_several_failed(result), result)
    return value


def _size(session: Session) -> ScreenSize:
    return ScreenSize.of_cell(session.settings.columns)


def _output(
    session: Session,
    options: FollowOptions,
    whole: str = "",
    *,
    several: bool = False,
    fills_cell: Callable[[], bool] = lambda: False,
) -> CellOutput:
    from ..output.cell_output import CellOutput, DisplayLimits

    hidden: tuple[Stream, ...] = ("stdout",) if options.targets.json else ()
    limits = DisplayLimits()
    if options.tail and not several:
        limits = DisplayLimits(head=0, head_lines=0, tail=limits.head, tail_lines=options.tail)
    return CellOutput(
        limits=limits,
        quiet=options.quiet,
        hidden=hidden,
        whole=whole or options.targets.hint,
        size=_size(session),
        fills_cell=fills_cell,
    )


def _several_failed(result: FanOutResult) -> str:
    failed = [
        f"{name} {f'exit code {each.exit_code}' if each.exit_code is not None else each.failure}"
        + (" (--timeout)" if each.timed_out else "")
        for name, each in result.failed.items()
    ]
    named = "; ".join(failed[:_NAMED]) + ("; …" if len(failed) > _NAMED else "")
    return f"{len(failed)} of {len(result)} devboxes failed: {named}."
