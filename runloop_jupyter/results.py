"""The results of commands, which `%%devbox exec -o NAME` assigns to NAME."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .errors import MagicError, UsageError
from .output.terminal_text import last_line, safe_text
from .text.durations import spell_duration

if TYPE_CHECKING:
    from pandas import DataFrame

    from .executions.grid import Row
    from .output.transcript import Transcript

_EXCERPT = 30  # characters on either side of where JSON is wrong
_COLOURS = {True: "var(--jp-success-color1, #2e7d32)", False: "var(--jp-error-color1, #c62828)"}


def running_cell() -> int | None:
    """The number of the running cell; None outside IPython."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return None if shell is None else int(shell.execution_count)


def excerpt(text: str) -> str:
    """A text as a cell shows it: the head and the tail of a long one."""
    from .output.output_limits import DisplayLimits, Tail

    limits = DisplayLimits()
    if len(text) <= limits.head + limits.tail and text.count("\n") <= limits.head_lines + limits.tail_lines:
        return safe_text(text)
    head = "".join(text[: limits.head].splitlines(keepends=True)[: limits.head_lines])
    tail = Tail(limits.tail, limits.tail_lines)
    tail.append("stdout", text[len(head) :])
    end = "".join(part for _, part in tail.end())
    return f"{safe_text(head)}\x1b[0m\n... {tail.hidden} not shown; .output has all of it ...\n{safe_text(end)}"


class ResultFacts(TypedDict):
    """The fields of a `DevboxResult` beside the exit code, the output and the error."""

    duration: float
    execution_id: str
    devbox_id: str
    devbox: str
    timed_out: bool
    shown_in: int | None


class DevboxResult:
    """The result of a command: its exit code, its complete output, and its duration in seconds.

    `exit_code` is None if there is none, for example because the devbox ended before the command did; `error` then says
    why. `timed_out` is true if the command exceeded --timeout.
    """

    def __init__(
        self,
        exit_code: int | None,
        transcript: Transcript,
        *,
        duration: float,
        execution_id: str,
        devbox_id: str,
        devbox: str = "",
        error: str = "",
        timed_out: bool = False,
        shown_in: int | None = None,
    ) -> None:
        self.exit_code = exit_code
        self.timed_out = timed_out
        self.duration = duration
        self.execution_id = execution_id
        self.devbox_id = devbox_id
        self.devbox = devbox or devbox_id
        self.error = error
        self._transcript = transcript
        self._shown_in = shown_in

    @property
    def success(self) -> bool:
        """True if the exit code is 0."""
        return self.exit_code == 0

    @property
    def stdout(self) -> str:
        """All of the command's standard output."""
        return self._transcript.stdout

    @property
    def stderr(self) -> str:
        """All of the command's standard error."""
        return self._transcript.stderr

    @property
    def output(self) -> str:
        """Standard output and standard error together, in the order in which they arrived."""
        return self._transcript.output

    @property
    def outcome(self) -> str:
        """The end of the command, in one line."""
        text = f"✗ {self.error}" if self.exit_code is None else outcome(self.exit_code, self.duration)
        return text + (" · --timeout" if self.timed_out else "")

    @property
    def failure(self) -> str:
        """The failure of the command, as the beginning of an error message."""
        code = self.exit_code
        if code is None:
            return self.error.rstrip(".")
        return f"exit code {code}{_signal_note(code)} after {spell_duration(self.duration)}"

    @property
    def replaced(self) -> bool:
        """True if some bytes of the output were not UTF-8, and � stands for them."""
        return self._transcript.replaced

    @property
    def last_line(self) -> str:
        """The last line of the output, without colours."""
        return last_line(self._transcript.end())

    def json(self) -> Any:
        """Parse the standard output as JSON. Raises `UsageError` that says where it is wrong."""
        return parse_json(self.stdout, self.devbox)

    def __repr__(self) -> str:
        return f"{self.outcome} · {len(self._transcript):,} characters of output"

    def __str__(self) -> str:
        return self.output

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """The output; in the cell that streamed it already, only a line about how the command ended."""
        # A result that is the last value of its own cell must not repeat the output that stands above it.
        if self._shown_in == running_cell() or not len(self._transcript):
            return {"text/plain": repr(self), "text/html": self._html(repr(self))}
        shown = excerpt(self.output)
        end = "" if self.success else f"\n{self.outcome}"
        return {"text/plain": shown.rstrip("\n") + end}

    def _html(self, text: str) -> str:
        from .rendering.page import escaped

        return f'<span style="color: {_COLOURS[self.success]}">{escaped(text)}</span>'


