"""Folders of the service and of the extension: the user's alone, or refused with a sentence that says what to do."""

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runloop_jupyter.state import StateFolder
from runloop_local import private_folder, service
from tests.local.serving import serving

STRANGER = 64_998
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="makes files of another account")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(path: Path, mode: int, *files: str) -> Path:
    path.mkdir()
    for name in files:
        (path / name).touch()
    path.chmod(mode)
    return path


def given_away(path: Path) -> Path:
    os.lchown(path, STRANGER, STRANGER)
    return path


def linked(base: Path, owner: int) -> Path:
    made(base / "real", 0o700)
    link = base / "link"
    link.symlink_to("real")
    os.lchown(link, owner, owner)
    return link


def below(parent: Path, mode: int, owner: int = 0) -> Path:
    folder = made(parent, 0o700)
    (folder / "mine").mkdir(mode=0o700)
    folder.chmod(mode)
    os.lchown(folder, owner, owner)
    return folder / "mine"


def with_planted(base: Path) -> Path:
    folder = made(base / "d", 0o777, "known")
    given_away(folder / "known")
    return folder


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "another account's": (lambda base: given_away(made(base / "d", 0o700)), "belongs to another account"),
    "another account's, and open": (lambda base: given_away(made(base / "d", 0o777)), "belongs to another account"),
    "another account's link to one's own": (lambda base: linked(base, STRANGER), "leads elsewhere"),
    "with a file that another has put there": (with_planted, "another account .* has made 'known'"),
    "in a folder of another account": (lambda base: below(base / "d", 0o700, STRANGER), "belongs to another account"),
    "in a folder where all may write": (lambda base: below(base / "d", 0o777), "may replace what is in it"),
    "below one": (lambda base: below(base / "d", 0o777) / "deep" / "er", "may replace what is in it"),
}


@needs_root
@pytest.mark.service
@pytest.mark.parametrize(("prepared", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_others_can_change_is_refused(
    prepared: Callable[[Path], Path], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(tmp_path)
    for _ in range(2):  # nothing was done that hides it the next time
        with pytest.raises(PermissionError, match=reason):
            private_folder.require(folder, ("known",))
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(folder))
    with pytest.raises(
        service.ServiceError, match=r"cannot be used: .* Set RUNLOOP_LOCAL_HOME to a folder of your own"
    ):
        service.find()
    said: list[str] = []
    monkeypatch.setenv("RUNLOOP_JUPYTER_HOME", str(folder))
    with StateFolder(said.append).best_effort():
        StateFolder(said.append).ensure("kernels")
    assert len(said) == 1
    assert "RUNLOOP_JUPYTER_HOME" in said[0]
    result = subprocess.run(
        [sys.executable, "-m", "runloop_local", "serve", "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "--data-dir" in result.stderr


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o770, 0o777, 0o1777, 0o701])
@pytest.mark.parametrize("files", [(), ("known",), ("known", "data-80", "lost+found")])
def test_one_of_ours_that_is_too_open_is_closed(mode: int, files: tuple[str, ...], tmp_path: Path) -> None:
    folder = made(tmp_path / "d", mode, *files)
    private_folder.require(folder, ("known", "data-*"))
    assert mode_of(folder) == 0o700


def test_an_open_folder_of_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    folder = made(tmp_path / "d", 0o755, "known", "thesis.tex")
    with pytest.raises(PermissionError, match=r"may look into it \(mode 755\), and 'thesis.tex' in it is not ours"):
        private_folder.require(folder, ("known",))
    assert mode_of(folder) == 0o755
    folder.chmod(0o700)
    private_folder.require(folder, ("known",))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_what_is_made_is_closed_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        private_folder.make(tmp_path / "new")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") & 0o077 == 0


def test_ones_own_link_is_followed(tmp_path: Path) -> None:
    link = linked(tmp_path, os.getuid())
    private_folder.require(link)
    (tmp_path / "real").chmod(0o755)
    private_folder.require(link)
    assert mode_of(tmp_path / "real") == 0o700


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        private_folder.require(tmp_path / "a")


def test_what_is_not_there_is_nobodys(tmp_path: Path) -> None:
    private_folder.require(tmp_path / "not" / "there")
    assert not (tmp_path / "not").exists()


@needs_root
async def test_a_service_that_another_account_has_prepared_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = made(tmp_path / "shared", 0o777, "service.lock")
    state = {"base_url": "http://127.0.0.1:6666", "api_key": "attacker", "pid": 1, "isolation": "", "notes": []}
    (shared / "service.json").write_text(json.dumps(state))
    for each in (shared, *shared.iterdir()):
        given_away(each)
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(shared))
    with (shared / "service.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for ask in (service.find, service.is_starting):
            with pytest.raises(service.ServiceError, match="another account"):
                ask()
        for later in (service.ensure_running, service.stop):
            with pytest.raises(service.ServiceError, match="another account"):
                await later()
    assert mode_of(shared) == 0o777


def test_a_data_folder_that_is_empty_is_closed(tmp_path: Path) -> None:
    data = made(tmp_path / "data", 0o755)
    with serving(data, "--isolation", "process"):
        assert mode_of(data) == 0o700
