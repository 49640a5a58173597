"""`runloop_jupyter.exec`, `sdk` and `panel` from Python code: in a script without IPython, and in a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Kernel

NO_NAMES = ("A B", "", "1A", "A=B", "A;touch x", "ä", None)
BEGIN = "import asyncio\nfrom runloop_jupyter import exec, panel, sdk\nrun = asyncio.run\n"
TWO_LOOPS = """
run(exec('echo first; echo second >&2; echo kept > file'))
result = run(exec('cat ~/file; cat; echo $WHAT; pwd', stdin='typed', env={'WHAT': 'value'}, cwd='/tmp'))
assert result.stdout == 'kept\\ntypedvalue\\n/tmp\\n', result.stdout
"""
FAILURES = """
from runloop_jupyter.results import DevboxCommandError, DevboxTimeoutError

async def main():
    try:
        await exec('echo before; exit 3')
    except DevboxCommandError as error:
        assert (error.result.exit_code, error.result.stdout) == (3, 'before\\n')
    try:
        await exec('echo begun; sleep 9755', timeout=1)
    except DevboxTimeoutError as error:
        assert (error.result.timed_out, error.result.stdout) == (True, 'begun\\n')
    assert (await exec('exit 4', check=False)).exit_code == 4
    await exec('! pgrep -f [s]leep.9755')

run(main())
"""
CANCELLED = """
async def main():
    await exec('true')
    call = asyncio.create_task(exec('sleep 9756'))
    while not (await exec('pgrep -f [s]leep.9756', check=False)).success:
        await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    await exec('! pgrep -f [s]leep.9756')

run(main())
"""
SDK_AND_PANEL = """
async def main():
    devbox = await (await sdk()).devbox.create(name='by-script')
    assert (await devbox.cmd.exec('exit 7')).exit_code == 7

run(main())
print(panel())
"""


def script(home: Home, folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has nothing but Python."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + code],
        env={**os.environ, **home.env},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_script_runs_commands_in_a_devbox_that_ends_with_it(home: Home, tmp_path: Path) -> None:
    ended = script(home, tmp_path, TWO_LOOPS)
    assert ended.returncode == 0, ended.stderr
    assert "No devbox was chosen: created notebook-" in ended.stdout
    assert "It ends with this program." in ended.stdout
    assert ended.stdout.endswith("first\nkept\ntypedvalue\n/tmp\n")
    assert ended.stderr == "second\n"
    (name,) = (word for word in ended.stdout.split() if word.startswith("notebook-"))
    assert home.ends(name)


@pytest.mark.parametrize("code", [FAILURES, CANCELLED], ids=["failures raise with the result", "cancelling kills"])
def test_in_a_script_it_does_as_a_cell_does(home: Home, tmp_path: Path, code: str) -> None:
    ended = script(home, tmp_path, code)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("exec('  ')", "There is no command"),
        ("exec('true', timeout=0)", "The timeout 0 is no time"),
        ("exec('true', timeout=float('nan'))", "The timeout nan is no time"),
        ("exec('true', devbox='nowhere')", "nowhere"),
        *(
            (f"exec('true', env={{{name!r}: 'x'}})", repr(name))
            for name in ("A B", "", "1A", "A=B", "A;touch x", "ä", None)
        ),
        ("exec('true', env={'A': 1})", "A is int"),
        ("exec('true', cwd='/nowhere')", "/nowhere"),
        ("exec('true', user='nobody-here')", "nobody-here"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(home: Home, tmp_path: Path, call: str, words: str) -> None:
    ended = script(home, tmp_path, f"run({call})")
    assert ended.returncode == 1
    (sentence,) = (line for line in ended.stderr.splitlines() if line.startswith("runloop_jupyter."))
    assert words in sentence


def test_the_sdk_and_the_panel_need_no_notebook(home: Home, tmp_path: Path) -> None:
    ended = script(home, tmp_path, SDK_AND_PANEL)
    assert ended.returncode == 0, ended.stderr
    (row,) = (line for line in ended.stdout.splitlines() if "by-script" in line)
    assert "this program" in row
    assert "with this program" in row
    assert home.ends("by-script")


def test_in_a_notebook_it_uses_the_current_devbox_and_shows_its_output(kernel: Kernel) -> None:
    kernel.run("import runloop_jupyter").check()
    cell = kernel.run("result = await runloop_jupyter.exec('echo shown; hostname')").check()
    assert cell.stdout.startswith("shown\n")
    assert kernel.value("result.devbox") == "main"
    assert kernel.run("await runloop_jupyter.exec('exit 5')").error == "DevboxCommandError"
