"""What runs something, in terminal IPython."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.jupyter.embedded import Home
from tests.jupyter.test_terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def terminal(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name, value in home.env.items():
        monkeypatch.setitem(os.environ, name, value)
    program = tmp_path / "setup.py"
    program.write_text("get_ipython().run_line_magic('load_ext', 'runloop_jupyter')\n")
    started = Terminal(program)
    started.type("%devbox create --name term")
    started.shows("Created term")
    yield started
    started.close()


def test_many_devboxes_have_their_lines_and_a_table(terminal: Terminal) -> None:
    terminal.type("%devbox exec --on 'te*' echo one; sleep 2.5; echo two")
    terminal.shows("term │.* one")
    terminal.shows("term │.* two")
    terminal.shows("all 1 succeeded")


def test_a_table_has_the_width_of_the_terminal(terminal: Terminal) -> None:
    terminal.resize(64)
    terminal.type("%devbox list")
    rows = terminal.shows("created.*\r\n.*ago.*In ").replace("\r", "").splitlines()
    assert any("term" in row and "running" in row for row in rows)
    terminal.type("from runloop_jupyter.rendering.text import aligned")
    terminal.type("print(aligned([['x' * 50 + ' y', 'dbx_' + 'z' * 26]], ['name', 'id'], widest=60, whole={'id'}))")
    assert "x" * 32 + "  dbx_" + "z" * 26 in terminal.shows("x{18} y\r\n")


def test_the_panel_is_a_table(terminal: Terminal) -> None:
    terminal.type("%runloop panel")
    shown = terminal.shows("name +id +status.*term +dbx_.* running .*\\r\\n")
    assert "Panel(" not in shown
    assert "Error" not in shown
    terminal.type("print('and', 'on')")
    assert "Error" not in terminal.shows("and on")


def test_questions_are_answered_and_ctrl_c_takes_them_back(terminal: Terminal) -> None:
    terminal.type("%devbox exec -i printf 'Who? '; read x; echo hello $x")
    terminal.shows(r"\x1b\[\?2004l")  # the line has been taken; what follows is output
    terminal.shows(r"Who\? ")
    terminal.type("Ada")
    assert "Who?" not in terminal.shows("hello Ada")
    terminal.type("%devbox exec -i printf 'Again? '; read x; echo hello $x")
    terminal.shows(r"\x1b\[\?2004l")
    terminal.shows(r"Again\? ")
    terminal.press("c")
    terminal.shows("KeyboardInterrupt.*: stopped")
    terminal.type("%devbox exec echo next-one")
    terminal.shows("next-one.*next-one")


def test_the_background_goes_on_at_the_prompt(terminal: Terminal) -> None:
    terminal.type("job = %devbox exec --bg sleep 1; echo late-$((1 + 1))")
    terminal.shows("late-2")
    terminal.type("job.wait().success")
    terminal.shows("True")


def test_python_cells_show_their_values(terminal: Terminal) -> None:
    terminal.type("get_ipython().run_cell_magic('devbox', 'python', 'x = 20\\nx * 2 + 2')")
    terminal.shows("42\r\n")
    terminal.shows("exit code 0 .* term .* new session")
