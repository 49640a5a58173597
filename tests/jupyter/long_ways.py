"""Long commands in every way that there is to run one: `run_all` is called in a kernel, with the magics loaded.

`Pattern` says what a command prints and when. In a way that takes shell text it is run by bash, in `%%devbox python` by
Python; both end with an exit code of their own, so that one that comes from elsewhere is seen.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EXIT_CODE = 3
NAMES = ("stdout", "stderr", "alternating", "silent")
WAYS = ("exec", "python", "script", "--bg", "fan-out", "console", "SDK callbacks", "SDK iteration", "SDK exec")
"""Those of `run_all`, beside a cell that nothing runs in but the command."""


@dataclass(frozen=True)
class Pattern:
    """A command of about `seconds` that prints a line every `interval`, or is silent for two fifths of them, twice."""

    name: str
    seconds: float
    interval: float

    @property
    def pauses(self) -> list[float]:
        """What it sleeps after each line."""
        if self.name == "silent":
            return [0.4 * self.seconds] * 2 + [0.0]
        return [self.interval] * round(self.seconds / self.interval)

    @property
    def expected(self) -> dict[str, str]:
        """All it prints."""
        texts = {"stdout": "", "stderr": ""}
        for number in range(len(self.pauses)):
            texts[self._stream(number)] += f"{number}\n"
        return texts

    @property
    def shell(self) -> str:
        """It for a shell."""
        if self.name == "silent":
            return f"echo 0; sleep {self.pauses[0]}; echo 1; sleep {self.pauses[1]}; echo 2; exit {EXIT_CODE}"
        echo = {"stdout": "echo $n", "stderr": "echo $n >&2", "alternating": "echo $n >&$((n % 2 + 1))"}[self.name]
        last = len(self.pauses) - 1
        return f"for n in $(seq 0 {last}); do {echo}; sleep {self.interval}; done; exit {EXIT_CODE}"

    @property
    def python(self) -> str:
        """It for Python."""
        return (
            "import sys, time\n"
            f"for n, pause in enumerate({self.pauses}):\n"
            f"    print(n, flush=True, file=[sys.stdout, sys.stderr][{self._python_stream}])\n"
            "    time.sleep(pause)\n"
            f"sys.exit({EXIT_CODE})"
        )

    @property
    def _python_stream(self) -> str:
        return {"stderr": "1", "alternating": "n % 2"}.get(self.name, "0")

    def _stream(self, number: int) -> str:
        return ("stdout", "stderr")[{"stderr": 1, "alternating": number % 2}.get(self.name, 0)]


@dataclass(frozen=True)
class Outcome:
    """How one of them ended; `problem` is empty where all was as it should be."""

    way: str
    pattern: str
    exit_code: int | None
    lines: int
    expected: int
    seconds: float
    problem: str = ""


Texts = tuple[int | None, str, str]
"""An exit code, and what was printed to either stream."""


def patterns(seconds: float, interval: float) -> list[Pattern]:
    """All of them."""
    return [Pattern(name, seconds, interval) for name in NAMES]


def judged(way: str, pattern: Pattern, texts: Texts | Exception, seconds: float) -> Outcome:
    """What came of it, and what is wrong with that."""
    expected = sum(text.count("\n") for text in pattern.expected.values())
    if isinstance(texts, Exception):
        return Outcome(way, pattern.name, None, 0, expected, seconds, f"{type(texts).__name__}: {texts}")
    code, out, err = texts
    problem = "" if code == EXIT_CODE else "another exit code"
    if {"stdout": out, "stderr": err} != pattern.expected:
        problem = "another output"
    return Outcome(way, pattern.name, code, (out + err).count("\n"), expected, seconds, problem)


async def run_all(shell: Any, seconds: float, interval: float, report: str) -> None:
    """Run all patterns in all ways at once, and leave the outcomes as JSON in the file `report`.

    The devbox `main` is there, and `long-NAME` for each pattern, with that name in the variable PATTERN.
    """
    runner = Runner(shell, patterns(seconds, interval))
    outcomes = await runner.run()
    await asyncio.to_thread(Path(report).write_text, json.dumps([asdict(outcome) for outcome in outcomes]))


def read(report: Path) -> list[Outcome]:
    """What `run_all` left."""
    return [Outcome(**outcome) for outcome in json.loads(report.read_text())]


class Runner:
    """Runs them: cells in threads, which hand over to the kernel's loop, everything else on that loop."""

    def __init__(self, shell: Any, chosen: Sequence[Pattern]) -> None:
        self._shell = shell
        self._patterns = chosen
        self._threads = ThreadPoolExecutor(32)
        self._session = shell.magics_manager.registry["RunloopMagics"].session

    async def run(self) -> list[Outcome]:
        ways: dict[str, Callable[[Pattern], Awaitable[Texts]]] = {
            "exec": lambda pattern: self._cell("exec", pattern, pattern.shell),
            "python": lambda pattern: self._cell(f"python --session {pattern.name}", pattern, pattern.python),
            "script": lambda pattern: self._cell("script --proc bash", pattern, pattern.shell),
            "--bg": self._in_background,
            "console": self._in_console,
            "SDK callbacks": self._by_callbacks,
            "SDK iteration": self._by_iteration,
            "SDK exec": self._by_exec,
        }
        work = [self._timed(way, pattern, run) for way, run in ways.items() for pattern in self._patterns]
        single, several = await asyncio.gather(asyncio.gather(*work), self._fan_out())
        return [*single, *several]

    async def _timed(self, way: str, pattern: Pattern, run: Callable[[Pattern], Awaitable[Texts]]) -> Outcome:
        began = time.monotonic()
        try:
            texts: Texts | Exception = await run(pattern)
        except Exception as error:  # noqa: BLE001 - which is the outcome
            texts = error
        return judged(way, pattern, texts, time.monotonic() - began)

    async def _magic(self, line: str, body: str, name: str) -> Any:
        """What a cell's `-o NAME` got, with the cell run in a thread."""
        line = f"{line} --quiet --no-raise-error -o {name}"
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._shell.run_cell_magic, "devbox", line, body)
        return self._shell.user_ns[name]

    async def _cell(self, line: str, pattern: Pattern, body: str) -> Texts:
        name = f"{line.split()[0]}_{pattern.name}"
        return _texts(await self._magic(f"{line} --on main", body, name))

    async def _in_background(self, pattern: Pattern) -> Texts:
        job = await self._magic("exec --bg --on main", pattern.shell, f"job_{pattern.name}")
        return _texts(await job)

    async def _fan_out(self) -> list[Outcome]:
        cases = "".join(f"{pattern.name}) {pattern.shell};;\n" for pattern in self._patterns)
        results = await self._magic("exec --on 'long-*'", f"case $PATTERN in\n{cases}esac", "fanned")
        found = [(pattern, results[f"long-{pattern.name}"]) for pattern in self._patterns]
        return [judged("fan-out", pattern, _texts(result), result.duration) for pattern, result in found]

    async def _in_console(self, pattern: Pattern) -> Texts:
        from runloop_jupyter.widgets.console import Console
        from runloop_jupyter.widgets.protocol import VERSION

        console = Console(self._session, await self._session.find("main"))
        hello = {"op": "hello", "protocol": VERSION, "visible": True}
        messages: list[dict[str, object]] = [hello, {"op": "run", "command": pattern.shell}]
        for number, message in enumerate(messages):
            console._handle_custom_msg({"view": "one", "n": number, **message}, [])
        while not (news := [text for kind, text in console._scroll.pieces if kind in ("good", "bad")]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        printed, code = console._printed, news[-1].removeprefix("exit code ").split(" ")[0]
        texts = int(code) if code.isdigit() else None, printed.stdout, printed.stderr
        console.close()
        if texts[0] is None:
            raise AssertionError(news[-1])
        return texts

    async def _commands(self) -> Any:
        import runloop_jupyter

        box = await self._session.find("main")
        return (await runloop_jupyter.sdk()).devbox.from_id(box.id).cmd

    async def _by_callbacks(self, pattern: Pattern) -> Texts:
        out: list[str] = []
        err: list[str] = []
        result = await (await self._commands()).exec(pattern.shell, stdout=out.append, stderr=err.append)
        return result.exit_code, "".join(out), "".join(err)

    async def _by_exec(self, pattern: Pattern) -> Texts:
        result = await (await self._commands()).exec(pattern.shell)
        return result.exit_code, await result.stdout(), await result.stderr()

    async def _by_iteration(self, pattern: Pattern) -> Texts:
        execution = await (await self._commands()).exec_async(pattern.shell)
        texts = {"stdout": "", "stderr": ""}
        async for chunk in execution:
            texts[chunk.stream] += chunk.text
        return (await execution.result()).exit_code, texts["stdout"], texts["stderr"]


def _texts(result: Any) -> Texts:
    if result.error:
        raise AssertionError(result.error)
    return result.exit_code, result.stdout, result.stderr
