"""Finds, starts and stops the user's own embedded service.

Imports little, and from the standard library only, because the notebook extension imports this on every load.
`service.lock` is locked from the start of a service until it is gone, and holds its process id; `service.json` holds
its address and key. Locked without a `service.json`, the service is starting or about to end. The program that starts
it takes the lock and passes it to the new process. So there is never more than one service, it is visible from its
first instruction, and it goes on starting if its starter stops waiting or is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import file_lock, private_folder
from .service_error import ServiceError as ServiceError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

DEFAULT_START_SECONDS = 60.0
_BUILD_SECONDS = 600.0
"""The time that a service in a container has, whose image may have to be built first."""
_START_VARIABLE = "RUNLOOP_LOCAL_START_TIMEOUT"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.1  # seconds between polls of a service that is starting
_LOG_CHARACTERS = 600
_STOP_SECONDS = 15.0
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
    with _usable(folder):
        private_folder.make(folder, _FILES)
    return folder


def find() -> Endpoint | None:
    """The user's running service, or None. Raises `ServiceError` if its state cannot be read."""
    return _probe(home())[1]


def is_starting() -> bool:
    """True if there is a service that does not answer yet, or is about to end."""
    exists, found = _probe(home())
    return exists and found is None


def _probe(folder: Path) -> tuple[bool, Endpoint | None]:
    """True if there is a service, and its endpoint if it has published one."""
    with _usable(folder):
        exists = _is_held(folder / "service.lock")
        return exists, _endpoint(folder / "service.json") if exists else None


def start_limit() -> float:
    """The number of seconds to wait for a start, from the environment. Raises `ServiceError`."""
    text = os.environ.get(_START_VARIABLE, "").strip()
    if not text:
        return _BUILD_SECONDS if may_use_engine() else DEFAULT_START_SECONDS
    with suppress(ValueError):
        if (seconds := float(text)) > 0:  # which NaN is not
            return seconds
    raise ServiceError(f"{_START_VARIABLE} is {text!r}, which is not a number of seconds: write it like 120.")


def may_use_engine() -> bool:
    """True if a service that is started now runs in a container, where there is an engine."""
    from .container.engine_client import VARIABLE

    requested = os.environ.get(VARIABLE, "").strip() or "auto"
    return requested != "none" and (requested != "auto" or sys.platform != "linux")


