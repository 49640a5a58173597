"""A registry of the devboxes that this user's kernels created and used, in files that outlive the kernels.

A kernel holds a lock on its file while it lives. A file without a lock belongs to a dead kernel: its devboxes are what
`%runloop cleanup` offers to shut down, and what `%devbox use` finds again in a restarted notebook.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runloop_local import file_lock

from .. import state
from ..state import StateFolder

_MAX_AGE = 14 * 86400  # seconds after which a dead kernel's file is removed: no devbox lives so long unused


class Entry(NamedTuple):
    """One devbox as a kernel knew it. `made` is true if that kernel created it; `used_at` is in seconds since 1970.

    `service` identifies the service that the id belongs to, as `Connection.service` does.
    """

    devbox_id: str
    name: str
    service: str
    notebook: str
    made: bool
    keep: bool
    used_at: float


class CreatedDevbox(NamedTuple):
    """The entry of a devbox that a kernel created, and whether that kernel is alive."""

    entry: Entry
    lives: bool


def notebook() -> str:
    """The running notebook's path where the front end tells it, else the working directory.

    Empty if that directory was removed.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    path = shell.user_ns.get("__vsc_ipynb_file__") if shell else None  # set by VS Code
    return str(path or os.environ.get("JPY_SESSION_NAME") or _working_folder())


def _working_folder() -> str:
    with suppress(FileNotFoundError):
        return str(Path.cwd())
    return ""


class KernelRegistry:
    """This kernel's file, created with the first entry, and those of other kernels.

    A file that cannot be read or written never fails a cell: the entries are kept in memory, and the user is told once.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._entries: dict[str, Entry] = {}
        self._file: Path | None = None
        self._lock: int | None = None
        self._process = os.getpid()

    def record(self, devbox_id: str, name: str, service: str, *, made: bool = False, keep: bool = False) -> None:
        """Record that a devbox was created or chosen just now."""
        known = self._entries.get(devbox_id)
        if known is not None:
            entry = known._replace(name=name, used_at=time.time())
        else:
            entry = Entry(devbox_id, name, service, notebook(), made, keep, time.time())
        self._entries[devbox_id] = entry
        self._save()

    def drop(self, devbox_id: str) -> None:
        """Remove a devbox that has ended."""
        if self._entries.pop(devbox_id, None) is not None:
            self._save()
        self.forget(devbox_id)

    def end(self) -> None:
        """Release the file at the kernel's end, with the devboxes that the kernel leaves running."""
        if self._file is None or os.getpid() != self._process:
            return
        self._entries = {name: entry for name, entry in self._entries.items() if entry.keep or not entry.made}
        with self._folder.best_effort(quiet=True):  # nobody reads a warning now, and cleanup asks the service anyway
            self._write()
        with self._folder.best_effort(quiet=True):
            self._release()

    def of_dead_kernels(self) -> list[Entry]:
        """The entries of kernels that have ended, the most recently used first."""
        found: list[Entry] = []
        with self._folder.best_effort():
            found = [entry for file in _files(self._kernels) if _is_dead(file) for entry in read(file)]
        return sorted(found, key=lambda entry: entry.used_at, reverse=True)

    def created(self, service: str) -> dict[str, CreatedDevbox]:
        """The devboxes that this user's kernels created on a service and have not shut down, by id."""
        found: dict[str, CreatedDevbox] = {}
        with self._folder.best_effort():
            for file in _files(self._kernels):
                lives = not _is_dead(file)
                entries = (entry for entry in read(file) if entry.made and entry.service == service)
                found.update((entry.devbox_id, CreatedDevbox(entry, lives)) for entry in entries)
        return found

    def forget(self, devbox_id: str) -> None:
        """Remove a devbox that has ended from the files of dead kernels."""
        with self._folder.best_effort():
            for file in _files(self._kernels):
                _forget(file, devbox_id)

    @property
    def _kernels(self) -> Path:
        return self._folder.path / "kernels"

    def _save(self) -> None:
        with self._folder.best_effort():
            try:
                self._write()
            except (FileNotFoundError, NotADirectoryError):  # the folder was removed
                self._release()
                self._write()

    def _write(self) -> None:
        _write(self._file or self._open(), self._entries.values())

    def _open(self) -> Path:
        home = self._folder.ensure("kernels")
        _remove_old(home)
        file = home / f"{os.getpid()}-{time.time_ns()}.json"
        self._lock = _locked(file.with_suffix(".lock"))
        self._file = file
        if sys.platform != "win32":  # a flock belongs to all copies of its descriptor
            os.register_at_fork(after_in_child=self._leave_to_parent)
        return file

    def _leave_to_parent(self) -> None:
        """Close the lock in a forked child: one that outlives the kernel must not make it look alive."""
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
    """The entries of one file; none if another account wrote it, or another version of this package."""
    try:
        entries = json.loads(state.read(file))
    except (FileNotFoundError, PermissionError, ValueError, RecursionError):
        return []
    return state.entries_of(Entry, entries if isinstance(entries, list) else ())


def _write(file: Path, entries: Iterable[Entry]) -> None:
    state.replace(file, json.dumps([entry._asdict() for entry in entries]))


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
    """Create a file and lock it. Raises OSError, also where the file system has no locks."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        file_lock.lock(lock)
    except OSError:
        os.close(lock)
        path.unlink(missing_ok=True)
        raise
    return lock


def _is_dead(file: Path) -> bool:
    """True if the kernel of a file has ended; another account's kernel counts as alive."""
    try:
        lock = os.open(file.with_suffix(".lock"), os.O_RDONLY)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    try:
        return not file_lock.is_locked(lock)
    finally:
        os.close(lock)


def _remove_old(home: Path) -> None:
    """Remove the files of kernels that ended long ago; other kernels may be doing so at the same time."""
    for file in home.iterdir():
        with suppress(FileNotFoundError, PermissionError):
            if time.time() - file.stat().st_mtime > _MAX_AGE and _is_dead(file):
                _remove(file)


def _remove(file: Path) -> None:
    for each in (file, file.with_suffix(".lock")):
        each.unlink(missing_ok=True)
