"""Python without IPython's prompt: a script that calls `runloop_jupyter.exec` and `panel`."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from .home import environ
from .notebook import NAP, FailedError, sleeps, wait, within
from .table import NO, TEXT, WORKS

BEGIN = "import asyncio, runloop_jupyter\nrun = lambda *a: asyncio.run(runloop_jupyter.exec(*a))\n"


def drive_plain(python: str, home: Path) -> tuple[dict[str, str], list[str]]:
    """The answers of a script."""
    shown = {
        "load": ("print('loaded')", "loaded", WORKS),
        "exec": ("run('echo from $((40 + 2))')", "from 42", WORKS),
        "panel": ("run('true'); print(runloop_jupyter.panel())", "dbx_", TEXT),
        "progress": ("run('for n in 1 2 3; do printf \"\\\\rstep %d\" $n; sleep 0.3; done; echo')", "step 3", TEXT),
    }
    answers, problems = {"python": NO, "terminal": NO}, []
    for check, (code, text, worth) in shown.items():
        command = [python, "-W", "error", "-c", BEGIN + code]
        ended = subprocess.run(command, env=environ(home), cwd=home, capture_output=True, text=True, check=False)
        answers[check] = worth if text in ended.stdout and not ended.returncode else NO
        if ended.returncode:
            problems.append(f"{check}: {ended.stderr[-300:]}")
    try:
        answers["stop"] = _stop(python, home)
    except FailedError as error:
        answers["stop"] = NO
        problems.append(f"stop: {error}")
    return answers, problems


def _stop(python: str, home: Path) -> str:
    """Ctrl+C ends the command, too."""
    code = f"{BEGIN}run('sleep {NAP}')"
    script = subprocess.Popen([python, "-c", code], env=environ(home), cwd=home, stderr=subprocess.DEVNULL)
    try:
        wait(sleeps, "the command to begin")
        script.send_signal(signal.SIGINT)
        if not within(30, lambda: not sleeps()):
            raise FailedError("the command still runs 30 s after Ctrl+C")
        return WORKS
    finally:
        script.kill()
        script.wait()
