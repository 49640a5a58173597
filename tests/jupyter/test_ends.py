"""However a program ends in which the magics are at work, nothing is complained about on stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.jupyter import kernels
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jupyter.embedded import Home

SETUP = """%load_ext runloop_jupyter
import asyncio, runloop_jupyter
"""
PANEL = """%runloop panel
"""
# The panel is made by hand, as the magic shows a table where nobody can answer.
AT_WORK = """%devbox exec echo hi
session = get_ipython().magics_manager.registry["RunloopMagics"].session
from runloop_jupyter.resource_panel.panel import Panel
panel = Panel(session)
from runloop_jupyter.resource_panel.tool_tabs import TOOLS
_ = [panel.tool_tabs.open(name, session.current) for name in TOOLS]
tools = [tool.widget for tool in panel.tool_tabs.tools]
hello = {"op": "hello", "view": "v", "n": 0, "protocol": 1, "visible": True}
_ = [tool._handle_custom_msg({**hello, "cols": 80, "rows": 24}, []) for tool in tools]
panel.view._handle_custom_msg({**hello, "kinds": ["devbox"]}, [])
panel.view._handle_custom_msg({"op": "follow", "view": "v", "n": 1, "kind": "devbox", "id": session.current.id}, [])
console = next(tool for tool in tools if type(tool).__name__ == "Console")
terminal = next(tool for tool in tools if type(tool).__name__ == "Terminal")
while terminal.state != "attached": await asyncio.sleep(0.05)
console._handle_custom_msg({"op": "run", "view": "v", "n": 1, "command": "echo begun; sleep 9733"}, [])
while not len(console._printed): await asyncio.sleep(0.05)
job = %devbox exec --bg echo begun; sleep 9734
sdk = await runloop_jupyter.sdk()
execution = await sdk.devbox.from_id(session.current.id).cmd.exec_async("echo begun; sleep 9735")
chunks = aiter(execution.output())
chunk = await anext(chunks)
print("all is " + "at work", [tool.problem for tool in tools])
"""


def complaints(text: str) -> str:
    """What stands on stderr but for what asyncio's debugging says of slow machines."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("Executing <"))


def environment(home: Home, folder: Path, dev_mode: str = "1") -> dict[str, str]:
    return {**os.environ, **home.env, "IPYTHONDIR": str(folder), "PYTHONDEVMODE": dev_mode, "TERM": "dumb"}


@pytest.mark.parametrize(
    ("dev_mode", "last"),
    [("", ""), ("1", ""), ("1", "%unload_ext runloop_jupyter\n")],
    ids=["the end of its input", "in dev mode", "after unloading"],
)
def test_ipython_ends_in_silence_with_all_at_work(home: Home, tmp_path: Path, dev_mode: str, last: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit"],
        input=SETUP + AT_WORK + last,
        env=environment(home, tmp_path, dev_mode),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "all is at work ['', '', '', '']" in ended.stdout, ended.stdout
    assert (complaints(ended.stderr), ended.returncode) == ("", 0)


@pytest.mark.parametrize(("way", "what"), [("-c", PANEL), ("a file", AT_WORK)], ids=["a panel", "all in a file"])
def test_a_program_of_ipython_ends_in_silence(home: Home, tmp_path: Path, way: str, what: str) -> None:
    (tmp_path / "program.ipy").write_text(SETUP + what)
    arguments = ["-c", SETUP + what] if way == "-c" else [str(tmp_path / "program.ipy")]
    ended = subprocess.run(
        [sys.executable, "-m", "IPython", *arguments],
        env=environment(home, tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (complaints(ended.stderr), ended.returncode) == ("", 0), ended.stdout


def test_ipython_in_a_terminal_ends_in_silence(home: Home, tmp_path: Path) -> None:
    program = tmp_path / "program.ipy"
    program.write_text(SETUP + AT_WORK)
    arguments = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "-i", str(program)]
    child = pexpect.spawn(
        sys.executable,
        arguments,
        env=environment(home, tmp_path),
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(50, 200),
    )
    child.expect("all is at work")
    child.expect("In \\[")
    child.send("exit\r")
    child.expect(pexpect.EOF)
    shown = complaints(str(child.before))
    child.close()
    assert child.exitstatus == 0
    assert not [word for word in ("ignored", "never awaited", "destroyed", "Traceback", "Warning") if word in shown]


@pytest.mark.parametrize("last", ["", "%reload_ext runloop_jupyter"], ids=["shutdown", "reload"])
def test_a_kernel_ends_in_silence_with_all_at_work(home: Home, tmp_path: Path, last: str) -> None:
    log = tmp_path / "log"
    launcher = [sys.executable, "-m", "ipykernel_launcher"]
    env = {
        **environment(home, tmp_path, dev_mode=""),  # in which ipykernel's own shutdown is refused by asyncio
        "PYTHONWARNINGS": "default::ResourceWarning,default::RuntimeWarning",
    }
    with kernels.start(env, command=["sh", "-c", f'exec "$@" 2>{log}', "sh", *launcher]) as kernel:
        kernel.run(SETUP).check()
        cell = kernel.run(AT_WORK).check()
        assert "all is at work" in cell.stdout
        if last:
            kernel.run(last)
    assert complaints(log.read_text()) == ""
