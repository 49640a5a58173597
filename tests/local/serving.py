"""A real service in a process of its own, for tests to talk to over a socket."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runloop_local.sandbox.cgroups import service_folders
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Service:
    base_url: str
    api_key: str
    isolation: str
    data_dir: Path
    process: subprocess.Popen[str]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(
    data_dir: Path,
    *options: str,
    before: Sequence[str] = (),
    api_key: str = "test-key",
    program: Path | None = None,
) -> Iterator[Service]:
    """Start `runloop-local serve`; `before` is a program to start it through, such as prlimit.

    `program` is run in its place.

    SERVICE_ISOLATION=process in the environment runs the tests without namespaces.
    """
    options = ("--isolation", os.environ.get("SERVICE_ISOLATION", "auto"), *options)
    errors = data_dir.with_name(f"{data_dir.name}.log")
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    served = ["-m", "runloop_local"] if program is None else [str(program)]
    command = [*before, sys.executable, *served, "serve", "--data-dir", str(data_dir)]
    with errors.open("w") as log:
        process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=log, text=True, env=_env(api_key)
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready http://"), errors.read_text()
        url = line.removeprefix("ready ").strip()
        yield Service(url, api_key, isolation_of(url, api_key), data_dir, process)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _env(api_key: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RUNLOOP_")}
    return {**plain, "RUNLOOP_LOCAL_API_KEY": api_key}


def isolation_of(url: str, api_key: str) -> str:
    """How the service at `url` isolates its devboxes."""
    request = urllib.request.Request(f"{url}/local/status", headers={"Authorization": f"Bearer {api_key}"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        name: str = json.load(answer)["isolation"]
        return name


def _places() -> tuple[int, dict[str, Path]]:
    return service_folders(Path("/proc/self/mountinfo").read_bytes(), Path("/proc/self/cgroup").read_text())


def _counts_processes() -> bool:
    if sys.platform != "linux" or os.getuid() != 0:
        return False
    below = _places()[1]
    return "pids" in below and os.access(below["pids"], os.W_OK)  # root cannot write where it is mounted read-only


COUNTS_PROCESSES = _counts_processes()
"""Whether `counted_processes` can be had, and the mounts of the tests that use it."""


@contextmanager
def counted_processes(most: int | None = None) -> Iterator[Path]:
    """A control group in which the number of processes is limited, as its `pids.max` says; for root."""
    version, below = _places()
    group = below["pids"] / f"tests-{os.getpid()}"
    group.mkdir()
    if version == 2:
        (group.parent / "cgroup.subtree_control").write_text("+pids")
    try:
        (group / "pids.max").write_text("max" if most is None else f"{most}")
        yield group
    finally:
        group.rmdir()
