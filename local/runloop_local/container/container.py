"""The one container of a service: its name, its rights, its volume and its port."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .engine_client import EngineError, NoContainerError
from .image import LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .engine_client import EngineClient

KEY_VARIABLE = "RUNLOOP_LOCAL_API_KEY"
DATA = "/data"
_PORT_LABEL = f"{LABEL}.port"
_STOP_SECONDS = 12
# What a devbox needs: mounts and namespaces (SYS_ADMIN), and its own loopback (NET_ADMIN). AppArmor and SELinux would
# forbid all mounts; the engine's filter of system calls stays.
_RIGHTS = (
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
    *("--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"),
    *("--pids-limit", "-1"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A running container of a service."""

    image: str
    port: int
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Container:
    """The container of one service, which may run or not."""

    engine: EngineClient
    name: str
    """Also that of the volume of its data."""

    def run_arguments(self, image: str, port: int, options: Sequence[str]) -> list[str]:
        """The engine's arguments that start it; its API key is in the environment."""
        return [
            *("run", "--detach", "--pull", "never", "--name", self.name),
            *("--label", f"{LABEL}=container", "--label", f"{_PORT_LABEL}={port}"),
            *("--publish", f"127.0.0.1:{port}:{port}", "--volume", f"{self.name}:{DATA}"),
            *_RIGHTS,
            *("--env", KEY_VARIABLE, image),
            *("serve", "--engine", "none", "--host", "0.0.0.0", "--port", f"{port}", "--data-dir", f"{DATA}/service"),  # noqa: S104 - published on loopback
            *("--isolation", "namespaces", *options),
        ]

    def start(self, image: str, port: int, api_key: str, options: Sequence[str]) -> None:
        """Start it. Raises `EngineError`."""
        self.engine.call(*self.run_arguments(image, port, options), environment={**os.environ, KEY_VARIABLE: api_key})

    def find(self) -> Found | None:
        """The container if it runs. Raises `EngineError` if the engine does not say."""
        try:
            told = json.loads(self.engine.call("container", "inspect", self.name))[0]
        except NoContainerError:
            return None
        if not told["State"]["Running"]:
            return None
        variables = dict(each.partition("=")[::2] for each in told["Config"]["Env"])
        # Docker and Podman have the name that it was given in different places.
        image = told.get("ImageName") or told["Config"]["Image"]
        return Found(image, int(told["Config"]["Labels"][_PORT_LABEL]), variables[KEY_VARIABLE])

    def log_command(self, since: str | None) -> list[str]:
        """The command that follows its log until it ends."""
        return [self.engine.path, "logs", "--follow", *(() if since is None else ("--since", since)), self.name]

    def stop(self) -> None:
        """Stop it, so that its devboxes are suspended, and remove it."""
        with suppress(EngineError):  # there is none
            self.engine.call("stop", "-t", f"{_STOP_SECONDS}", self.name)
        self.remove()

    def remove(self) -> None:
        """Remove it once it has ended: the engine does not do so by itself, as its log says why it ended."""
        with suppress(EngineError):
            self.engine.call("rm", "--force", self.name)
