"""Terminal IPython: a real one, on a pseudo-terminal."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.waiting import PATIENCE

SETUP = """
import asyncio, sys
from runloop_jupyter.kernel.loop import background, run
from runloop_jupyter.output.cell_output import CellOutput, DisplayLimits

loops = set()

async def work(seconds, clean_up=0.0, silence=9.0, final=""):
    loops.add(asyncio.get_running_loop())
    async with CellOutput(limits=DisplayLimits(silence=silence)) as cell:
        cell.write("stdout", "\\x1b[31mbegins\\x1b[0m\\n")
        cell.status("still there")
        if final: cell.final(final)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cell.write("stderr", "cleaning up\\n")
            await asyncio.sleep(clean_up)
            cell.write("stderr", "cleaned up\\n")
            raise
        cell.write("stdout", "ends\\n")
        return 42
"""


class Terminal:
    """IPython in a pseudo-terminal."""

    def __init__(self, program: Path, *arguments: str) -> None:
        command = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=NoColor", *arguments]
        env = {
            **os.environ,
            "TERM": "xterm",
            "IPYTHONDIR": str(program.parent / "ipython"),
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        self._child = pexpect.spawn(
            sys.executable,
            [*command, "-i", str(program)],
            env=env,
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(50, 200),
        )
        self._child.expect("In \\[")

    def type(self, line: str) -> None:
        self._child.send(line + "\r")

    def resize(self, columns: int) -> None:
        self._child.setwinsize(50, columns)

    def press(self, key: str) -> None:
        self._child.sendcontrol(key)

    def shows(self, pattern: str) -> str:
        """Wait until the terminal shows something, and return it with what came before."""
        self._child.expect(pattern)
        return str(self._child.before) + str(self._child.after)

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    program = tmp_path_factory.mktemp("terminal") / "setup.py"
    program.write_text(SETUP)
    started = Terminal(program)
    yield started
    started.close()


def test_output_and_result_appear_with_colours(terminal: Terminal) -> None:
    terminal.type("run(work(0.1, final='all is ' + 'done'))")
    assert "\x1b[31mbegins\x1b[0m" in terminal.shows("begins\x1b\\[0m")
    assert re.search(r"ends\r\n.*all is done\r\n", terminal.shows("all is done\r\n"), re.DOTALL)
    terminal.shows("Out\\[.*42")


def test_the_status_line_goes_before_the_next_text(terminal: Terminal) -> None:
    terminal.type("run(work(1.5, silence=0.2))")
    terminal.shows("\r\x1b\\[2Kstill there")
    shown = terminal.shows("ends\r\n")
    assert re.fullmatch(r"(\r\x1b\[2Kstill there)*\r\x1b\[2Kends\r\n", shown)
    terminal.shows("Out\\[.*42")


def test_ctrl_c_waits_for_the_clean_up(terminal: Terminal) -> None:
    terminal.type("run(work(1000, 0.2))")
    terminal.shows("begins\x1b\\[0m")
    terminal.press("c")
    assert "cleaning up" in terminal.shows("cleaned up")
    terminal.shows("KeyboardInterrupt")
    terminal.type("6 * 7")
    terminal.shows("Out\\[.*42")


def test_a_second_ctrl_c_gives_up_at_once(terminal: Terminal) -> None:
    terminal.type("run(work(1000, 1000))")
    terminal.shows("begins\x1b\\[0m")
    terminal.press("c")
    terminal.shows("cleaning up")
    terminal.press("c")
    assert "cleaned up" not in terminal.shows("KeyboardInterrupt")
    terminal.type("await asyncio.sleep(0.3, 6 * 7)")
    assert "destroyed" not in terminal.shows("Out\\[.*42")


def test_one_loop_serves_magics_and_awaiting_cells(terminal: Terminal) -> None:
    terminal.type("loops.clear(); run(work(0)); loops.add((await asyncio.sleep(0, asyncio.get_running_loop())))")
    terminal.shows("ends")
    terminal.type("run(work(0))")
    terminal.shows("Out\\[.*42")
    terminal.type("'number of loops:', len(loops)")
    terminal.shows("'number of loops:', 1")


def test_the_background_goes_on_at_the_prompt(terminal: Terminal) -> None:
    terminal.type("_ = background(work(0.5))")
    terminal.shows("begins")
    terminal.shows("ends")
    terminal.type("6 * 7")
    terminal.shows("Out\\[.*42")
