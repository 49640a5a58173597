"""The files that the extension keeps for itself: whatever becomes of their folder, all goes on, with one sentence."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runloop_jupyter import state
from runloop_jupyter.connection import Connection
from runloop_jupyter.errors import UsageError
from runloop_jupyter.executions.execution_history import ExecutionHistory, entry
from runloop_jupyter.kernel import kernel_registry
from runloop_jupyter.kernel.kernel_registry import Entry, KernelRegistry
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.state import StateFolder
from tests.own_state import open_to_all

CLOUD = Connection("https://api.example", "key")
BOX = DevboxInfo("dbx_1", "main", "running", 0)
NOBODY = 64_999
VARIABLE = "RUNLOOP_JUPYTER_HOME"
GARBAGE = {
    "nothing": b"",
    "half of it": b'[{"devbox_id": "dbx_',
    "no text": b"\xff\xfe\x00",
    "another thing": b"5",
    "things": b'[1, null, "x", [], {}]',
    "a part": b'[{"devbox_id": "dbx_9"}]',
    "other kinds": json.dumps(
        [{**Entry("dbx_9", "n", "u", "b", True, False, 1.0)._asdict(), "used_at": "now"}]
    ).encode(),
    "no time": json.dumps([{**Entry("dbx_9", "n", "u", "b", True, False, 1.0)._asdict(), "used_at": 1e999}]).encode(),
    "a huge number": json.dumps(
        [{**Entry("dbx_9", "n", "u", "b", True, False, 1.0)._asdict(), "used_at": 10**400}]
    ).encode(),
    "deep": b"[" * 100_000,
}


@pytest.fixture(autouse=True)
def _forget_folders() -> Iterator[None]:
    yield
    state._resolved.cache_clear()


class Kernel:
    """What a kernel does with these files, and what it says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.folder = StateFolder(self.said.append)
        self.kernel_registry = KernelRegistry(self.folder)
        self.execution_history = ExecutionHistory(self.folder)

    def live(self, between: Callable[[], object] = lambda: None) -> None:
        """Do all there is to do, with `between` in the middle. Fails where a result is not right."""
        self.kernel_registry.record("dbx_1", "main", CLOUD.base_url, made=True)
        self.kernel_registry.record("dbx_2", "kept", CLOUD.base_url, made=True, keep=True)
        self.execution_history.note(entry(CLOUD, BOX, "one", "ls"))
        between()
        self.kernel_registry.record("dbx_1", "main", CLOUD.base_url)
        self.execution_history.note(entry(CLOUD, BOX, "two", "ls"))
        assert [each.execution_id for each in self.execution_history.entries(CLOUD)][:1] == ["two"]
        assert {each.devbox_id for each in self.kernel_registry.of_dead_kernels()} <= {"dbx_0", "dbx_2"}
        self.kernel_registry.drop("dbx_1")
        self.kernel_registry.forget("dbx_0")
        self.kernel_registry.end()

    def says_it_once(self, *words: str) -> None:
        """One sentence with these words, which names the variable that moves the folder."""
        assert len(self.said) == 1, self.said
        assert all(word in self.said[0] for word in (*words, VARIABLE)), self.said
        assert "\n" not in self.said[0]


@contextmanager
def other_account(uid: int = NOBODY) -> Iterator[None]:
    """Be another account than root for a while, for files as for all else."""
    if os.getuid() != 0:
        yield
        return
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def home_is(folder: object) -> dict[str, str]:
    return {"HOME": str(folder), VARIABLE: "", "XDG_STATE_HOME": ""}


def no_home(_: Path) -> dict[str, str]:
    return home_is("/proc/none")


def read_only_home(base: Path) -> dict[str, str]:
    folder = base / "home"
    folder.mkdir()
    folder.chmod(0o555)
    return home_is(folder)


def home_is_a_file(base: Path) -> dict[str, str]:
    (base / "home").write_text("")
    return home_is(base / "home")


def closed_home(base: Path) -> dict[str, str]:
    (base / "home").mkdir(mode=0o700)
    (base / "home").chmod(0o000 if os.getuid() else 0o700)
    return home_is(base / "home")


