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
from tests.own_state import kept_in
from tests.waiting import PATIENCE, wait_until

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
        return {**kept_in(self.folder), "RUNLOOP_LOCAL_START_TIMEOUT": f"{PATIENCE:.0f}"}

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
        return {box["name"]: box["status"] for box in reversed(self._devboxes())}

    def _devboxes(self) -> list[dict[str, Any]]:
        url, key = self.endpoint["base_url"], self.endpoint["api_key"]
        request = urllib.request.Request(f"{url}/v1/devboxes?limit=1000", headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: list[dict[str, Any]] = json.load(answer)["devboxes"]
            return found

    def ends(self, name: str) -> tuple[str, str]:
        """Why a devbox ended, once it has: by whose doing, and in a sentence where there is one."""
        wait_until(lambda: self.statuses()[name] == "shutdown", f"{name} to be shut down")
        view = next(box for box in self._devboxes() if box["name"] == name)
        return view["shutdown_reason"] or "", view["state_transitions"][-1].get("failure_reason", "")

    def keep_alive_of(self, name: str) -> int | None:
        """The keep-alive time that a devbox was created with, in seconds."""
        launch = next(box for box in self._devboxes() if box["name"] == name)["launch_parameters"]
        seconds: int | None = launch.get("keep_alive_time_seconds")
        return seconds

    @contextmanager
    def silent(self) -> Iterator[None]:
        """In the body the service lives, and answers nothing."""
        pid = self.endpoint["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it as a user does."""
        subprocess.run([sys.executable, "-m", "runloop_local", "stop"], env={**os.environ, **self.env}, check=True)

    def becomes(self, name: str, status: str) -> None:
        """Wait until a devbox is in a state."""
        wait_until(lambda: self.statuses().get(name) == status, lambda: f"{name} to be {status}: {self.statuses()}")

    def kill(self) -> None:
        """End it as a crash would, and wait until it has ended."""
        os.kill(self.endpoint["pid"], signal.SIGKILL)
        with (self.folder / "service.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)


@contextmanager
def embedded_home(folder: Path, *, sees_kernels: bool = True) -> Iterator[Home]:
    """The folder; a service that was started there is stopped in the end.

    One that does not see kernels is to them as the cloud is.
    """
    home = Home(folder)
    if not sees_kernels:
        (folder / "data").mkdir(mode=0o700, parents=True)
        (folder / "data" / "kernels").touch()  # where a folder should be
    try:
        yield home
    finally:
        home.stop()
