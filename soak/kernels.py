"""Kernels: runs the steps of users in real kernels that are interrupted, restarted, shut down and killed.

Cells must have the right result or be interrupted, Stop must leave no process, and devboxes must end with their kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_core.utils import ensure_event_loop

from tests.jupyter import kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.local.processes import alive, descendants

from .busy import busy
from .cases import Cases, Limit, chance
from .findings import Found, expect
from .kernel_steps import STEPS, Ending, Notebook, sequence

if TYPE_CHECKING:
    from .findings import Report

NAME = "kernels"
AT_ONCE = 3
LOAD = 20
"""The number of busy processes during the second part of a run."""
LOADED_SHARE = 1 / 3
PATIENCE_S = 600.0
ENDED = ("shutdown", "failure")
ENDS_WITHIN_S = {False: 15.0, True: 45.0}
"""Seconds after which processes that were ended must be gone, on a quiet and on a loaded machine."""
_START = "%load_ext runloop_jupyter\n%devbox create --name {box}"
_SETUP = {
    "second devbox": "%devbox create --name {box}2",
    "panel": "%runloop panel",
    "forked child": "import os, signal, time\nchild = os.fork()\nif child == 0:\n"
    "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    time.sleep(3600)\n    os._exit(0)",
    "sdk devbox": "import runloop_jupyter\nsdk = await runloop_jupyter.sdk()\nawait sdk.devbox.create(name='sdk{box}')",
}
_USUAL = re.compile(
    rb"(?m)^(?:.*frozen_modules.*|.*Debugger warning.*|.*PYDEVD.*|.*make the debugger.*"
    rb"|.*KeyboardInterrupt caught in kernel.*|\s*)\n?"
)


async def run(limit: Limit, report: Report, *, load: int | None = None, at_once: int = AT_ONCE) -> None:
    """Run sequences until the limit: first on a quiet machine, then with busy processes.

    With `load`, run all of them with that number of busy processes.
    """
    with tempfile.TemporaryDirectory(prefix="soak-kernels-") as folder, _home(Path(folder) / "home") as home:
        kernels = Kernels(home, Path(folder), report.seed, at_once)
        cases = Cases(NAME, report, PATIENCE_S)
        quiet, loaded = limit.split(1 - LOADED_SHARE) if load is None else (Limit(count=0), limit)
        await kernels.run(cases, quiet, 0)
        await kernels.run(cases, loaded, LOAD if load is None else load)
        ends = ", ".join(f"{count} {ending}" for ending, count in sorted(kernels.ends.items()))
        report.done(NAME, f"{cases.done} sequences ({ends}), devboxes gone after at most {kernels.latest:.1f} s")
        await asyncio.to_thread(check, home, report, kernels.told)


@contextmanager
def _home(folder: Path) -> Iterator[Home]:
    """A user's embedded service, started in advance, as its start is not tested here."""
    with embedded_home(folder) as home:
        start = "import asyncio; from runloop_local import service; asyncio.run(service.ensure_running(120))"
        subprocess.run([sys.executable, "-c", start], env={**os.environ, **home.env}, check=True)
        yield home


def check(home: Home, report: Report, told: set[str]) -> None:
    """Report tracebacks in the service's log, and devboxes that still run and were not reported before."""
    deadline = time.monotonic() + ENDS_WITHIN_S[False]
    while running := [name for name, status in home.statuses().items() if status not in ENDED and name not in told]:
        if time.monotonic() > deadline:
            text = f"{len(running)} devboxes of kernels that are gone: {', '.join(running[:5])}"
            report.found(NAME, "leaks", text)
            break
        time.sleep(0.2)
    log = (home.folder / "service.log").read_text(errors="replace")
    if "Traceback" in log:
        report.found(NAME, "other", f"the service's log says\n{log[max(0, log.index('Traceback') - 300) :][:3000]}")


@dataclass
class Kernels:
    """Several parallel kernels on one service."""

    home: Home
    folder: Path
    seed: int
    at_once: int
    ends: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    """Devboxes that were reported to live too long."""
    latest: float = 0.0
    """The longest time that devboxes have outlived their kernel."""

    async def run(self, cases: Cases, limit: Limit, load: int) -> None:
        """Run sequences with this number of busy processes."""
        seats = [Seat(self, bool(load)) for _ in range(self.at_once)]

        async def one(number: int) -> None:
            seat = seats.pop()
            try:
                await seat.take(number)
            finally:
                seats.append(seat)

        with busy(load):
            await cases.run(limit.numbers(), self.at_once, one)
            for seat in seats:
                await seat.close()


