"""The steps of a user in a notebook: chosen at random, and carried out in a real kernel."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.jupyter.remote import remote

from .findings import expect

if TYPE_CHECKING:
    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Cell, Kernel

Ending = Literal["stays", "shutdown", "restart", "restart now", "kill"]
ENDINGS: dict[Ending, int] = {"stays": 5, "shutdown": 2, "restart": 2, "restart now": 2, "kill": 3}
"""The endings of a kernel and their weights."""
EXTRAS = {"second devbox": 0.4, "panel": 0.25, "forked child": 0.25, "sdk devbox": 0.3}
"""The extras of a new kernel and their probabilities."""
LONG = {
    "exec": "%%devbox exec --on {box}\nfor i in $(seq 1000); do echo $i {mark}; sleep 0.1; done",
    "quiet exec": "%%devbox exec --on {box}\nsleep 1000.{mark}",
    "stubborn exec": "%%devbox exec --on {box}\ntrap '' INT TERM; sleep 1000.{mark}; sleep 1000.{mark}",
    "python": "%%devbox python --on {box}\nimport time\nfor i in range(1000):\n    print(i, {mark}); time.sleep(0.1)",
    "fan out": "%%devbox exec --on '{all}'\necho begun; sleep 1000.{mark}",
    "waits": "job = %devbox exec --on {box} --bg sleep 1000.{mark}\ntry:\n    job.wait()\nfinally:\n    job.kill()",
}
"""Cells that run until they are interrupted."""
_STOPPED = ("KeyboardInterrupt",)


@dataclass(frozen=True, slots=True)
class Sequence:
    """The steps in one kernel."""

    steps: tuple[str, ...]
    ending: Ending
    extras: frozenset[str]


def sequence(order: random.Random) -> Sequence:
    """Choose a few steps and an ending; `extras` are for a new kernel."""
    steps = tuple(order.choice(list(STEPS)) for _ in range(order.randint(1, 4)))
    ending = order.choices(list(ENDINGS), list(ENDINGS.values()))[0]
    return Sequence(steps, ending, frozenset(name for name, often in EXTRAS.items() if order.random() < often))


@dataclass
class Notebook:
    """A kernel with its own devboxes."""

    kernel: Kernel
    home: Home
    name: str
    gone_within: float
    """Seconds after which no process of an interrupted cell may run any more."""
    order: random.Random
    boxes: list[str]
    """The names of its devboxes; the steps use the first."""

    last: str = ""
    """The last cell, and its output so far if it did not end."""

    @property
    def box(self) -> str:
        """The name of the devbox that the steps use."""
        return self.boxes[0]

    def run(self, code: str) -> Cell:
        """Run a cell and wait for its end."""
        return self.ended(self.send(code))

    def send(self, code: str) -> Cell:
        """Start a cell."""
        self.last = code
        return self.kernel.send(code)

    def ended(self, cell: Cell) -> Cell:
        """Wait for a cell's end."""
        with self._telling(cell):
            return self.kernel.ended(cell)

    def answered(self, cell: Cell) -> bool:
        """Wait until the kernel computes again after a Stop; False if it never answers the cell.

        A Stop just before a cell begins, or just after it was stopped, makes ipykernel forget to answer: `sleep` too.
        """
        with self._telling(cell):
            later = self.kernel.run("1 + 1")
            while later.status == "aborted":  # as all that waits behind an error
                later = self.kernel.run("1 + 1")
        expect(later.status == "ok", "other", f"the kernel computes no more: {later.traceback}")
        return cell.is_over

    @contextmanager
    def _telling(self, cell: Cell) -> Iterator[None]:
        """What has come of the cell until now is told where the wait is in vain."""
        try:
            yield
        except AssertionError:
            self.last += f"\nbegan: {cell.has_begun}, replied: {cell.reply}, shows {str(cell.messages)[-1500:]}"
            raise

    def right(self, code: str) -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code)
        expect(cell.status == "ok", "other", f"{code}\nfailed: {cell.traceback}")
        return cell

    def mark(self) -> str:
        """A unique number to find a command by its command line."""
        return str(self.order.randrange(10**8, 10**9))


def executes(book: Notebook) -> None:
    """Run a command that succeeds."""
    text = f"grün {book.order.getrandbits(32)}"
    cell = book.right(f"%%devbox exec --on {book.box} -o r\necho {text}; echo err >&2")
    expect(cell.stdout.endswith(f"{text}\n"), "wrong bytes", f"the cell shows {cell.stdout!r} instead of {text!r}")
    kept = book.kernel.value("r.stdout, r.stderr, r.exit_code")
    expect(kept == (f"{text}\n", "err\n", 0), "wrong bytes", f"the cell's result is {kept}")


