"""Container engines: which one is used, how it is called, and what its errors mean."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..service_error import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EngineName = Literal["docker", "podman"]
Requested = Literal["auto", "docker", "podman", "none"]
VARIABLE = "RUNLOOP_LOCAL_ENGINE"
NAMES: tuple[EngineName, ...] = ("docker", "podman")
REQUESTS: tuple[Requested, ...] = ("auto", *NAMES, "none")

_ANSWER_SECONDS = 30.0
_MAX_SAID = 300
_HOW_TO_START: Mapping[EngineName, str] = {
    "docker": "start Docker Desktop, OrbStack or colima (colima start), or see docker context ls and DOCKER_HOST",
    "podman": "start its machine: podman machine start",
}
_HOW_TO_INSTALL = "Docker Desktop, OrbStack, colima or Podman"
_NOT_RUNNING = (
    "cannot connect to the docker daemon",
    "docker daemon is not running",
    "docker daemon running",
    "error during connect",
    "failed to connect to the docker api",
    "cannot connect to podman",
    "unable to connect to podman",
)
_PORT_TAKEN = ("port is already allocated", "address already in use", "ports are not available")


class EngineError(ServiceError):
    """A command of the engine failed."""


class EngineNotRunningError(EngineError):
    """The engine is installed, but does not answer."""


class PortTakenError(EngineError):
    """The port that was to be published is taken."""


class NameTakenError(EngineError):
    """There is a container of that name already."""


class NoContainerError(EngineError):
    """There is no container of that name."""


@dataclass(frozen=True, slots=True)
class EngineClient:
    """The command line of an engine, which knows the way to it: by a context, DOCKER_HOST, a machine or a socket."""

    name: EngineName
    path: str

    def call(self, *arguments: str, seconds: float | None = None, environment: Mapping[str, str] | None = None) -> str:
        """Run a command; returns its output. Raises `EngineError`."""
        try:
            ended = subprocess.run(
                [self.path, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineNotRunningError(
                f"{self.name} {arguments[0]} has not answered within {seconds:g} s: {_HOW_TO_START[self.name]}."
            ) from error
        except OSError as error:
            raise EngineError(f"{self.path} cannot be run: {error.strerror}.") from error
        if ended.returncode:
            raise error_for(self.name, arguments[0], ended.returncode, ended.stderr or ended.stdout)
        return ended.stdout

    def require_running(self) -> None:
        """Raise `EngineNotRunningError` if the engine does not answer."""
        self.call("version", seconds=_ANSWER_SECONDS)


def error_for(name: EngineName, command: str, status: int, said: str) -> EngineError:
    """The error for a command that failed with this on its stderr."""
    text = " ".join(said.split())
    known = text.lower()
    if any(each in known for each in _PORT_TAKEN):
        return PortTakenError(f"{name} cannot publish the port: it is taken. Choose another --port, or leave it out.")
    if "already in use" in known and "name" in known:
        return NameTakenError(f"{name} has a container of that name already: {_end(text)}")
    if "no such container" in known or "no such object" in known:
        return NoContainerError(f"{name} has no such container: {_end(text)}.")
    if "permission denied" in known and ".sock" in known:
        return EngineError(
            f"This account may not use {name}: {_end(text)}. On Linux, membership in the group docker allows it."
        )
    if any(each in known for each in _NOT_RUNNING):
        return EngineNotRunningError(f"{name} is installed, but does not answer: {_HOW_TO_START[name]}.")
    return EngineError(f"{name} {command} failed with status {status}: {_end(text) or 'it says nothing'}.")


def _end(text: str) -> str:
    return text[-_MAX_SAID:].rstrip(".")


def choose(requested: Requested, environment: Mapping[str, str], platform: str = sys.platform) -> EngineClient | None:
    """The engine to serve in; None to serve on this machine itself.

    With `auto`, that is so on Linux, and on macOS where no engine is installed. Raises `ServiceError`.
    """
    if requested not in REQUESTS:  # argparse checks the option, but not the variable
        raise ServiceError(f"{VARIABLE} is {requested!r}, which is none of {', '.join(REQUESTS)}.")
    if requested == "none" or (requested == "auto" and platform == "linux"):
        return None
    wanted = NAMES if requested == "auto" else (requested,)
    found = [client for name in wanted if (client := find(name, environment)) is not None]
    if not found:
        _allow_none(requested, platform)
        return None
    return _first_running(found, requested, platform)


def find(name: str, environment: Mapping[str, str]) -> EngineClient | None:
    """The engine's command line, or None."""
    path = shutil.which(name, path=environment.get("PATH"))
    return None if path is None or name not in NAMES else EngineClient(name, path)


def _allow_none(requested: Requested, platform: str) -> None:
    """Raise `ServiceError` where there must be an engine."""
    if requested != "auto":
        raise ServiceError(f"There is no {requested} in PATH: install it, or choose another engine with --engine.")
    if platform == "win32":
        raise ServiceError(
            f"Devboxes on this machine need a container engine on Windows: install {_HOW_TO_INSTALL}. Or run Jupyter "
            "in WSL 2, or use Runloop's cloud: %runloop connect cloud, with a key in RUNLOOP_API_KEY."
        )


def _first_running(found: Sequence[EngineClient], requested: Requested, platform: str) -> EngineClient:
    problems: list[EngineNotRunningError] = []
    for client in found:
        try:
            client.require_running()
        except EngineNotRunningError as error:
            problems.append(error)
        else:
            return client
    if requested == "auto" and platform != "win32":
        without = f" Without an engine, devboxes are plain processes: {VARIABLE}=none."
        raise EngineNotRunningError(f"{problems[0]}{without}")
    raise problems[0]
