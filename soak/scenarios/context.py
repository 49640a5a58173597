"""The context of a scenario, and the checks of what its commands have done and how often."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import shlex
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from soak import printer
from soak.findings import Found, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runloop_sdk import AsyncDevbox, AsyncRunloopSDK

PRINTER = Path(printer.__file__).read_text()
LETTERS = ("a", "Z ", "0123456789", "ß", "€", "藍", "🜁", "\n", "\t", '"', "'", "\\", "$HOME", "`", "\u2028", "\x7f")
STREAMS = ("stdout", "stderr")
_ENDS_WITHIN_S = 30.0

Scenario = Callable[["Context"], Coroutine[Any, Any, None]]
NameKind = Literal["devbox", "snapshot", "blueprint", "object", "axon", "policy", "gateway", "mcp"]


@dataclass
class Run:
    """A command that records its start and its end in a file of its devbox."""

    token: str
    file: str
    done: bool = False
    """True if the client was told that it has ended."""
    stopped: bool = False
    """True if it may be killed."""


@dataclass
class Context:
    """The client, devbox and random generator of one scenario."""

    sdk: AsyncRunloopSDK
    devbox: AsyncDevbox
    """A running devbox that others use later: it must not be suspended or shut down."""
    chance: random.Random
    name: str
    """Unique; the prefix of the names of all that it creates."""
    largest: int = 200_000
    """The maximum size of output, files and objects in bytes."""
    runs: list[Run] = field(default_factory=list)
    names: list[tuple[NameKind, str]] = field(default_factory=list)

    def new_name(self, kind: NameKind) -> str:
        """A name for a resource that must be created once."""
        self.names.append((kind, f"{self.name}{len(self.names)}x"))
        return self.names[-1][1]

    def file(self) -> str:
        """An unused path in the devbox."""
        return f"{self.name}.d/{self.chance.getrandbits(32):08x}"

    def size(self) -> int:
        """A random size in bytes up to the largest; small ones are more likely, and sometimes it is 0."""
        if self.chance.random() < 0.05:
            return 0
        return int(math.exp(self.chance.uniform(0, math.log(self.largest + 1))))

    def text(self, size: int) -> str:
        """A random text of about this number of characters."""
        some = "".join(self.chance.choices(LETTERS, k=min(size, 2000)))
        return (some * (size // max(1, len(some)) + 1))[:size]

    @contextlib.contextmanager
    def once(self, command: str, *, stopped: bool = False) -> Iterator[str]:
        """`command` with marks around it; it must be done when the block succeeds. `stopped`: it may be killed."""
        run = Run(f"t{len(self.runs)}", f"{self.name}.runs", stopped=stopped)
        self.runs.append(run)
        yield f"echo b {run.token} >> {run.file}; ( {command}\n); s=$?; echo e {run.token} >> {run.file}; exit $s"
        run.done = True

    def printing(self, *, largest: int | None = None, pause_ms: int = 0) -> Printing:
        """A command with random, known output."""
        size = min(self.size(), self.largest if largest is None else largest)
        kind, streams = self.chance.choice(printer.KINDS), self.chance.choice(tuple(printer.STREAMS))
        return Printing(self.chance.getrandbits(32), size, kind, streams, pause_ms)


@dataclass(frozen=True, slots=True)
class Printing:
    """A command with known output."""

    seed: int
    size: int
    kind: str
    streams: str
    pause_ms: int

    @property
    def command(self) -> str:
        """Its command line."""
        return f"python3 ~/printer.py {self.seed} {self.size} {self.kind} {self.streams} {self.pause_ms}"

    def bytes(self) -> dict[str, bytes]:
        """Its output by stream."""
        found = {1: bytearray(), 2: bytearray()}
        for stream, data in printer.pieces(self.seed, self.size, self.kind, self.streams):
            found[stream] += data
        return {"stdout": bytes(found[1]), "stderr": bytes(found[2])}

    def texts(self) -> dict[str, str]:
        """Its output by stream, as text that clients get."""
        return {stream: data.decode("utf-8", "replace") for stream, data in self.bytes().items()}


def same(got: str | bytes, wanted: str | bytes, what: str) -> None:
    """Raise `Found` with the first difference unless both are equal."""
    if got != wanted:
        at = next((n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted)))
        raise Found(
            "wrong bytes",
            f"{what}: {len(got)} instead of {len(wanted)}, different from {at} on: "
            f"{got[max(0, at - 20) : at + 40]!r} instead of {wanted[max(0, at - 20) : at + 40]!r}",
        )


async def check_runs(devbox: AsyncDevbox, runs: list[Run]) -> None:
    """Raise `Found` unless each command ran as often as it should, to its end. `devbox` must be without faults."""
    for file in dict.fromkeys(run.file for run in runs):
        marks = await _settled(devbox, file, [run for run in runs if run.file == file])
        for run in runs:
            judge(run, marks[f"b {run.token}"], marks[f"e {run.token}"])


def judge(run: Run, begun: int, ended: int) -> None:
    """Raise `Found` if a command has not begun and ended as often as it should."""
    expect(begun <= 1, "double runs", f"command {run.token} ran {begun} times")
    expect(
        begun == 1 or not run.done or run.stopped,
        "losses",
        f"command {run.token} was said to have ended, and never ran",
    )
    expect(ended == begun or run.stopped, "losses", f"command {run.token} was killed, which nobody asked for")


async def _settled(devbox: AsyncDevbox, file: str, runs: list[Run]) -> Counter[str]:
    """The marks, once no command is running, or after a time limit."""
    marks = await _marks(devbox, file)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDS_WITHIN_S):
            while any(marks[f"b {run.token}"] > marks[f"e {run.token}"] and not run.stopped for run in runs):
                await asyncio.sleep(0.2)
                marks = await _marks(devbox, file)
    return marks


async def _marks(devbox: AsyncDevbox, file: str) -> Counter[str]:
    result = await devbox.cmd.exec(f"cat {shlex.quote(file)} 2>/dev/null")
    return Counter((await result.stdout()).splitlines())