class Seat:
    """Runs one kernel after the other."""

    def __init__(self, all_of_them: Kernels, loaded: bool) -> None:
        self._all = all_of_them
        self._loaded = loaded
        self._stack = ExitStack()
        self._kernel: kernels.Kernel | None = None
        self._book: Notebook | None = None
        # The kernel's client keeps an event loop per thread in a context variable: with `to_thread`, which copies the
        # context, threads would share one loop.
        self._thread = ThreadPoolExecutor(1)

    async def take(self, number: int) -> None:
        """Run the sequence with this number."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._take, number)

    async def close(self) -> None:
        """Stop the current kernel and the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _take(self, number: int) -> None:
        order = chance(self._all.seed, NAME, number)
        plan = sequence(order)
        try:
            book = self._opened(number, plan.extras, order)
            for step in plan.steps:
                STEPS[step](book)
            self._end(plan.ending)
        except AssertionError as error:  # the kernel's driver timed out
            last = self._book.last if self._book is not None else "the start"
            self._leave()
            raise Found("hangs", f"{plan}\n{error}: {last}") from error
        except Found as found:
            self._leave()
            raise Found(found.kind, f"{plan}\n{found}") from found
        self._all.ends[plan.ending] = self._all.ends.get(plan.ending, 0) + 1

    def _close(self) -> None:
        self._leave()
        ensure_event_loop().close()

    def _leave(self) -> None:
        """Stop the current kernel."""
        self._book = self._kernel = None
        with contextlib.suppress(ProcessLookupError):
            self._stack.close()
        self._stack = ExitStack()

    def _opened(self, number: int, extras: frozenset[str], order: random.Random) -> Notebook:
        if self._book is not None:
            self._book.order = order
            return self._book
        if self._kernel is None:
            self._log = self._stack.enter_context((self._all.folder / f"stderr-{number}").open("w+b"))
            env = {**self._all.home.env, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
            self._kernel = self._stack.enter_context(kernels.start(env, stderr=self._log))
        name = f"k{number}x"
        book = Notebook(self._kernel, self._all.home, name, ENDS_WITHIN_S[self._loaded], order, [name])
        book.right(_START.format(box=name))
        for extra in sorted(extras):
            book.right(_SETUP[extra].format(box=name))
            if extra == "second devbox":
                book.boxes.append(f"{name}2")
        self._own = [*book.boxes, *([f"sdk{name}"] if "sdk devbox" in extras else [])]
        self._child = book.kernel.value("child") if "forked child" in extras else None
        self._book = book
        return book

    def _end(self, ending: Ending) -> None:
        if ending == "stays" or self._kernel is None:
            return
        below = descendants(self._kernel.process_id) - {self._child}
        if ending == "kill":
            os.kill(self._kernel.process_id, signal.SIGKILL)
        elif ending == "shutdown":
            self._kernel.shutdown()
        else:
            self._kernel.restart(now=ending == "restart now")
        self._book = None
        since = time.monotonic()
        try:
            self._check_end(ending, below, since)
        finally:
            if self._child is not None and alive(self._child):
                os.kill(self._child, signal.SIGKILL)
            if ending in ("kill", "shutdown"):
                self._leave()

    def _check_end(self, ending: Ending, below: set[int], since: float) -> None:
        limit = ENDS_WITHIN_S[self._loaded]
        while left := self._running():
            waited = time.monotonic() - since
            self._all.told.update(left if waited >= limit else ())
            expect(waited < limit, "leaks", f"{waited:.0f} s after {ending} the kernel's {left} still run")
            time.sleep(0.2)
        self._all.latest = max(self._all.latest, time.monotonic() - since)
        orphans = [pid for pid in below if alive(pid)]
        expect(not orphans, "leaks", f"{len(orphans)} processes outlive their kernel after {ending}")
        self._log.seek(0)
        said = _USUAL.sub(b"", self._log.read())
        self._log.truncate(0)
        expect(
            not said,
            "other",
            f"after {ending} the kernel's standard error has\n{said[-3000:].decode(errors='replace')}",
        )

    def _running(self) -> list[str]:
        statuses = self._all.home.statuses()
        return [name for name in self._own if statuses.get(name) not in ENDED]
