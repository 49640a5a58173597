"""Which devboxes the kernels of this user made and used, in files that outlive them.

A kernel holds a lock on its file while it lives, so that the files of dead kernels can be told: their devboxes are
what `%runloop cleanup` offers to end, and what `%devbox use` finds again in a restarted notebook.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_OLD = 14 * 86400  # seconds after which a dead kernel's file is of no use: no devbox lives so long unused


@dataclass(frozen=True, slots=True)
class Entry:
    """One devbox as a kernel knew it; `made` says whether that kernel created it, `used_at` is seconds since 1970."""

    devbox_id: str
    name: str
    base_url: str
    notebook: str
    made: bool
    keep: bool
    used_at: float


def folder() -> Path:
    """Where this user's files are."""
    chosen = os.environ.get("RUNLOOP_JUPYTER_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_state_dir

    return Path(user_state_dir("runloop-jupyter"))


def notebook() -> str:
    """What names the running notebook: its path where the front end tells it, else the folder that is worked in."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    told = shell.user_ns.get("__vsc_ipynb_file__") if shell else None
    return str(told or os.environ.get("JPY_SESSION_NAME") or Path.cwd())


class Ledger:
    """The file of this kernel, made at the first entry."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._file: Path | None = None
        self._lock: int | None = None
        self._process = os.getpid()

    def note(self, devbox_id: str, name: str, base_url: str, *, made: bool = False, keep: bool = False) -> None:
        """A devbox was created or chosen, just now."""
        known = self._entries.get(devbox_id)
        if known is not None:
            entry = replace(known, name=name, used_at=time.time())
        else:
            entry = Entry(devbox_id, name, base_url, notebook(), made, keep, time.time())
        self._entries[devbox_id] = entry
        self._write()

    def drop(self, devbox_id: str) -> None:
        """A devbox has ended."""
        if self._entries.pop(devbox_id, None) is not None:
            self._write()

    def end(self) -> None:
        """The kernel ends: what is left are devboxes that it leaves running."""
        if self._file is None or os.getpid() != self._process:
            return
        self._entries = {name: entry for name, entry in self._entries.items() if entry.keep or not entry.made}
        self._write()
        self._release()

    def _write(self) -> None:
        file = self._file or self._open()
        new = file.with_suffix(".new")
        new.write_text(json.dumps([asdict(entry) for entry in self._entries.values()]))
        new.replace(file)

    def _open(self) -> Path:
        home = folder() / "kernels"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(home)
        self._file = home / f"{os.getpid()}-{time.time_ns()}.json"
        self._lock = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._file

    def _release(self) -> None:
        if self._lock is not None and self._file is not None:
            if not self._entries:
                _remove(self._file)
            os.close(self._lock)
        self._file = self._lock = None


def of_dead_kernels() -> list[Entry]:
    """What kernels knew that do not live any more, the last used first."""
    found = [entry for file in _files(folder() / "kernels") if _is_dead(file) for entry in read(file)]
    return sorted(found, key=lambda entry: entry.used_at, reverse=True)


def forget(devbox_id: str) -> None:
    """A devbox of a dead kernel has ended."""
    for file in _files(folder() / "kernels"):
        entries = read(file)
        left = [entry for entry in entries if entry.devbox_id != devbox_id]
        if len(left) == len(entries) or not _is_dead(file):
            continue
        if left:
            file.write_text(json.dumps([asdict(entry) for entry in left]))
        else:
            _remove(file)


def read(file: Path) -> list[Entry]:
    """The entries of one file; none where another version of this program wrote it."""
    try:
        return [Entry(**entry) for entry in json.loads(file.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _files(home: Path) -> Iterator[Path]:
    return home.glob("*.json") if home.is_dir() else iter(())


def _is_dead(file: Path) -> bool:
    try:
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _sweep(home: Path) -> None:
    for file in list(_files(home)):
        if time.time() - file.stat().st_mtime > _OLD and _is_dead(file):
            _remove(file)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.with_suffix(".lock").unlink(missing_ok=True)
