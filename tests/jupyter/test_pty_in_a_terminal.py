"""`%devbox pty` in terminal IPython: keys and screen go straight to the devbox's shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.jupyter.embedded import embedded_home
from tests.jupyter.test_terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_shell_is_used_left_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "setup.py").write_text("get_ipython().run_line_magic('load_ext', 'runloop_jupyter')\n")
    with embedded_home(tmp_path) as home:
        for name, value in home.env.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal(tmp_path / "setup.py")
        try:
            terminal.type("%devbox create --name main")
            terminal.shows("Created main")
            terminal.type("%devbox pty --session work")
            terminal.shows("Ctrl-\\] leaves it")
            terminal.type("stty size; kept=here; sh -c 'echo begun-$((6 * 7)); exec sleep 100'")
            terminal.shows("50 200")
            terminal.shows("begun-42")  # not between two commands: there bash may not take a Ctrl-C
            terminal.press("c")
            terminal.shows(r"\^C.*\$ ")
            terminal.type("echo $((6 * 7)) alive")
            terminal.shows("42 alive")
            terminal.press("]")
            terminal.shows("Left the terminal")
            terminal.type("%devbox pty --session work")
            terminal.shows("Ctrl-\\] leaves it")
            terminal.type("echo still $kept")
            terminal.shows("still here")
            terminal.type("exit")
            terminal.shows("Left the terminal")
            terminal.type("6 * 7")
            terminal.shows("Out\\[.*42")
        finally:
            terminal.close()
