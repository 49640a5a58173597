"""The user's own embedded service: find it, start it when needed, stop it.

Imports the standard library only, and little of it: the notebook extension imports this on every load.
The service keeps a lock on `service.lock` while it lives, and writes `service.json` once it answers.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Iterator

_POLL_SECONDS = 0.01
_LOG_CHARACTERS = 600
_STOP_SECONDS = 15.0


class ServiceError(Exception):
    """The user's service cannot be started or stopped; one sentence, with the end of its log where that helps."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the user's service answers, and to whom."""

    base_url: str
    api_key: str = field(repr=False)
    pid: int = 0
    isolation: str = ""
    notes: tuple[str, ...] = ()


def home() -> Path:
    """The folder of the user's service: its state, its log, and the data of its devboxes."""
    chosen = os.environ.get("RUNLOOP_LOCAL_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_state_dir

    return Path(user_state_dir("runloop-local"))


def find() -> Endpoint | None:
    """The user's running service, or None."""
    folder = home()
    try:
        state = json.loads((folder / "service.json").read_text())
        endpoint = Endpoint(**{**state, "notes": tuple(state["notes"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ServiceError(f"The state of the service in {folder / 'service.json'} cannot be read: {error}.") from error
    return endpoint if _is_held(folder / "service.lock") else None


async def ensure_running(timeout: float = 15.0) -> Endpoint:
    """The user's service, started if needed: it outlives this process. `ServiceError` if it cannot be started."""
    found = find()
    if found is not None:
        return found
    deadline = time.monotonic() + timeout
    async with _only_starter(deadline):
        return find() or await _start(deadline)


async def stop() -> bool:
    """Stop the user's service and wait until it is gone; False when none was running."""
    import asyncio

    found = find()
    if found is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _is_held(home() / "service.lock"):
        if time.monotonic() > deadline:
            raise ServiceError(f"The service (pid {found.pid}) has not stopped within {_STOP_SECONDS:.0f} seconds.")
        await asyncio.sleep(_POLL_SECONDS)
    return True


@contextmanager
def published() -> Iterator[int]:
    """For the service itself: be the user's one. `ServiceError` when another one is."""
    folder = _made_home()
    lock = _open_lock(folder / "service.lock")
    try:
        _hold(lock, folder)
        yield lock
    finally:
        os.close(lock)


def publish(endpoint: Endpoint) -> None:
    """For the service itself: tell the user's programs where it answers."""
    folder = home()
    state = {name: getattr(endpoint, name) for name in Endpoint.__slots__}
    temporary = folder / "service.json.new"
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(state, file)
    temporary.replace(folder / "service.json")


def withdraw() -> None:
    """For the service itself: it no longer answers."""
    (home() / "service.json").unlink(missing_ok=True)


def _made_home() -> Path:
    folder = home()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ServiceError(f"The folder {folder} of the service cannot be used: {error.strerror}.") from error
    return folder


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServiceError(f"The lock {path} cannot be opened: {error.strerror}.") from error


def _hold(lock: int, folder: Path) -> None:
    # Someone who looks whether the service lives holds the lock for an instant.
    for _ in range(50):
        if _try_lock(lock, fcntl.LOCK_EX):
            return
        time.sleep(_POLL_SECONDS)
    raise ServiceError(f"The service of {folder} is already running: see runloop-local status, runloop-local stop.")


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


@asynccontextmanager
async def _only_starter(deadline: float) -> AsyncIterator[None]:
    import asyncio

    lock = _open_lock(_made_home() / "start.lock")
    try:
        while not _try_lock(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise ServiceError("Another program has been starting the service for too long.")
            await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(lock)


async def _start(deadline: float) -> Endpoint:
    import asyncio

    log = home() / "service.log"
    process = _spawn(log)
    assert process.stdout is not None
    try:
        os.set_blocking(process.stdout.fileno(), False)
        while (said := process.stdout.read()) is None:
            if time.monotonic() > deadline:
                raise ServiceError(f"The service has not answered in time. {_end_of(log)}")
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        process.stdout.close()
        process.wait()  # the service has left this process behind at once: see `serve --detach`
    found = find() if said else None
    if found is None:
        raise ServiceError(f"The service could not be started. {_end_of(log)}")
    return found


def _spawn(log: Path) -> subprocess.Popen[bytes]:
    # -P, because a notebook's folder may hold a secrets.py or a json.py of its own.
    import subprocess

    try:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "runloop_local", "serve", "--detach"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
    except OSError as error:
        raise ServiceError(f"The service could not be started: {error}.") from error


def _end_of(log: Path) -> str:
    with suppress(OSError):
        text = log.read_text(errors="replace").strip()
        if text:
            return f"Its log ends: {text[-_LOG_CHARACTERS:]}"
    return f"Its log {log} is empty."
