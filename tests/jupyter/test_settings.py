"""What a user sets, in a cell or in ipython_config.py: what does not fit is told, and takes nothing else away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from runloop_jupyter import load_ipython_extension
from runloop_jupyter.magics import RunloopMagics
from tests.jupyter.kernels import Kernel

DEFAULTS = {"keep_alive": "", "keep": False, "size": "", "blueprint": "", "start_timeout": ""}


def appended(value: object) -> LazyConfigValue:
    lazy = LazyConfigValue()
    lazy.append(value)
    return lazy


class Odd:
    def __deepcopy__(self, memo: object) -> object:
        raise RuntimeError("not to be copied")


BAD: list[tuple[str, Any, str]] = [
    ("keep_alive", "soon", "'soon' is not a duration"),
    ("keep_alive", " ", "not a duration"),
    ("keep_alive", "0s", "not a duration"),
    ("keep_alive", "49h", "out of range"),
    ("keep_alive", "500ms", "out of range"),
    ("keep_alive", "9" * 400, "out of range"),
    ("keep_alive", 3600, "unicode string"),
    ("keep_alive", None, "unicode string"),
    ("keep_alive", ["1h"], "unicode string"),
    ("keep_alive", b"\xff", "decode"),
    ("keep_alive", Odd(), "not to be copied"),
    ("keep", "no", "boolean"),
    ("keep", None, "boolean"),
    ("keep", {}, "boolean"),
    ("size", "huge", "'huge' is not a size"),
    ("size", "small ", "not a size"),
    ("size", 3, "unicode string"),
    ("blueprint", 3, "unicode string"),
    ("blueprint", {"name": "x"}, "unicode string"),
    ("start_timeout", "soon", "'soon' is not a duration"),
    ("start_timeout", "0.5s", "out of range"),
    ("start_timeout", 60, "unicode string"),
    ("snippets", [1], "unicode string"),
    ("snippets", appended(3), "unicode string"),
    ("snippets", None, "list"),
    ("nosuch", 1, "no setting 'nosuch'"),
    ("keepalive", "1h", "Did you mean 'keep_alive'?"),
]
IDS = [f"{name} {str(value)[:20]}" for name, value, _ in BAD]


@pytest.fixture
def shell_with(tmp_path: Path) -> Iterator[Callable[..., InteractiveShell]]:
    """Makes a shell whose configuration holds this for the magics."""
    made: list[InteractiveShell] = []

    def make(**values: Any) -> InteractiveShell:
        config = Config({"RunloopMagics": values, "HistoryManager": {"enabled": False}})
        made.append(InteractiveShell(config=config, ipython_dir=str(tmp_path)))
        return made[-1]

    yield make
    for shell in made:
        shell.restore_sys_module_state()


def magics_of(shell: InteractiveShell) -> RunloopMagics:
    found: RunloopMagics = shell.magics_manager.registry["RunloopMagics"]
    return found


@pytest.mark.parametrize(("name", "value", "words"), BAD, ids=IDS)
def test_a_configuration_that_does_not_fit_is_told_and_the_default_counts(
    shell_with: Callable[..., InteractiveShell], capsys: pytest.CaptureFixture[str], name: str, value: Any, words: str
) -> None:
    good = {"keep": True} if name != "keep" else {"size": "large"}
    shell = shell_with(**{name: value, **good})
    for _ in range(2):  # once more, as %reload_ext does
        load_ipython_extension(shell)
        magics = magics_of(shell)
        told = capsys.readouterr().err
        assert (told.count("\n"), words in told, f"{name}" in told) == (1, True, True), told
        now = {trait: getattr(magics, trait) for trait in DEFAULTS}
        assert now == {**DEFAULTS, **good}
        assert magics.session.settings.refused == (told.strip(),)
        assert shell.find_line_magic("devbox") is not None


@pytest.mark.parametrize(("name", "value", "words"), BAD, ids=IDS)
def test_a_value_that_is_set_and_does_not_fit_is_refused_and_the_old_one_stays(
    shell_with: Callable[..., InteractiveShell], name: str, value: Any, words: str
) -> None:
    shell = shell_with(keep_alive="2h")
    load_ipython_extension(shell)
    magics = magics_of(shell)
    with pytest.raises(Exception, match=r"RunloopMagics") as error:
        magics.update_config(Config({"RunloopMagics": {name: value}}))
    assert words in str(error.value)
    assert (magics.keep_alive, magics.keep, magics.refused) == ("2h", False, ())
    magics.update_config(Config({"RunloopMagics": {"size": "Small"}}))
    assert (magics.size, magics.keep_alive) == ("small", "2h")


def test_what_fits_is_used(shell_with: Callable[..., InteractiveShell], capsys: pytest.CaptureFixture[str]) -> None:
    shell = shell_with(keep_alive="90s", keep=True, size="X-Large", blueprint="b", start_timeout="2m")
    load_ipython_extension(shell)
    seen = magics_of(shell).session.settings
    assert (seen.keep_alive, seen.keep, seen.size, seen.blueprint, seen.start_timeout) == (
        90,
        True,
        "x_large",
        "b",
        120,
    )
    assert capsys.readouterr().err == ""


def test_reloading_after_a_bad_value_leaves_the_magics(kernel: Kernel) -> None:
    assert "'soon'" in kernel.run("%config RunloopMagics.keep_alive = 'soon'").stderr
    again = kernel.run("%reload_ext runloop_jupyter").check()
    assert again.stderr.count("RunloopMagics.keep_alive = 'soon' is not used") == 1
    shown = kernel.run("%runloop config").check().results[0]
    assert "'soon' is not used" in shown
    assert "keep_alive     (not set)" in shown
    kernel.run("%config RunloopMagics.keep_alive = '2h'").check()
    assert kernel.run("%reload_ext runloop_jupyter").check().stderr == ""


@pytest.mark.kernel
def test_a_bad_configuration_file_leaves_the_magics(tmp_path: Path) -> None:
    (tmp_path / "profile_default").mkdir()
    (tmp_path / "profile_default" / "ipython_config.py").write_text(
        "c.InteractiveShellApp.extensions = ['runloop_jupyter']\n"
        "c.RunloopMagics.size = 'huge'\nc.RunloopMagics.keep = True\nc.RunloopMagics.snippets.append(3)\n"
    )
    command = [sys.executable, "-m", "IPython", "--ipython-dir", str(tmp_path), "--RunloopMagics.keep_alive=soon"]
    ended = subprocess.run([*command, "-c", "%runloop config"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert ended.stderr.count("is not used") == 3
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "keep           True" in ended.stdout
