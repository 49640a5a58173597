"""Finds, starts and stops the user's own embedded service.

Imports little, and from the standard library only, because the notebook extension imports this on every load. The
program that starts the service takes its lock and passes it to the new process. So there is never more than one
service, it is visible from its first instruction, and it goes on starting if its starter stops waiting or is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import file_lock, service_folder
from .service_error import ServiceError as ServiceError

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from .service_folder import Endpoint

DEFAULT_START_SECONDS = 60.0
_BUILD_SECONDS = 600.0
"""The time that a service in a container has, whose image may have to be built first."""
_START_VARIABLE = "RUNLOOP_LOCAL_START_TIMEOUT"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.1  # seconds between polls of a service that is starting
_STOP_SECONDS = 15.0


def find() -> Endpoint | None:
    """The user's running service, or None. Raises `ServiceError` if its state cannot be read."""
    return service_folder.probe(service_folder.home())[1]


def is_starting() -> bool:
    """True if there is a service that does not answer yet, or is about to end."""
    exists, found = service_folder.probe(service_folder.home())
    return exists and found is None


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
    folder, deadline = service_folder.home(), time.monotonic() + limit
    pause, started = _FIRST_PAUSE, None
    while True:
        exists, found = service_folder.probe(folder)
        if found is not None:
            return found
        if exists and time.monotonic() > deadline:
            raise ServiceError(_timeout_message(folder, limit))
        if not exists and started is None:
            started = _start(folder)
        elif not exists and started is not None and started.poll() is not None:
            raise ServiceError(f"The service could not be started. {service_folder.end_of_log(folder)}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.1, _LONGEST_PAUSE)


async def stop() -> bool:
    """Stop the user's service, even while it is starting, and wait until it is gone; False if there was none."""
    import asyncio

    folder = service_folder.home()
    lock = folder / "service.lock"
    with service_folder.usable(folder):
        if not service_folder.is_held(lock):
            return False
        await asyncio.to_thread(_stop_container, folder)
        signalled, deadline = 0, time.monotonic() + _STOP_SECONDS
        while service_folder.is_held(lock):
            if (
                pid := service_folder.process_id(folder)
            ) != signalled:  # in its first moments it has not written it yet
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
        found = service_folder.endpoint(folder / "service.json")
        engine = None if found is None else find(found.engine, os.environ)
        if found is not None and engine is not None:
            Container(engine, found.container).stop()


def _terminate(pid: int) -> None:
    if pid > 0:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _start(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start the service; None if another program is starting it already."""
    if sys.platform == "win32":  # where a lock cannot be handed over: the service takes it, and only one of two gets it
        service_folder.ensure_home()
        return _spawn(folder)
    lock = service_folder.open_lock(folder)
    try:
        with service_folder.usable(folder):
            if not file_lock.try_lock(lock):
                return None
            (folder / "service.json").unlink(missing_ok=True)  # of one that was killed
            os.ftruncate(lock, 0)
            process = _spawn(folder, lock)
            if not os.fstat(lock).st_size:  # until the service writes its own, which it gets when it detaches
                service_folder.write_process_id(lock, process.pid)
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
    log = os.open(service_folder.log_file(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
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


def _timeout_message(folder: Path, limit: float) -> str:
    pid = service_folder.process_id(folder)
    return (
        f"The service{f' (pid {pid})' if pid else ''} did not answer within {limit:g} s, but is still starting: try "
        f"again later, or set {_START_VARIABLE} to more seconds. If it hangs, `runloop-local stop` ends it. "
        f"{service_folder.end_of_log(folder)}"
    )