class PythonResult(DevboxResult):
    """The result of a Python cell, with the values of `--out` and the displayed MIME bundles."""

    def __init__(
        self, exit_code: int | None, transcript: Transcript, *, error: str = "", **facts: Unpack[ResultFacts]
    ) -> None:
        super().__init__(exit_code, transcript, error=error, **facts)
        self.values: dict[str, Any] = {}
        self.displays: list[dict[str, Any]] = []
        self.exception = ""

    @property
    def failure(self) -> str:
        """The exception and the line of the cell that raised it."""
        return self.exception or super().failure


class FanOutResult(Mapping[str, DevboxResult]):
    """The results of one command on many devboxes, by the name of the devbox, or by its id if two share a name."""

    def __init__(self, results: Iterable[DevboxResult]) -> None:
        results = list(results)
        names = Counter(result.devbox for result in results)
        self._results = {result.devbox if names[result.devbox] == 1 else result.devbox_id: result for result in results}

    def __getitem__(self, name: str) -> DevboxResult:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def failed(self) -> dict[str, DevboxResult]:
        """The results whose exit code is not 0."""
        return {name: result for name, result in self.items() if not result.success}

    @property
    def success(self) -> bool:
        """True if every exit code is 0."""
        return not self.failed

    @property
    def stdout(self) -> dict[str, str]:
        """The standard output of each command."""
        return {name: result.stdout for name, result in self.items()}

    @property
    def stderr(self) -> dict[str, str]:
        """The standard error of each command."""
        return {name: result.stderr for name, result in self.items()}

    def json(self) -> dict[str, Any]:
        """Parse the standard output of each command as JSON. Raises `UsageError` that says where it is wrong."""
        return {name: result.json() for name, result in self.items()}

    def to_dataframe(self) -> DataFrame:
        """A pandas DataFrame with one row for each devbox."""
        from .rendering import data_frame

        rows = [
            {
                "devbox": name,
                "exit_code": result.exit_code,
                "seconds": result.duration,
                "stdout": result.stdout,
                "stderr": result.stderr,
                "error": result.error,
                "devbox_id": result.devbox_id,
                "execution_id": result.execution_id,
            }
            for name, result in self.items()
        ]
        return data_frame(rows).astype({"exit_code": "Int64"})

    @property
    def outcome(self) -> str:
        """The number of successes or failures, in one line."""
        failed = self.failed
        if not failed:
            return f"✓ all {len(self)} succeeded"
        return f"✗ {len(failed)} of {len(self)} failed"

    def __repr__(self) -> str:
        from .rendering import aligned

        if not self:
            return "no devboxes"
        rows = [(name, result.outcome, result.last_line) for name, result in self.items()]
        return f"{aligned(rows)}\n{self.outcome}"

    def _repr_html_(self) -> str:
        from .executions.grid import grid_html

        return grid_html([row_of(name, result) for name, result in self.items()], self.outcome)


def row_of(name: str, result: DevboxResult) -> Row:
    """The row of a finished command in the grid of a fan-out."""
    from .executions.grid import Row, State

    if result.exit_code is None:
        return Row(name, "failed", "no exit code", result.duration, result.error)
    state: State = "done" if result.success else "failed"
    return Row(name, state, f"exit code {result.exit_code}", result.duration, result.last_line)


class DevboxCommandError(MagicError):
    """The command ended with an exit code other than 0, on one devbox at least; `result` has its output."""

    def __init__(self, message: str, result: DevboxResult | FanOutResult) -> None:
        super().__init__(message)
        self.result = result


class DevboxTimeoutError(DevboxCommandError):
    """The command exceeded --timeout and was killed for it; `result` has its output so far."""


def _signal_note(code: int) -> str:
    """The signal that shells mean by an exit code above 128: "as after", as a program may also choose such a code."""
    try:
        return f" (as after {signal.Signals(code - 128).name})"
    except ValueError:
        return ""


def outcome(exit_code: int, duration: float) -> str:
    """A command's summary in one line: "✓ exit code 0 · 0.31 s"."""
    return f"{'✗' if exit_code else '✓'} exit code {exit_code} · {spell_duration(duration)}"


def parse_json(text: str, where: str) -> Any:
    """Parse a command's output. Raises `UsageError` that says where it is not JSON."""
    if not text.strip():
        raise UsageError(f"The command on {where} printed nothing to stdout, where --json wants JSON.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        around = text[max(error.pos - _EXCERPT, 0) : error.pos + _EXCERPT]
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"stdout on {where} is not JSON at {place}: {error.msg}, near {around!r}.") from error
    except (ValueError, RecursionError) as error:  # a number with too many digits; too many nested lists
        raise UsageError(f"stdout on {where} is JSON that Python cannot read: {error}.") from error
