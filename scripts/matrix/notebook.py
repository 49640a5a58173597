"""What is run in each notebook, and what must come of it, whichever front end shows it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from .table import NO, TEXT, WORKS

NAP = f"9{os.getpid():07}"
"""Seconds that the command sleeps which is stopped: its process is known by them."""
CELLS = {
    "load": "%load_ext runloop_jupyter\nnumbers = [20, 22]\n%devbox create matrix",
    "exec": "%%devbox exec\necho from $((40 + 2))",
    "stop": f"%%devbox exec\necho begun; sleep {NAP}",
    "python": "%%devbox python --in numbers --out total\ntotal = sum(numbers)\nprint(f'from {total}')",
    "panel": "%runloop panel",
    "terminal": "%devbox pty",
    "progress": "%%devbox exec\nfor n in 1 2 3 4; do printf '\\rstep %d of 4' $n; sleep 1; done; echo",
}
WAIT = 90.0
"""Seconds that anything may take."""


class Sheet(Protocol):
    """A notebook of `CELLS` in a front end."""

    def run(self, check: str) -> None:
        """Run a cell, without waiting for its end."""

    def ended(self, check: str) -> bool:
        """Whether it has ended."""

    def output(self, check: str) -> str:
        """The text below it."""

    def interrupt(self) -> None:
        """What Stop does."""

    def panel_text(self) -> str:
        """The text of the live panel; empty where there is none."""

    def type_in_terminal(self, line: str) -> None:
        """Type a line into the live terminal."""

    def terminal_text(self) -> str:
        """The text of the live terminal; empty where there is none."""


class FailedError(Exception):
    """Something was not as it must be."""


@dataclass
class Driver:
    """Runs the cells of a sheet, one after the other."""

    sheet: Sheet

    def check_all(self, checks: Iterable[str] = CELLS) -> tuple[dict[str, str], list[str]]:
        """The answers, and what went wrong."""
        answers, problems = {}, []
        for check in checks:
            try:
                answers[check] = getattr(self, check)()
            except Exception as error:  # noqa: BLE001 - whatever a front end does wrong is the answer
                answers[check] = NO
                problems.append(f"{check}: {type(error).__name__}: {str(error).splitlines()[0][:300]}")
        return answers, problems

    def load(self) -> str:
        """The extension loads, and makes a devbox."""
        return self.finish("load", "Created matrix")

    def exec(self) -> str:
        """A command's output comes."""
        return self.finish("exec", "from 42")

    def python(self) -> str:
        """Values go there and back."""
        return self.finish("python", "from 42")

    def progress(self) -> str:
        """A line that is drawn anew stands there once, and is seen while it changes."""
        self.sheet.run("progress")
        wait(lambda: "step 2 of 4" in self.sheet.output("progress"), "the second step")
        live = not self.sheet.ended("progress")
        self.wait_for_end("progress")
        text = self.sheet.output("progress")
        if "step 4 of 4" not in text:
            raise FailedError(f"the last step is missing: {text!r}")
        return WORKS if live and "step 2 of 4" not in text else TEXT

    def stop(self) -> str:
        """Stop ends the cell, and the command."""
        self.sheet.run("stop")
        wait(lambda: "begun" in self.sheet.output("stop"), "the command to begin")
        self.sheet.interrupt()
        self.wait_for_end("stop")
        wait(lambda: not sleeps(), "the command to be gone")
        return WORKS

    def panel(self) -> str:
        """The panel is live, and has the devbox."""
        self.sheet.run("panel")
        wait(lambda: "matrix" in self.sheet.panel_text() + self.sheet.output("panel"), "the devbox in the panel")
        return WORKS if within(5, lambda: "matrix" in self.sheet.panel_text()) else TEXT

    def terminal(self) -> str:
        """The terminal has a shell that answers."""
        self.sheet.run("terminal")
        wait(lambda: self.sheet.terminal_text() or self.sheet.output("terminal"), "the terminal")
        if not within(15, lambda: any(each in self.sheet.terminal_text() for each in "$#")):
            return TEXT if "terminal" in self.sheet.output("terminal").lower() else NO
        self.sheet.type_in_terminal("echo from $((40 + 2))")
        wait(lambda: "from 42" in self.sheet.terminal_text(), "the shell's answer")
        return WORKS

    def finish(self, check: str, text: str) -> str:
        """Run a cell to its end, which leaves this text."""
        self.sheet.run(check)
        wait(lambda: text in self.sheet.output(check) or "Error" in self.sheet.output(check), f"{text!r}")
        self.wait_for_end(check)
        if text not in self.sheet.output(check):
            raise FailedError(self.sheet.output(check)[-300:])
        return WORKS

    def wait_for_end(self, check: str) -> None:
        """Wait until a cell has ended."""
        wait(lambda: self.sheet.ended(check), f"the cell of {check} to end")


def sleeps() -> bool:
    """Whether the command that is stopped still runs."""
    return not subprocess.run(["pgrep", "-fx", f"sleep {NAP}"], capture_output=True, check=False).returncode


def within(seconds: float, condition: Callable[[], object]) -> bool:
    """Whether something happens in this time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def wait(condition: Callable[[], object], what: str) -> None:
    """Wait for something, for as long as anything may take."""
    if not within(WAIT, condition):
        raise FailedError(f"waited {WAIT:.0f} s for {what}")
