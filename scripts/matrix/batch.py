"""Programs that run a notebook with nobody there: papermill, nbconvert, jupytext, myst-nb."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.browser.panels import write

from .home import environ
from .notebook import CELLS, FailedError, sleeps, wait, within
from .table import NO, TEXT, WORKS

Answers = tuple[dict[str, str], list[str]]
CONFIG = """extensions = ["myst_nb"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
master_doc = "in"
"""
"""What myst-nb needs."""
SHOWS = {
    "load": ("Created matrix", WORKS),
    "exec": ("from 42", WORKS),
    "python": ("from 42", WORKS),
    "panel": ("dbx_", TEXT),
    "terminal": ("nobody can type", NO),
    "progress": ("step 4 of 4", TEXT),
}
"""What each cell leaves in the saved notebook or page, and what that is worth."""


def drive_batch(python: str, command: list[str], output: str, home: Path) -> Answers:
    """The answers of a program that reads in.ipynb and writes `output`."""
    texts, problems = {}, []
    (home / "conf.py").write_text(CONFIG)
    for check in SHOWS:
        cells = [CELLS["load"]] if check == "load" else [CELLS["load"], CELLS[check]]
        write(home, "in.ipynb", cells)
        ended = subprocess.run(_command(python, command), env=environ(home), cwd=home, capture_output=True, check=False)
        made = home / output
        texts[check] = re.sub(r"<[^>]*>|\\u001b\[[\d;]*m", "", made.read_text()) if made.exists() else ""
        if ended.returncode:
            texts[check] += ended.stderr.decode()
            problems.append(f"{check}: exit code {ended.returncode}: {ended.stderr.decode()[-300:]}")
    answers = {check: worth if text in texts[check] else NO for check, (text, worth) in SHOWS.items()}
    answers["stop"] = _answer(lambda: _stop(python, command, home), problems)
    return answers, problems


def _stop(python: str, command: list[str], home: Path) -> str:
    """Ctrl+C at the program ends the command, too."""
    write(home, "in.ipynb", [CELLS["load"], CELLS["stop"]])
    started = subprocess.Popen(
        _command(python, command),
        env=environ(home),
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait(sleeps, "the command to begin")
        os.killpg(started.pid, signal.SIGINT)
        if not within(30, lambda: not sleeps()):
            raise FailedError("the command still runs 30 s after Ctrl+C")
        return WORKS
    finally:
        started.kill()
        started.wait()


def _answer(ask: Callable[[], str], problems: list[str]) -> str:
    try:
        return ask()
    except FailedError as error:
        problems.append(f"stop: {error}")
        return NO


def _command(python: str, command: list[str]) -> list[str]:
    return [python, "-m", *command]
