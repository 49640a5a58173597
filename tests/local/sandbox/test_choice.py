"""Which isolation a machine gets; and the whole suite once more as an account without privileges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runloop_local.sandbox import SandboxError, namespaces, open_isolation, process
from runloop_local.sandbox.link import Helper

from .conftest import LANDLOCK, NAMESPACES

CHECKOUT = Path(__file__).parents[3]


async def test_auto_takes_the_best_and_says_what_was_in_the_way(tmp_path: Path) -> None:
    isolation = await open_isolation(tmp_path)
    try:
        if NAMESPACES:
            assert isolation.name == "namespaces"
        else:
            assert isolation.name == ("landlock" if LANDLOCK else "none")
            assert any("do not work here" in note for note in isolation.notes)
        assert set(isolation.limits) == {"memory", "processes", "disk", "cpu"}
        assert list(tmp_path.glob("*/sandboxes/*")) == []  # noqa: ASYNC240 - one look
    finally:
        await isolation.aclose()


async def test_process_is_taken_when_asked_for(tmp_path: Path) -> None:
    isolation = await open_isolation(tmp_path, "process")
    assert isolation.name == ("landlock" if LANDLOCK else "none")
    whose = "each of an account of its own" if LANDLOCK and os.getuid() == 0 else "of your own account"
    assert any("plain processes" in note and whose in note for note in isolation.notes)
    await isolation.aclose()


OPEN_AND_TELL = """
import asyncio, pathlib, sys
from runloop_local.sandbox import open_isolation
async def main():
    isolation = await open_isolation(pathlib.Path(sys.argv[1]), sys.argv[2])
    await isolation.aclose()
    print(isolation.name, *isolation.notes, sep="\\n")
asyncio.run(main())
"""


@pytest.mark.parametrize("requested", ["auto", "process"])
def test_root_without_the_right_to_mount_gets_no_landlock_and_is_told(tmp_path: Path, requested: str) -> None:
    """A devbox behind Landlock would have root's own account."""
    if os.getuid() or not LANDLOCK:
        return
    argv = ["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", OPEN_AND_TELL, str(tmp_path), requested]
    name, *notes = subprocess.check_output(argv, text=True).splitlines()
    assert name == "none"
    assert any("Landlock for root needs the right to mount" in note for note in notes)
    assert any("Nothing keeps them from your files" in note for note in notes)


def forbid_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without them: its helper is told a way that this kernel refuses."""
    real = Helper.tool

    async def refuse(self: Helper, *argv: str) -> None:
        if self._arguments[0] != "process":
            raise SandboxError("unshare(): Operation not permitted.")
        await real(self, *argv)

    monkeypatch.setattr(Helper, "tool", refuse)


async def test_without_namespaces_auto_falls_back_and_keeps_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_namespaces(monkeypatch)
    isolation = await open_isolation(tmp_path)
    assert isolation.name == ("landlock" if LANDLOCK else "none")
    assert len([note for note in isolation.notes if "unshare(): Operation not permitted" in note]) == len(
        namespaces.available_drivers()
    )
    await isolation.aclose()


async def test_without_namespaces_asking_for_them_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_namespaces(monkeypatch)
    with pytest.raises(SandboxError, match=r"Operation not permitted.*--isolation process"):
        await open_isolation(tmp_path, "namespaces")


@pytest.mark.parametrize("confinement", ["seatbelt", "none"])
def test_on_a_mac_without_an_engine_the_notes_name_what_to_install(
    monkeypatch: pytest.MonkeyPatch, confinement: process.Confinement
) -> None:
    monkeypatch.setattr(process, "sys", SimpleNamespace(platform="darwin"))
    assert any("Docker Desktop" in note and "Podman" in note for note in process._notes(confinement))


def test_a_data_folder_that_sandboxes_would_see_is_refused() -> None:
    with pytest.raises(SandboxError, match=r"/var/x.* lies inside /var.*--data-dir"):
        namespaces.check_folder(Path("/var/x/data"))


if os.getuid() == 0:

    def as_nobody(*arguments: str) -> str:
        """What the tests print that an account runs which is nobody on this machine."""
        base = Path("/tmp", f"unprivileged-{os.getpid()}")
        argv = [sys.executable, str(Path(__file__).with_name("as_nobody.py")), str(CHECKOUT), str(base), *arguments]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=1700)
        assert result.returncode == 0, result.stdout[:20_000] + result.stdout[-5000:] + result.stderr[-5000:]
        return result.stdout

    @pytest.mark.timeout(1800)  # it runs as long as all that it runs
    @pytest.mark.service
    def test_the_same_holds_for_an_account_without_privileges() -> None:
        """All tests of this folder."""
        assert "unprivileged" in as_nobody() or not NAMESPACES

    @pytest.mark.timeout(1800)
    @pytest.mark.service
    def test_it_has_namespaces_also_where_something_is_mounted_below_etc_and_var() -> None:
        assert "unprivileged" in as_nobody("below") or not NAMESPACES
