"""What the doctor makes of what it saw."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import runloop_local
from runloop_jupyter.commands.runloop.doctor import (
    Check,
    _installed,
    files,
    isolation,
    limits,
    network,
    service_version,
    settings,
    summary,
    versions,
)
from runloop_jupyter.connection import Connection
from runloop_jupyter.settings import Settings
from runloop_jupyter.state import StateFolder
from tests.jupyter import kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.jupyter.kernels import Kernel

OK = Check("key", "ok", "is set")
NOTE = Check("ipykernel", "note", "6.1", "upgrade")
WEAK = Check("isolation", "weak", "landlock (asked for: the best that works here). Files are not", "use the cloud")
LOOSE = Check("limits", "weak", "memory looked at")
PROBLEM = Check("service", "problem", "out of reach")


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ([], "All is well."),
        ([OK, NOTE], "All is well."),
        ([OK, WEAK], "It works, but less well than it can. isolation: landlock (asked for: the best that works here)."),
        ([WEAK, LOOSE, NOTE], "It works, but less well than it can. isolation: landlock (asked for: the best that "),
        ([OK, PROBLEM, WEAK], "1 problem to look at: service."),
        ([PROBLEM, PROBLEM], "2 problems to look at: service, service."),
    ],
    ids=["nothing", "notes", "weak", "weak twice", "a problem", "problems"],
)
def test_all_is_well_only_where_nothing_is_weaker_than_it_can_be(checks: list[Check], sentence: str) -> None:
    assert summary(checks).startswith(sentence)
    assert all(each.what in summary(checks) for each in checks if each.verdict == "problem")


def embedded(name: str, requested: str = "auto") -> Connection:
    return Connection("http://127.0.0.1:1", "k", True, name, (), requested)


@pytest.mark.parametrize(
    ("connection", "weaknesses", "verdict", "words"),
    [
        (embedded("namespaces"), (), "ok", "namespaces (asked for: the best that works here"),
        (embedded("namespaces", "namespaces"), (), "ok", "namespaces (asked for: namespaces"),
        (embedded("namespaces"), ("Root is root.",), "weak", "Root is root."),
        (embedded("landlock"), ("Namespaces do not work: x.",), "weak", "landlock (asked for: the best that works"),
        (embedded("landlock", "process"), ("No root.",), "weak", "landlock (asked for: plain processes). No root."),
        (embedded("none"), (), "weak", "none (asked for: the best that works here"),
        (embedded("tomorrow", "tomorrow"), (), "weak", "tomorrow (asked for: tomorrow"),
    ],
)
def test_isolation_is_told_as_asked_and_as_got(
    connection: Connection, weaknesses: tuple[str, ...], verdict: str, words: str
) -> None:
    check = isolation(connection, weaknesses)
    assert (check.verdict, bool(check.advice)) == (verdict, verdict == "weak")
    assert words in check.found


GROUP, LOOKED = "by control group", "checked while a devbox is in use"


@pytest.mark.parametrize(
    ("enforced", "verdict"),
    [
        ({"memory": GROUP, "processes": GROUP, "disk": LOOKED, "cpu": GROUP}, "ok"),
        ({"memory": GROUP, "processes": "8192 for each account of a devbox, by rlimit", "cpu": GROUP}, "ok"),
        ({"memory": LOOKED, "processes": GROUP, "disk": LOOKED, "cpu": GROUP}, "weak"),
        ({"memory": GROUP, "processes": GROUP, "disk": LOOKED, "cpu": "lower priority than other programs"}, "weak"),
        ({"memory": "not limited"}, "weak"),
        ({}, "ok"),
    ],
)
def test_limits_are_weak_where_the_kernel_does_not_hold_them(enforced: dict[str, str], verdict: str) -> None:
    check = limits(enforced)
    assert check.verdict == verdict
    assert all(f"{what} {means}" in check.found for what, means in enforced.items())


def test_an_older_service_is_told() -> None:
    assert service_version("1.0", "1.0").verdict == "ok"
    assert service_version("0.9", "1.0").verdict == "note"
    assert runloop_local.__version__ == _installed("runloop-jupyter")


def test_a_slow_network_is_told() -> None:
    assert [network(0.1, took).verdict for took in (0.1, 3.0)] == ["ok", "note"]


def test_files_are_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLOOP_JUPYTER_HOME", str(tmp_path / "home"))
    assert [each.verdict for each in files(StateFolder(pytest.fail))] == ["ok"]
    assert list((tmp_path / "home").iterdir()) == []
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNLOOP_JUPYTER_HOME", str(tmp_path / "file"))
    (check,) = files(StateFolder(pytest.fail))
    assert (check.verdict, str(tmp_path / "file") in check.found) == ("weak", True)
    assert "RUNLOOP_JUPYTER_HOME" in check.advice


def test_settings_that_do_not_fit_are_told() -> None:
    assert list(settings(Settings())) == []
    assert [each.found for each in settings(Settings(refused=("a is wrong", "b is wrong")))] == [
        "a is wrong",
        "b is wrong",
    ]


def test_versions_are_judged() -> None:
    known = {"runloop-jupyter": "1.0", "IPython": "9.0", "ipykernel": "6.31", "ipywidgets": "8.1"}
    assert [each.verdict for each in versions(lambda name: known.get(name))] == ["ok", "ok", "note", "ok"]
    assert [each.found for each in versions(lambda _name: None)] == ["not installed"]


def test_the_doctor_says_what_it_saw(kernel: Kernel, home: Home) -> None:
    told = kernel.run("%runloop doctor").check().results[-1]
    assert ("All is well." in told) is not any(sign in told for sign in "◐✗")
    for word in ("isolation", home.endpoint["isolation"], "limits", "memory", "Python", "ipykernel", "files"):
        assert word in told
    assert home.endpoint["api_key"] not in told


def test_weak_isolation_stands_in_the_summary(tmp_path: Path) -> None:
    with embedded_home(tmp_path / "home") as home:
        command = [sys.executable, "-m", "runloop_local", "serve", "--isolation", "process"]
        with subprocess.Popen(command, env={**os.environ, **home.env}, stdout=subprocess.PIPE) as serving:
            assert serving.stdout is not None
            serving.stdout.readline()
            with kernels.start(home.env) as kernel:
                told = kernel.run("%load_ext runloop_jupyter\n%runloop doctor").check().results[-1]
            serving.terminate()
    last = told.splitlines()[-1]
    assert "All is well" not in told
    assert "asked for: plain processes" in last
    assert "isolation: landlock" in last or "isolation: none" in last