def state_folder_of_another(base: Path) -> dict[str, str]:
    folder = base / "home" / ".local" / "state" / "runloop-jupyter"
    (folder / "kernels").mkdir(parents=True, mode=0o555)
    (folder / "executions.jsonl").write_text("")
    (folder / "executions.jsonl").chmod(0o400 if os.getuid() == 0 else 0o000)
    folder.chmod(0o555)
    return home_is(base / "home")


def folder_is_a_file(base: Path) -> dict[str, str]:
    (base / "file").write_text("")
    return {VARIABLE: str(base / "file")}


def below_a_file(base: Path) -> dict[str, str]:
    (base / "file").write_text("")
    return {VARIABLE: str(base / "file" / "deep" / "er")}


def no_such_account(_: Path) -> dict[str, str]:
    return {VARIABLE: "~nobody-of-this-name/state"}


def odd_letters(_: Path) -> dict[str, str]:
    return {VARIABLE: os.fsdecode(b"/proc/caf\xe9")}


CASES = {
    "HOME absent": (no_home, "/proc/none"),
    "HOME read-only": (read_only_home, "Permission denied"),
    "HOME a file": (home_is_a_file, "Not a directory"),
    "HOME closed": (closed_home, "Permission denied"),
    "another account's folder": (
        state_folder_of_another,
        "belongs to another account" if os.getuid() == 0 else "Permission denied",
    ),
    "a file": (folder_is_a_file, "file"),
    "below a file": (below_a_file, "Not a directory"),
    "no such account": (no_such_account, "~nobody-of-this-name"),
    "letters that are none": (odd_letters, "/proc/caf"),
}


