"""A user's own embedded service in a folder of its own, and a look at it from outside the kernel."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runloop_sdk import AsyncRunloopSDK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder of the service, which a kernel started with `env` finds or starts."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of a kernel that uses it."""
        folder = str(self.folder)
        return {
            "RUNLOOP_LOCAL_HOME": folder,
            "XDG_STATE_HOME": folder,
            "RUNLOOP_API_KEY": "",
            "RUNLOOP_BASE_URL": "",
        }

    @property
    def endpoint(self) -> dict[str, Any]:
        """Where it answers: base_url, api_key, pid, isolation."""
        state: dict[str, Any] = json.loads((self.folder / "service.json").read_text())
        return state

    def sdk(self) -> AsyncRunloopSDK:
        """Another client of it."""
        return AsyncRunloopSDK(bearer_token=self.endpoint["api_key"], base_url=self.endpoint["base_url"])

    def statuses(self) -> dict[str, str]:
        """The state of each devbox, by name; the newest of those that share one."""
        url, key = self.endpoint["base_url"], self.endpoint["api_key"]
        request = urllib.request.Request(f"{url}/v1/devboxes?limit=1000", headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {box["name"]: box["status"] for box in reversed(json.load(answer)["devboxes"])}

    def kill(self) -> None:
        """End it as a crash would, and wait until it has ended."""
        os.kill(self.endpoint["pid"], signal.SIGKILL)
        with (self.folder / "service.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)


@contextmanager
def embedded_home(folder: Path) -> Iterator[Home]:
    """The folder; a service that was started there is stopped in the end."""
    home = Home(folder)
    try:
        yield home
    finally:
        subprocess.run([sys.executable, "-m", "runloop_local", "stop"], env={**os.environ, **home.env}, check=True)
