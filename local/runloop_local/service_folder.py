"""The folder of the user's own service, by whose files programs find it.

Imports little, and from the standard library only, because the notebook extension imports this on every load.
`service.lock` is locked from the start of a service until it is gone, and holds its process id; `service.json` holds
its address and key. Locked without a `service.json`, the service is starting or about to end.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from . import file_lock, private_folder
from .service_error import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG_CHARACTERS = 600
_FILES = ("service.lock", "service.json", "service.json.new", "service.log", "data", "data-*")
"""Patterns of all names in the folder."""
_MOVE_HINT = "Set RUNLOOP_LOCAL_HOME to a folder of your own on a local disk."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address and API key of the user's service."""

    base_url: str
    api_key: str = field(repr=False)
    pid: int = 0
    isolation: str = ""
    notes: tuple[str, ...] = ()
    requested: str = "auto"
    """The isolation that was asked for."""
    image: str = ""
    """The image of devboxes that name no disk; empty for this machine's own userland."""
    engine: str = ""
    """The container engine, `docker` or `podman`, that it runs in; empty if it runs on this machine itself."""
    container: str = ""
    """The name of its container there."""


def home() -> Path:
    """The folder of the user's service, with its state, its log and its devboxes' data. Raises `ServiceError`."""
    chosen = os.environ.get("RUNLOOP_LOCAL_HOME")
    try:
        return _resolved(chosen) if chosen else _default_home()
    except (OSError, RuntimeError) as error:  # the working folder was removed; no such account; no home folder
        reason = str(error).rstrip(".")
        raise ServiceError(f"There is no folder {chosen or '~'!r} for the service: {reason}. {_MOVE_HINT}") from error


@cache  # so that a relative path keeps its meaning if this process changes its working folder
def _resolved(name: str) -> Path:
    return Path(name).expanduser().absolute()


def _default_home() -> Path:
    from platformdirs import user_state_dir

    found = Path(user_state_dir("runloop-local"))
    # Older versions of platformdirs accept a relative XDG_STATE_HOME, which the specification says to ignore, and do
    # not expand "~" where there is no home.
    return found if found.is_absolute() else Path("~/.local/state/runloop-local").expanduser()


def ensure_home() -> Path:
    """The folder of the user's service, created if it does not exist. Raises `ServiceError`."""
    folder = home()
    with usable(folder):
        private_folder.make(folder, _FILES)
    return folder


def probe(folder: Path) -> tuple[bool, Endpoint | None]:
    """True if there is a service, and its endpoint if it has published one."""
    with usable(folder):
        exists = is_held(folder / "service.lock")
        return exists, endpoint(folder / "service.json") if exists else None


@contextmanager
def service_lock(inherited: int | None = None) -> Iterator[int]:
    """Hold the lock of the user's service; called by the service itself. Raises `ServiceError` if another one runs.

    `inherited` is the descriptor of the lock if the starter has taken it.
    """
    folder = home()
    lock = open_lock(folder) if inherited is None else inherited
    try:
        with usable(folder):
            os.set_inheritable(lock, False)
            if inherited is None:
                _acquire(lock, folder)
                (folder / "service.json").unlink(missing_ok=True)  # of one that was killed
            os.ftruncate(lock, 0)
            write_process_id(lock, os.getpid())
        yield lock
    finally:
        os.close(lock)


def publish(endpoint: Endpoint) -> None:
    """Write `service.json`, by which the user's programs find the service; called by the service itself."""
    folder = home()
    state = {each.name: getattr(endpoint, each.name) for each in fields(endpoint)}
    # Replaced atomically, so that no reader sees half of it; for the user only, as it contains the API key.
    temporary = folder / "service.json.new"
    with usable(folder):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(state, file)
        temporary.replace(folder / "service.json")


def withdraw() -> None:
    """Remove `service.json`, as the service no longer answers; called by the service itself."""
    (home() / "service.json").unlink(missing_ok=True)


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Run the body if the folder is private to the user.

    Any OSError becomes a `ServiceError` with the reason and the variable that chooses another folder.
    """
    try:
        private_folder.require(folder, _FILES)
        yield
    except OSError as error:
        raise ServiceError(
            f"The folder {folder} of the service cannot be used: {describe_error(error, folder)}. {_MOVE_HINT}"
        ) from error


def describe_error(error: OSError, folder: Path) -> str:
    """The message of an error, with its file unless that is the folder itself."""
    reason = error.strerror or str(error)
    return reason if error.filename in (None, str(folder)) else f"{reason}: {error.filename}"


def endpoint(file: Path) -> Endpoint | None:
    """The endpoint that the service has published, or None."""
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        known = {each.name: state[each.name] for each in fields(Endpoint) if each.name in state}
        return Endpoint(**{**known, "notes": tuple(known["notes"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ServiceError(
            f"The state of the service in {file} cannot be read ({error}): runloop-local stop ends it."
        ) from error


def open_lock(folder: Path) -> int:
    """Open the lock file; creates the folder if it does not exist."""
    with usable(folder):
        private_folder.make(folder, _FILES)
        return os.open(folder / "service.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _acquire(lock: int, folder: Path) -> None:
    try:
        file_lock.lock(lock)
    except TimeoutError as error:
        message = f"The service of {folder} is already running: see runloop-local status, runloop-local stop."
        raise ServiceError(message) from error


def is_held(path: Path) -> bool:
    """True if a service holds the lock in this file."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return file_lock.is_locked(lock)
    finally:
        os.close(lock)


def process_id(folder: Path) -> int:
    """The id of the process that holds the lock; 0 if it has not written it yet."""
    with suppress(ValueError):
        return int((folder / "service.lock").read_text())
    with suppress(ServiceError):
        found = endpoint(folder / "service.json")
        return 0 if found is None else found.pid
    return 0


def write_process_id(lock: int, pid: int) -> None:
    """Write into the lock file who holds it."""
    text = f"{pid}\n".encode()
    if sys.platform == "win32":
        os.lseek(lock, 0, os.SEEK_SET)
        os.write(lock, text)
    else:
        os.pwrite(lock, text, 0)  # the service and its starter share the position


def log_file(folder: Path) -> Path:
    """The log of the service that is, or was, started last."""
    return folder / "service.log"


def end_of_log(folder: Path) -> str:
    """A sentence with the last lines of the log."""
    log = log_file(folder)
    with suppress(OSError):
        text = log.read_text(errors="replace").strip()
        if text:
            return f"Its log ends: {text[-_LOG_CHARACTERS:]}"
    return f"Its log {log} is empty."
