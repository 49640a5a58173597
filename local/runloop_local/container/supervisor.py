"""Serves in a container: builds its image, starts it or finds it running, and follows it until it ends."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

from ..service_error import ServiceError
from . import image
from .container import Container, Found
from .engine_client import EngineError, NameTakenError, PortTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_PORTS_TRIED = 8
_FINDS, _FIND_SECONDS = 10, 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be served."""

    base: str
    """The image that the service's own is built on."""
    options: Sequence[str]
    """Of `serve`, for the service in the container."""
    port: int | None = None
    """On this machine's loopback; None for a free one."""
    api_key: str | None = None


def supervise(container: Container, wanted: Wanted, ready: Callable[[Found, dict[str, Any]], None]) -> None:
    """Serve until the container ends, or this process is told to stop, which stops the container, too.

    Calls `ready` with the container and the service's status once it answers. Raises `ServiceError`.
    """
    with _stopped_by_signals():
        name = image.ensure(container.engine, wanted.base)
        try:
            found = _running(container, wanted, name)
            log = _Log(container)
            ready(found, _wait_until_ready(found, log, container.engine.name))
            log.follow()
            container.remove()
        except BaseException:
            container.stop()
            raise


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    def stop(_number: int, _frame: object) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    with suppress(KeyboardInterrupt):
        yield


def _running(container: Container, wanted: Wanted, name: str) -> Found:
    """The container, started unless one of this version runs: one whose supervisor was killed goes on."""
    found = container.find()
    if (
        found is not None
        and found.image == name
        and wanted.port in (None, found.port)
        and wanted.api_key in (None, found.api_key)
    ):
        return found
    container.stop()
    api_key = wanted.api_key or f"local_{secrets.token_urlsafe(24)}"
    for left in reversed(range(_PORTS_TRIED if wanted.port is None else 1)):
        port = wanted.port or _free_port()
        try:
            container.start(name, port, api_key, wanted.options)
        except PortTakenError:
            container.stop()
            if not left:
                raise
        except NameTakenError:  # the last one is still being removed
            container.stop()
            container.start(name, port, api_key, wanted.options)
            break
        else:
            break
    return Found(name, port, api_key)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _wait_until_ready(found: Found, log: _Log, engine: str) -> dict[str, Any]:
    """The status of the service, once it answers."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with suppress(OSError):
            return _status(found)
        if log.has_ended:
            raise _ended(log, engine)
        if time.monotonic() > deadline:
            raise ServiceError(
                f"The service in the container does not answer at 127.0.0.1:{found.port} here. If the engine is on "
                f"another machine (DOCKER_HOST, a context), run runloop-local there. {log.end}"
            )
        time.sleep(_POLL_SECONDS)


def _ended(log: _Log, engine: str) -> ServiceError:
    if "Namespaces" not in log.end:
        return ServiceError(f"The service in the container ended at once. {log.end}")
    reason = log.end.partition("Namespaces")[2].partition("Start with")[0].strip()
    return ServiceError(
        f"{engine} gives the container too few rights for devboxes: it must run as root (podman machine set --rootful, "
        f"no rootless Docker) and may not forbid mounts. Namespaces {reason}"
    )


def _status(found: Found) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {found.api_key}"}
    request = Request(f"http://127.0.0.1:{found.port}/local/status", headers=headers)
    with build_opener(ProxyHandler({})).open(request, timeout=_ANSWER_SECONDS) as response:
        state: dict[str, Any] = json.load(response)
        return state


class _Log:
    """The log of a container, which is copied to stderr from the start; its end is the container's."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._last: deque[str] = deque(maxlen=12)
        self._thread = threading.Thread(target=self._copy, name="log of the container", daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """True once the container has ended."""
        return not self._thread.is_alive()

    @property
    def end(self) -> str:
        """The end of the log, as a sentence."""
        return f"Its log ends: {''.join(self._last).strip()}" if self._last else "Its log is empty."

    def follow(self) -> None:
        """Wait until the container has ended."""
        while not self.has_ended:
            self._thread.join(1.0)  # not longer: on Windows, a wait that goes on cannot be interrupted

    def _copy(self) -> None:
        since = None
        while True:
            self._copy_since(since)
            if not self._runs():
                return
            # The connection to the engine was lost, as when a machine sleeps, or its client was killed.
            since = datetime.now(UTC).isoformat()
            time.sleep(_POLL_SECONDS)

    def _runs(self) -> bool:
        """True if the container goes on; an engine that is about to come back has some time to say so."""
        for _ in range(_FINDS):
            try:
                return self._container.find() is not None
            except EngineError:
                time.sleep(_FIND_SECONDS)
        return False

    def _copy_since(self, since: str | None) -> None:
        with subprocess.Popen(
            self._container.log_command(since),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # there it says only that it is ready
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stderr or ():
                self._last.append(line)
                sys.stderr.write(line)
                sys.stderr.flush()
