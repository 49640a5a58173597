"""Terminals: IPython and jupyter console, on a pseudo-terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pexpect

from .home import environ
from .notebook import NAP, FailedError, sleeps, wait
from .table import NO, TEXT, WORKS

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Session:
    """A prompt to type at."""

    def __init__(self, command: list[str], home: Path) -> None:
        env = {**environ(home), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.child = pexpect.spawn(
            command[0], command[1:], env=env, encoding="utf-8", timeout=60, dimensions=(50, 200), cwd=str(home)
        )
        self.child.expect("In \\[")

    def shows(self, line: str, pattern: str) -> str:
        """Type a line; what is shown up to the pattern. Lines that are echoed have no pattern in them."""
        self.child.send(f"{line}\r")
        self.child.expect(pattern)
        return ESCAPES.sub("", str(self.child.before) + str(self.child.after))

    def load(self) -> str:
        """The extension loads, and makes a devbox."""
        self.child.send("%load_ext runloop_jupyter\r")
        self.child.expect("In \\[")
        self.shows("%devbox create matrix", "Created matrix")
        return WORKS

    def exec(self) -> str:
        """A command's output comes."""
        self.shows("%devbox exec echo from $((40 + 2))", "from 42")
        return WORKS

    def stop(self) -> str:
        """Ctrl+C ends the command."""
        self.shows(f"%devbox exec echo begun-$((40 + 2)); sleep {NAP}", "begun-42")
        self.child.sendcontrol("c")
        self.child.expect("KeyboardInterrupt|stopped")
        wait(lambda: not sleeps(), "the command to be gone")
        return WORKS

    def python(self) -> str:
        """Values go there and back."""
        self.child.send("numbers = [20, 22]\r")
        self.shows(
            "get_ipython().run_cell_magic('devbox', 'python --in numbers --out total', 'total = sum(numbers)')",
            "exit code 0|✓",
        )
        self.shows("'back %d' % total", "back 42")
        return WORKS

    def panel(self) -> str:
        """A table of devboxes."""
        shown = self.shows("%runloop panel", "matrix +dbx_")
        return NO if "Error" in shown else TEXT

    def terminal(self) -> str:
        """A shell that answers, in this terminal or, where there is none, a sentence."""
        self.child.send("%devbox pty\r")
        if self.child.expect(["leaves it", "it opens where|terminal of", "Error"]) != 0:
            return TEXT if "Error" not in str(self.child.after) else NO
        self.shows("echo from $((40 + 2))", "from 42")
        self.shows("exit", "Left the terminal")
        return WORKS

    def progress(self) -> str:
        """A line that is drawn anew stands there once."""
        self.shows(
            "%devbox exec for n in 1 2 3; do printf '\\rstep %d' $n; sleep 0.5; done; echo",
            "step 1\r.*step 2\r.*step 3",
        )
        return WORKS


CHECKS = ("load", "exec", "stop", "python", "panel", "terminal", "progress")


def drive_terminal(command: list[str], home: Path) -> tuple[dict[str, str], list[str]]:
    """The answers of a program with IPython's prompt."""
    session = Session(command, home)
    answers, problems = {}, []
    for check in CHECKS:
        try:
            answers[check] = getattr(session, check)()
        except (pexpect.ExceptionPexpect, FailedError) as error:
            answers[check] = NO
            tail = ESCAPES.sub("", str(session.child.before))[-300:]
            problems.append(f"{check}: {type(error).__name__}: {tail!r}")
    session.child.close(force=True)
    return answers, problems
