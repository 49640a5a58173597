"""Which isolation a machine gets; and the whole suite once more as an account without privileges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runloop_local.sandbox import SandboxError, namespaces, open_isolation
from runloop_local.sandbox.link import Helper

from .conftest import LANDLOCK, NAMESPACES

CHECKOUT = Path(__file__).parents[3]


async def test_auto_takes_the_best_and_says_what_was_in_the_way(tmp_path):
    isolation = await open_isolation(tmp_path)
    try:
        if NAMESPACES:
            assert isolation.name == "namespaces"
        else:
            assert isolation.name == ("landlock" if LANDLOCK else "none")
            assert any("do not work here" in note for note in isolation.notes)
        assert set(isolation.limits) == {"memory", "processes", "disk", "cpu"}
        assert list(tmp_path.glob("*/sandboxes/*")) == []
    finally:
        await isolation.aclose()


async def test_process_is_taken_when_asked_for(tmp_path):
    isolation = await open_isolation(tmp_path, "process")
    assert isolation.name == ("landlock" if LANDLOCK else "none")
    assert any("plain processes of your own account" in note for note in isolation.notes)
    await isolation.aclose()


def forbid_namespaces(monkeypatch):
    """A machine without them: its helper is told a way that this kernel refuses."""
    real = Helper.tool

    async def refuse(self, *argv):
        if self._arguments[0] != "process":
            raise SandboxError("unshare(): Operation not permitted.")
        await real(self, *argv)

    monkeypatch.setattr(Helper, "tool", refuse)


async def test_without_namespaces_auto_falls_back_and_keeps_the_reason(tmp_path, monkeypatch):
    forbid_namespaces(monkeypatch)
    isolation = await open_isolation(tmp_path)
    assert isolation.name == ("landlock" if LANDLOCK else "none")
    assert len([note for note in isolation.notes if "unshare(): Operation not permitted" in note]) == len(
        namespaces.ways()
    )
    await isolation.aclose()


async def test_without_namespaces_asking_for_them_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    forbid_namespaces(monkeypatch)
    with pytest.raises(SandboxError, match=r"Operation not permitted.*--isolation process"):
        await open_isolation(tmp_path, "namespaces")


def test_a_data_folder_that_sandboxes_would_see_is_refused():
    with pytest.raises(SandboxError, match=r"/var/x.* lies inside /var.*--data-dir"):
        namespaces.check_folder(Path("/var/x/data"))


if os.getuid() == 0:

    @pytest.mark.timeout(300)
    def test_the_same_holds_for_an_account_without_privileges():
        """All tests of this folder, run by an account that is nobody on this machine."""
        base = Path("/tmp", f"unprivileged-{os.getpid()}")
        argv = [sys.executable, str(Path(__file__).with_name("as_nobody.py")), str(CHECKOUT), str(base)]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=280)
        assert result.returncode == 0, result.stdout[:20_000] + result.stdout[-5000:] + result.stderr[-5000:]
        assert "unprivileged" in result.stdout or not NAMESPACES