@pytest.mark.parametrize(("surroundings", "word"), CASES.values(), ids=CASES)
def test_a_folder_that_cannot_be_used_is_said_once_and_all_goes_on(
    surroundings: Callable[[Path], dict[str, str]], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all(tmp_path)
    for name, value in surroundings(tmp_path).items():
        monkeypatch.setenv(name, value)
    with other_account():
        kernel = Kernel()
        kernel.live()
        kernel.says_it_once(word)
        with pytest.raises(UsageError, match=VARIABLE), kernel.folder.required():
            kernel.folder.check_usable()
    assert {each.execution_id for each in kernel.execution_history.entries(CLOUD)} == {"one", "two"}


def test_an_account_without_a_passwd_entry_and_a_home_hears_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", VARIABLE, "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", _no_entry)
    kernel = Kernel()
    kernel.live()
    kernel.says_it_once("home directory")
    assert list(tmp_path.iterdir()) == []  # no folder named "~" where the notebook is


def _no_entry(uid: int) -> Any:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


@pytest.mark.parametrize("value", ["state", "./x", "~/x", " "])
def test_an_odd_xdg_state_home_is_ignored(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", value)
    monkeypatch.setenv(VARIABLE, "")
    kernel = Kernel()
    kernel.live()
    assert kernel.said == []
    assert kernel.folder.path == tmp_path / "home" / ".local" / "state" / "runloop-jupyter"
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def dead(home: Path, name: str, content: bytes | None = None) -> Path:
    """The file of a kernel that has ended."""
    file = home / "kernels" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    for folder in (home, file.parent):
        folder.chmod(0o700)
    file.touch(0o600)
    known = [Entry("dbx_0", "old", CLOUD.base_url, "nb", True, False, 1.0)._asdict()]
    file.write_bytes(json.dumps(known).encode() if content is None else content)
    return file


def test_a_folder_that_works_says_nothing(home: Path) -> None:
    file = dead(home, "1-1")
    kernel = Kernel()
    kernel.live()
    assert kernel.said == []
    assert not file.exists()
    assert [each.devbox_id for each in Kernel().kernel_registry.of_dead_kernels()] == ["dbx_2"]
    assert {each.stat().st_mode & 0o077 for each in home.rglob("*")} == {0}


def test_a_relative_folder_stays_the_same_one_wherever_the_notebook_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "state")
    (tmp_path / "sub").mkdir()
    kernel = Kernel()
    kernel.live(lambda: monkeypatch.chdir(tmp_path / "sub"))
    assert kernel.said == []
    assert kernel.folder.path == tmp_path / "state"
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_folder_that_is_removed_meanwhile_is_made_again(home: Path) -> None:
    kernel = Kernel()
    kernel.live(lambda: shutil.rmtree(home))
    assert kernel.said == []
    assert [each.devbox_id for each in Kernel().kernel_registry.of_dead_kernels()] == ["dbx_2"]


def test_a_folder_that_is_replaced_by_a_file_is_said_once(home: Path) -> None:
    def replace() -> None:
        shutil.rmtree(home)
        home.write_text("")

    kernel = Kernel()
    kernel.live(replace)
    kernel.says_it_once("Not a directory")


def test_a_working_folder_that_was_removed_costs_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    kernel = Kernel()
    kernel.live()
    assert (kernel.said, kernel_registry.notebook()) == ([], "")


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_entry_is_left_out(home: Path, content: bytes) -> None:
    dead(home, "1-1", content)
    dead(home, "2-2")
    (home / "executions.jsonl").write_bytes(content)
    kernel = Kernel()
    assert [each.devbox_id for each in kernel.kernel_registry.of_dead_kernels()] == ["dbx_0"]
    kernel.live()
    assert kernel.said == []
    assert [each.execution_id for each in Kernel().execution_history.entries(CLOUD)] == ["two", "one"]


def test_a_later_versions_entries_are_understood(home: Path) -> None:
    known = Entry("dbx_0", "old", CLOUD.base_url, "nb", True, False, 1.0)._asdict()
    dead(home, "1-1", json.dumps([{**known, "new_field": 1}]).encode())
    assert [each.devbox_id for each in Kernel().kernel_registry.of_dead_kernels()] == ["dbx_0"]


def test_a_full_disk_loses_nothing_once_there_is_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    kernel = Kernel()
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        kernel.kernel_registry.record("dbx_1", "main", CLOUD.base_url, made=True)
        for number in range(3):
            kernel.execution_history.note(entry(CLOUD, BOX, f"id{number}", "ls"))
        assert [each.execution_id for each in kernel.execution_history.entries(CLOUD)] == ["id2", "id1", "id0"]
        assert Kernel().kernel_registry.of_dead_kernels() == []  # it lives, and so does its devbox
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    kernel.says_it_once("File too large")
    kernel.kernel_registry.record("dbx_2", "kept", CLOUD.base_url, made=True, keep=True)
    kernel.execution_history.note(entry(CLOUD, BOX, "id3", "ls"))
    assert [each.execution_id for each in Kernel().execution_history.entries(CLOUD)] == ["id3", "id2", "id1", "id0"]
    kernel.kernel_registry.end()
    assert [each.devbox_id for each in Kernel().kernel_registry.of_dead_kernels()] == ["dbx_2"]
    assert len(kernel.said) == 1
    assert [each.name for each in home.rglob("*.new")] == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks_is_said_once(home: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    dead(home, "1-1").with_suffix(".lock").write_text("")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    kernel = Kernel()
    kernel.live()
    kernel.says_it_once(os.strerror(number))
    assert sorted(each.name for each in (home / "kernels").iterdir()) == ["1-1.json", "1-1.lock"]


def test_a_folder_that_is_moved_in_the_notebook_is_used_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    kernel = Kernel()
    kernel.live(lambda: monkeypatch.setenv(VARIABLE, str(tmp_path / "better")))
    assert len(kernel.said) == 1
    assert [each.devbox_id for each in Kernel().kernel_registry.of_dead_kernels()] == ["dbx_2"]
    assert [each.execution_id for each in Kernel().execution_history.entries(CLOUD)] == ["two", "one"]


def test_kernels_that_sweep_at_the_same_time_disturb_no_one(home: Path) -> None:
    for number in range(20):
        old = dead(home, f"{number}-1")
        os.utime(old, (1, 1))
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                kernel = Kernel()
                kernel.live()
                status = len(kernel.said)
            except BaseException:  # noqa: BLE001 - a child must not go on as pytest
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    assert {each.devbox_id for each in Kernel().kernel_registry.of_dead_kernels()} == {"dbx_2"}
