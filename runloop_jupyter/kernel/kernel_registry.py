"""Which devboxes the kernels of this user made and used, in files that outlive them.

A kernel holds a lock on its file while it lives, so that the files of dead kernels can be told: their devboxes are
what `%runloop cleanup` offers to end, and what `%devbox use` finds again in a restarted notebook.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import state
from ..state import StateFolder

_OLD = 14 * 86400  # seconds after which a dead kernel's file is of no use: no devbox lives so long unused


@dataclass(frozen=True, slots=True)
class Entry:
    """One devbox as a kernel knew it; `made` says whether that kernel created it, `used_at` is seconds since 1970.

    `service` tells whose id it is, as `Connection.service` does.
    """

    devbox_id: str
    name: str
    service: str
    notebook: str
    made: bool
    keep: bool
    used_at: float


@dataclass(frozen=True, slots=True)
class Made:
    """What a kernel noted of a devbox that it made, and whether that kernel lives."""

    entry: Entry
    lives: bool


def notebook() -> str:
    """What names the running notebook: its path where the front end tells it, else the folder that is worked in.

    Empty where that folder was removed.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    told = shell.user_ns.get("__vsc_ipynb_file__") if shell else None
    return str(told or os.environ.get("JPY_SESSION_NAME") or _working_folder())


def _working_folder() -> str:
    with suppress(FileNotFoundError):
        return str(Path.cwd())
    return ""


class KernelRegistry:
    """The file of this kernel, made at the first entry, and those of others. None of it is worth a cell."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._entries: dict[str, Entry] = {}
        self._file: Path | None = None
        self._lock: int | None = None
        self._process = os.getpid()

    def note(self, devbox_id: str, name: str, service: str, *, made: bool = False, keep: bool = False) -> None:
        """A devbox was created or chosen, just now."""
        known = self._entries.get(devbox_id)
        if known is not None:
            entry = replace(known, name=name, used_at=time.time())
        else:
            entry = Entry(devbox_id, name, service, notebook(), made, keep, time.time())
        self._entries[devbox_id] = entry
        self._keep()

    def drop(self, devbox_id: str) -> None:
        """A devbox has ended."""
        if self._entries.pop(devbox_id, None) is not None:
            self._keep()
        self.forget(devbox_id)

    def end(self) -> None:
        """The kernel ends: what is left are devboxes that it leaves running."""
        if self._file is None or os.getpid() != self._process:
            return
        self._entries = {name: entry for name, entry in self._entries.items() if entry.keep or not entry.made}
        with self._folder.best_effort(quiet=True):  # nobody would read it, and a later cleanup asks the service
            self._write()
        with self._folder.best_effort(quiet=True):
            self._release()

    def of_dead_kernels(self) -> list[Entry]:
        """What kernels knew that do not live any more, the last used first."""
        found: list[Entry] = []
        with self._folder.best_effort():
            found = [entry for file in _files(self._kernels) if _is_dead(file) for entry in read(file)]
        return sorted(found, key=lambda entry: entry.used_at, reverse=True)

    def made(self, service: str) -> dict[str, Made]:
        """What kernels of this user made on a service, and have not ended as far as they know, by its id."""
        found: dict[str, Made] = {}
        with self._folder.best_effort():
            for file in _files(self._kernels):
                lives = not _is_dead(file)
                entries = (entry for entry in read(file) if entry.made and entry.service == service)
                found.update((entry.devbox_id, Made(entry, lives)) for entry in entries)
        return found

    def forget(self, devbox_id: str) -> None:
        """A devbox of a dead kernel has ended."""
        with self._folder.best_effort():
            for file in _files(self._kernels):
                _forget(file, devbox_id)

    @property
    def _kernels(self) -> Path:
        return self._folder.path / "kernels"

    def _keep(self) -> None:
        with self._folder.best_effort():
            try:
                self._write()
            except (FileNotFoundError, NotADirectoryError):  # the folder was removed
                self._release()
                self._write()

    def _write(self) -> None:
        _write(self._file or self._open(), self._entries.values())

    def _open(self) -> Path:
        home = self._folder.made("kernels")
        _sweep(home)
        file = home / f"{os.getpid()}-{time.time_ns()}.json"
        self._lock = _locked(file.with_suffix(".lock"))
        self._file = file
        os.register_at_fork(after_in_child=self._leave_to_parent)
        return file

    def _leave_to_parent(self) -> None:
        """A forked child that lives on must not hold the lock of a kernel that has ended."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _release(self) -> None:
        file, lock = self._file, self._lock
        self._file = self._lock = None
        try:
            if file is not None and not self._entries:
                _remove(file)
        finally:
            if lock is not None:
                os.close(lock)


def read(file: Path) -> list[Entry]:
    """The entries of one file; none where another account, or another version of this program, wrote it."""
    try:
        entries = json.loads(state.read(file))
    except (FileNotFoundError, PermissionError, ValueError, RecursionError):
        return []
    return state.entries_of(Entry, entries if isinstance(entries, list) else ())


def _write(file: Path, entries: Iterable[Entry]) -> None:
    state.replace(file, json.dumps([asdict(entry) for entry in entries]))


def _files(home: Path) -> list[Path]:
    return list(home.glob("*.json")) if home.is_dir() else []


def _forget(file: Path, devbox_id: str) -> None:
    entries = read(file)
    left = [entry for entry in entries if entry.devbox_id != devbox_id]
    if len(left) == len(entries) or not _is_dead(file):
        return
    if left:
        _write(file, left)
    else:
        _remove(file)


def _locked(path: Path) -> int:
    """A new file, locked by this process. Raises OSError, also where locks cannot be had."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        os.close(lock)
        path.unlink(missing_ok=True)
        raise
    return lock


def _is_dead(file: Path) -> bool:
    """Whether the kernel of a file has ended; another account's counts as one that lives."""
    try:
        lock = os.open(file.with_suffix(".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_UN)  # closing alone would not do if another thread forks at this moment
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _sweep(home: Path) -> None:
    """Remove what is of no use any more; other kernels may be doing so at the same time."""
    for file in home.iterdir():
        with suppress(FileNotFoundError, PermissionError):
            if time.time() - file.stat().st_mtime > _OLD and _is_dead(file):
                _remove(file)


def _remove(file: Path) -> None:
    for each in (file, file.with_suffix(".lock")):
        each.unlink(missing_ok=True)