def prints_much(book: Notebook) -> None:
    """Print more than the cell shows; the result has all of it."""
    lines = book.order.randrange(20_000)
    book.right(f"%%devbox exec --on {book.box} -o r --quiet\nseq {lines}")
    wanted = sum(len(str(n)) + 1 for n in range(1, lines + 1))
    kept = book.kernel.value("len(r.stdout), r.stdout[-20:]")
    tail = "".join(f"{n}\n" for n in range(max(1, lines - 30), lines + 1))[-20:]
    expect(kept == (wanted, tail), "wrong bytes", f"of {wanted} characters the result has {kept}")


def fails(book: Notebook) -> None:
    """Run a command that fails."""
    cell = book.run(f"%%devbox exec --on {book.box}\nexit 42")
    text = f"{cell.error}: {cell.error_text}"
    expect(cell.error == "DevboxCommandError" and "42" in text, "wrong bytes", f"exit 42 fails the cell with {text}")


def computes(book: Notebook) -> None:
    """Run Python in the devbox, where variables persist."""
    number = book.order.getrandbits(30)
    book.right(f"%%devbox python --on {book.box}\nx = {number}")
    cell = book.right(f"%%devbox python --on {book.box}\nprint(x + 1)")
    expect(cell.stdout.endswith(f"{number + 1}\n"), "wrong bytes", f"python shows {cell.stdout!r}")


def runs_in_the_background(book: Notebook) -> None:
    """Run a command in the background, and wait for it later."""
    text = f"{book.order.getrandbits(32)}"
    book.right(f"job = %devbox exec --on {book.box} --bg sleep 0.{book.order.randrange(5)}; echo {text}")
    kept = book.kernel.value("job.wait().stdout, job.wait().exit_code")
    expect(kept == (f"{text}\n", 0), "wrong bytes", f"a command in the background gives {kept}")


def fans_out(book: Notebook) -> None:
    """Run one command on all devboxes of the kernel."""
    text = f"{book.order.getrandbits(32)}"
    book.right(f"%%devbox exec --on '{book.name}*' -o r --quiet\necho {text}")
    kept = book.kernel.value("sorted(r.stdout.values())")
    expect(kept == [f"{text}\n"] * len(book.boxes), "wrong bytes", f"a fan-out gives {kept}")


def is_stopped(book: Notebook) -> None:
    """Interrupt a long cell: it must report that, and leave no process."""
    mark = _stop(book, 1)
    expect(_gone(book, mark), "leaks", f"after Stop a command runs on in {book.box} (...{mark})")


def is_stopped_twice(book: Notebook) -> None:
    """Interrupt a long cell twice: the second Stop aborts what the first one does."""
    _stop(book, 2)


def _stop(book: Notebook, times: int) -> str:
    mark, kind = book.mark(), book.order.choice(list(LONG))
    code = LONG[kind].format(box=book.box, all=f"{book.name}*", mark=mark)
    cell = book.send(code)
    book.kernel.until(lambda: cell.has_begun, "the cell's begin")
    book.kernel.listen(book.order.choice((0, 0.05, book.order.uniform(0, 1.5))))
    for _ in range(times):
        book.kernel.interrupt()
        book.kernel.listen(book.order.uniform(0, 0.4))
    if not book.answered(cell):
        return mark
    said = f"{cell.status} {cell.error}: {cell.error_text}"
    expect(cell.error in _STOPPED, "other", f"after {times} Stop {kind} ends with {said}\n{cell.traceback}")
    return mark


def _gone(book: Notebook, mark: str) -> bool:
    look = f"grep -ls '[{mark[0]}]{mark[1:]}' /proc/[0-9]*/cmdline | wc -l"
    deadline = time.monotonic() + book.gone_within
    while time.monotonic() < deadline:
        counts = [remote(book.home, look, box).strip() for box in book.boxes]
        if set(counts) == {"0"}:
            return True
        time.sleep(0.2)
    return False


STEPS: dict[str, Callable[[Notebook], None]] = {
    step.__name__: step
    for step in (
        executes, prints_much, fails, computes, runs_in_the_background, fans_out,
        is_stopped, is_stopped, is_stopped_twice,
    )
}  # fmt: skip
