"""Long commands in real time: every pattern in every way to run one, at once, with heartbeats and without.

    python -m tests.long_commands --minutes 10

Nearly all of it is sleep. The table says of each how it ended, and the exit status is the number of those that failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.jupyter import kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.jupyter.long_ways import NAMES, Outcome, Pattern, judged, patterns, read

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Trial:
    """How long the commands are, in seconds, and how time goes for heartbeats and for the SDK's streams."""

    seconds: float
    interval: float = 1.0
    heartbeat: float = 15.0
    stream_timeout: float = 60.0
    alone: Sequence[str] = NAMES
    """The patterns that are also run each by a cell of a kernel of their own."""


@contextmanager
def started(folder: Path, heartbeat: float) -> Iterator[Home]:
    """The user's own service in a folder, which kernels take for the embedded one."""
    with embedded_home(folder) as home:
        command = [sys.executable, "-m", "runloop_local", "serve", "--heartbeat", str(heartbeat)]
        with subprocess.Popen(command, env={**os.environ, **home.env}, stdout=subprocess.PIPE) as serving:
            assert serving.stdout is not None
            serving.stdout.readline()
            try:
                yield home
            finally:
                serving.terminate()


@contextmanager
def begun(trial: Trial, folder: Path) -> Iterator[Callable[[], list[Outcome]]]:
    """All commands of a trial, started on a service of their own; what is given waits for their outcomes."""
    report = folder / "report.json"
    boxes = "".join(f"%devbox create --name long-{name} --env PATTERN={name}\n" for name in NAMES)
    call = f"await run_all(get_ipython(), {trial.seconds}, {trial.interval}, {str(report)!r})"
    with ExitStack() as stack:
        home = stack.enter_context(started(folder / "home", trial.heartbeat))
        together = _kernel(stack, trial, home)
        together.run(f"%devbox create --name main\n{boxes}").check()
        all_of_them = together.send(f"from tests.jupyter.long_ways import run_all\n{call}")
        alone = [
            _Alone(_kernel(stack, trial, home), pattern)
            for pattern in patterns(trial.seconds, trial.interval)
            if pattern.name in trial.alone
        ]

        def outcomes() -> list[Outcome]:
            _ended(together, all_of_them, trial).check()
            return [*read(report), *(each.outcome(trial) for each in alone)]

        yield outcomes


def _kernel(stack: ExitStack, trial: Trial, home: Home) -> kernels.Kernel:
    """A kernel with the magics, in which time goes as the trial says."""
    kernel = stack.enter_context(kernels.start(home.env))
    kernel.run(
        f"import sys, runloop_sdk._config\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"runloop_sdk._config.STREAM_TIMEOUT = {trial.stream_timeout}\n%load_ext runloop_jupyter",
    ).check()
    return kernel


def _ended(kernel: kernels.Kernel, cell: kernels.Cell, trial: Trial) -> kernels.Cell:
    """Wait for the end of a cell that takes as long as the trial."""
    end = monotonic() + trial.seconds
    while not cell.is_over and monotonic() < end:
        kernel.listen(0.2)
    return kernel.ended(cell)


class _Alone:
    """A cell that has a kernel for itself."""

    def __init__(self, kernel: kernels.Kernel, pattern: Pattern) -> None:
        self._kernel = kernel
        self._pattern = pattern
        kernel.run(f"%devbox create --name alone-{pattern.name}").check()
        self._cell = kernel.send(f"%%devbox exec --quiet --no-raise-error -o r\n{pattern.shell}")

    def outcome(self, trial: Trial) -> Outcome:
        """How it ended."""
        cell = _ended(self._kernel, self._cell, trial)
        if cell.error:
            return judged("a cell", self._pattern, RuntimeError(cell.error_text), 0.0)
        *texts, took = self._kernel.value("(r.exit_code, r.stdout, r.stderr, r.duration)")
        return judged("a cell", self._pattern, tuple(texts), took)


def table(service: str, outcomes: Sequence[Outcome]) -> str:
    """The outcomes as lines."""
    rows = [
        f"{each.way:15}{each.pattern:13}{each.exit_code!s:>5}{each.lines:>7}{each.expected:>7}{each.seconds:>9.1f} s  "
        f"{each.problem or 'ok'}"
        for each in sorted(outcomes, key=lambda each: (each.way, NAMES.index(each.pattern)))
    ]
    return "\n".join([f"{service}\n{'way':15}{'pattern':13}{'exit':>5}{'lines':>7}{'of':>7}{'time':>9}", *rows])


def main() -> None:
    """Both kinds of service at once."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long each command is (default: 10)")
    seconds = parser.parse_args().minutes * 60
    trials = {"heartbeats every 15 s": Trial(seconds), "no heartbeats": Trial(seconds, heartbeat=0.0)}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        waits = {
            name: stack.enter_context(begun(trial, Path(scratch) / str(number)))
            for number, (name, trial) in enumerate(trials.items())
        }
        outcomes = {name: wait() for name, wait in waits.items()}
    failed = [each for several in outcomes.values() for each in several if each.problem]
    sys.stdout.write("\n\n".join(table(name, several) for name, several in outcomes.items()))
    sys.stdout.write(f"\n\n{sum(map(len, outcomes.values()))} commands of {seconds:g} s, {len(failed)} failed\n")
    sys.exit(min(len(failed), 100))


if __name__ == "__main__":
    main()
