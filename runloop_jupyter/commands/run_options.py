"""Options of the subcommands that run a command, or show its output."""

from __future__ import annotations

from collections.abc import Sequence

from .argument_types import assignment, duration, number_of, variable
from .invocation import InvocationOptions
from .matching import is_pattern
from .parser import Parser
from .result_targets import ResultTargets


class FollowOptions(InvocationOptions):
    """Options of a subcommand that shows a command's output: how much of it, and where the result goes."""

    result: str | None
    bg: bool
    quiet: bool
    tail: int | None
    no_raise_error: bool

    @property
    def targets(self) -> ResultTargets:
        """The variables that get the result."""
        return ResultTargets(self.invocation, self.result)


class RunOptions(FollowOptions):
    """Options of a subcommand that runs a command: on which devboxes, and in what surroundings."""

    on: Sequence[str] | None
    fail_fast: bool
    timeout: float | None
    cwd: str | None
    env: Sequence[tuple[str, str]]
    tty: bool
    user: str | None

    @property
    def means_several(self) -> bool:
        """True if --on may mean more than one devbox."""
        on = self.on or ()
        return len(on) > 1 or any(map(is_pattern, on))


class CaptureOptions(RunOptions):
    """Options of a subcommand that puts a command's streams into variables, or reads them as JSON."""

    out: str | None
    err: str | None
    json: bool

    @property
    def targets(self) -> ResultTargets:
        """The variables that get the result and its streams."""
        return ResultTargets(self.invocation, self.result, self.out, self.err, self.json)


class InputOptions(RunOptions):
    """Options of a subcommand that gives a command its input."""

    stdin: str | None
    interactive: bool


def add_capture_options(parser: Parser[CaptureOptions]) -> None:
    """Add those of `CaptureOptions`, in the order of the help."""
    parser.add_argument("--out", metavar="NAME", type=variable, help="put stdout into this variable")
    parser.add_argument("--err", metavar="NAME", type=variable, help="put stderr into this variable")
    add_result_option(parser)
    parser.add_argument("--json", action="store_true", help="read stdout as JSON: the result, and what --out gets")
    add_run_options(parser)


def add_result_option(parser: Parser[FollowOptions]) -> None:
    """Add --result NAME."""
    parser.add_argument(
        "--result", "-o", metavar="NAME", type=variable, help="put the result object into this variable"
    )


def add_run_options(parser: Parser[RunOptions]) -> None:
    """Add those of `RunOptions`, but for --result."""
    parser.add_name(
        "devboxes",
        "--on",
        metavar="NAME|ID|GLOB|all",
        action="append",
        help="the devbox to run on instead of the current one; several with 'web-*', all, or --on again",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="of several devboxes: the first failure kills the rest"
    )
    add_background_option(parser)
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=duration, help="kill the command after so long: 90, 90s, 5m"
    )
    parser.add_argument("--cwd", metavar="DIR", help="the directory to run in")
    parser.add_argument(
        "--env", metavar="K=V", action="append", default=[], type=assignment, help="environment variable"
    )
    parser.add_argument(
        "--tty", action="store_true", help="give it a terminal: colours, the width, bars that are redrawn"
    )
    parser.add_argument("--user", metavar="NAME", help="the user to run as, in place of the devbox's own")
    add_display_options(parser)


def add_input_options(parser: Parser[InputOptions]) -> None:
    """Add --stdin and --interactive."""
    parser.add_name(
        "variable",
        "--stdin",
        metavar="NAME|TEXT",
        help="the input: a variable's value, or this text and a newline; - with --bg: what .send_stdin() sends",
    )
    parser.add_argument(
        "--interactive", "-i", action="store_true", help="answer at a prompt what the command asks at its terminal"
    )


def add_background_option(parser: Parser[FollowOptions]) -> None:
    """Add --bg."""
    parser.add_argument(
        "--bg", action="store_true", help="return at once a handle with .wait() .kill() .send_stdin(); output goes on"
    )


def add_display_options(parser: Parser[FollowOptions]) -> None:
    """Add --quiet, --tail and --no-raise-error."""
    parser.add_argument("--quiet", action="store_true", help="show neither output nor status")
    parser.add_argument("--tail", metavar="N", type=number_of("lines"), help="show only the last N lines")
    parser.add_argument("--no-raise-error", action="store_true", help="let the cell succeed whatever the exit code")