async def ensure_running(limit: float | None = None) -> Endpoint:
    """Find the user's service, or start it; it outlives this process.

    Raises `ServiceError` if it cannot be started, or does not answer within `limit` seconds (default:
    RUNLOOP_LOCAL_START_TIMEOUT in the environment, else 60, or 600 if it may run in a container). In that case, and if
    the wait is cancelled, it goes on starting, and the next call finds it.
    """
    import asyncio

    limit = start_limit() if limit is None else limit
    folder, deadline = home(), time.monotonic() + limit
    pause, started = _FIRST_PAUSE, None
    while True:
        exists, found = _probe(folder)
        if found is not None:
            return found
        if exists and time.monotonic() > deadline:
            raise ServiceError(_timeout_message(folder, limit))
        if not exists and started is None:
            started = _start(folder)
        elif not exists and started is not None and started.poll() is not None:
            raise ServiceError(f"The service could not be started. {_end_of_log(folder)}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.1, _LONGEST_PAUSE)


async def stop() -> bool:
    """Stop the user's service, even while it is starting, and wait until it is gone; False if there was none."""
    import asyncio

    folder = home()
    lock = folder / "service.lock"
    with _usable(folder):
        if not _is_held(lock):
            return False
        await asyncio.to_thread(_stop_container, folder)
        signalled, deadline = 0, time.monotonic() + _STOP_SECONDS
        while _is_held(lock):
            if (pid := _process_id(folder)) != signalled:  # in its first moments it has not written it yet
                signalled = pid
                _terminate(pid)
            if time.monotonic() > deadline:
                raise ServiceError(f"The service (pid {signalled}) did not stop within {_STOP_SECONDS:.0f} seconds.")
            await asyncio.sleep(_FIRST_PAUSE)
    return True


def _stop_container(folder: Path) -> None:
    """Stop the container of a service that runs in one; the process that follows it ends with it."""
    from .container.container import Container
    from .container.engine_client import find

    with suppress(ServiceError):  # what cannot be read names no container
        found = _endpoint(folder / "service.json")
        engine = None if found is None else find(found.engine, os.environ)
        if found is not None and engine is not None:
            Container(engine, found.container).stop()


@contextmanager
def service_lock(inherited: int | None = None) -> Iterator[int]:
    """Hold the lock of the user's service; called by the service itself. Raises `ServiceError` if another one runs.

    `inherited` is the descriptor of the lock if the starter has taken it.
    """
    folder = home()
    lock = _open_lock(folder) if inherited is None else inherited
    try:
        with _usable(folder):
            os.set_inheritable(lock, False)
            if inherited is None:
                _acquire(lock, folder)
                (folder / "service.json").unlink(missing_ok=True)  # of one that was killed
            os.ftruncate(lock, 0)
            _write_process_id(lock, os.getpid())
        yield lock
    finally:
        os.close(lock)


def publish(endpoint: Endpoint) -> None:
    """Write `service.json`, by which the user's programs find the service; called by the service itself."""
    folder = home()
    state = {each.name: getattr(endpoint, each.name) for each in fields(endpoint)}
    # Replaced atomically, so that no reader sees half of it; for the user only, as it contains the API key.
    temporary = folder / "service.json.new"
    with _usable(folder):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(state, file)
        temporary.replace(folder / "service.json")


def withdraw() -> None:
    """Remove `service.json`, as the service no longer answers; called by the service itself."""
    (home() / "service.json").unlink(missing_ok=True)


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
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


def _endpoint(file: Path) -> Endpoint | None:
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


def _open_lock(folder: Path) -> int:
    """Open the lock file; creates the folder if it does not exist."""
    with _usable(folder):
        private_folder.make(folder, _FILES)
        return os.open(folder / "service.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _acquire(lock: int, folder: Path) -> None:
    try:
        file_lock.lock(lock)
    except TimeoutError as error:
        message = f"The service of {folder} is already running: see runloop-local status, runloop-local stop."
        raise ServiceError(message) from error


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return file_lock.is_locked(lock)
    finally:
        os.close(lock)


def _process_id(folder: Path) -> int:
    """The id of the process that holds the lock; 0 if it has not written it yet."""
    with suppress(ValueError):
        return int((folder / "service.lock").read_text())
    with suppress(ServiceError):
        found = _endpoint(folder / "service.json")
        return 0 if found is None else found.pid
    return 0


def _terminate(pid: int) -> None:
    if pid > 0:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _start(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start the service; None if another program is starting it already."""
    if sys.platform == "win32":  # where a lock cannot be handed over: the service takes it, and only one of two gets it
        ensure_home()
        return _spawn(folder)
    lock = _open_lock(folder)
    try:
        with _usable(folder):
            if not file_lock.try_lock(lock):
                return None
            (folder / "service.json").unlink(missing_ok=True)  # of one that was killed
            os.ftruncate(lock, 0)
            process = _spawn(folder, lock)
            if not os.fstat(lock).st_size:  # until the service writes its own, which it gets when it detaches
                _write_process_id(lock, process.pid)
    finally:
        os.close(lock)
    return process


def _spawn(folder: Path, *locks: int) -> subprocess.Popen[bytes]:
    import subprocess
    import threading

    # -P, because a notebook's folder may hold a secrets.py or a json.py of its own.
    command = [sys.executable, "-P", "-m", "runloop_local", "serve", "--detach"]
    for lock in locks:
        command += ["--lock", str(lock)]
    alone: dict[str, Any] = {"start_new_session": True, "pass_fds": locks}
    if sys.platform == "win32":
        alone = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    log = os.open(_log(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(
            command,
            env={**os.environ, "RUNLOOP_LOCAL_HOME": str(folder)},  # it works in another folder: see `serve --detach`
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            **alone,
        )
    finally:
        os.close(log)
    # On POSIX the child exits once the service has detached, which takes a moment on a busy machine: reap it then.
    threading.Thread(target=process.wait, name="start of runloop-local", daemon=True).start()
    return process


def _write_process_id(lock: int, pid: int) -> None:
    text = f"{pid}\n".encode()
    if sys.platform == "win32":
        os.lseek(lock, 0, os.SEEK_SET)
        os.write(lock, text)
    else:
        os.pwrite(lock, text, 0)  # the service and its starter share the position


def _timeout_message(folder: Path, limit: float) -> str:
    pid = _process_id(folder)
    return (
        f"The service{f' (pid {pid})' if pid else ''} did not answer within {limit:g} s, but is still starting: try "
        f"again later, or set {_START_VARIABLE} to more seconds. If it hangs, `runloop-local stop` ends it. "
        f"{_end_of_log(folder)}"
    )


def _log(folder: Path) -> Path:
    return folder / "service.log"


def _end_of_log(folder: Path) -> str:
    log = _log(folder)
    with suppress(OSError):
        text = log.read_text(errors="replace").strip()
        if text:
            return f"Its log ends: {text[-_LOG_CHARACTERS:]}"
    return f"Its log {log} is empty."
