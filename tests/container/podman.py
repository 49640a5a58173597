"""A Podman of the tests' own, with a base image that is made once, and services that run in its containers."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runloop_local.container import image
from runloop_local.container.serving import container_name
from tests.jupyter.embedded import Home
from tests.local.serving import Service, isolation_of
from tests.own_state import kept_in
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".podman"
_PROGRAMS = ("podman", "runc", "slirp4netns", "mmdebstrap")
_IS_HERE = os.getuid() == 0 and all(map(shutil.which, _PROGRAMS)) and Path("/dev/net/tun").exists()
needs_podman = pytest.mark.skipif(not _IS_HERE, reason="needs /dev/net/tun and Podman, as root: see scripts/podman.sh")
_PACKAGES = "python3,python3-pip,ca-certificates,curl,git"
# Everything below the folder, and no network but a user-space one: nothing of this machine is changed.
_CONTAINERS = """\
[containers]
netns = "slirp4netns"
seccomp_profile = "{folder}/seccomp.json"
default_ulimits = ["nofile=1024:1024", "nproc=4000:4000"]
[engine]
network_cmd_options = ["allow_host_loopback=true"]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/tmp"
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
[storage.options.overlay]
skip_mount_home = "true"
"""
HOST = "10.0.2.2"
"""This machine's loopback, from a container."""
_FILTER = Path("/usr/share/containers/seccomp.json")
_REFUSED = ("keyctl", "pivot_root")
"""What Docker's filter of system calls refuses to a container with SYS_ADMIN, and Podman's does not."""
# Builds need no network: the packages are in the base image.
_WRAPPER = """\
#!/bin/sh
[ "$1" = build ] && shift && set -- build --network none "$@"
exec {podman} "$@"
"""


@dataclass(frozen=True)
class Podman:
    """The engine: who has `env` uses it."""

    env: Mapping[str, str]

    def call(self, *arguments: str) -> str:
        """Run a command of it; returns its output."""
        command = ["podman", *arguments]
        ended = subprocess.run(
            command, env={**os.environ, **self.env}, check=False, capture_output=True, text=True, timeout=600
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def remove_volume(self, home: Path) -> None:
        """Remove the data of the service of an account."""
        self.call("volume", "rm", "--force", container_name(home))


def podman() -> Podman:
    """The engine, with its base image."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _configure()
        wanted = _base()
        engine = Podman(_environment(wanted))
        if not engine.call("image", "ls", "--quiet", wanted).strip():
            _make_base(engine, wanted)
        return engine


def _configure() -> None:
    for name in ("bin", "tmp", "run", "storage"):
        (FOLDER / name).mkdir(exist_ok=True)
    (FOLDER / "containers.conf").write_text(_CONTAINERS.format(folder=FOLDER))
    (FOLDER / "storage.conf").write_text(_STORAGE.format(folder=FOLDER))
    (FOLDER / "seccomp.json").write_text(_filter())
    wrapper = FOLDER / "bin" / "podman"
    if not wrapper.exists():
        wrapper.write_text(_WRAPPER.format(podman=shutil.which("podman")))
        wrapper.chmod(0o755)


def _filter() -> str:
    """Podman's filter, but as narrow as Docker's."""
    found = json.loads(_FILTER.read_text())
    for rule in found["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in _REFUSED]
    refused = {"names": _REFUSED, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM}
    return json.dumps({**found, "syscalls": [*found["syscalls"], refused]})


def _environment(base: str) -> Mapping[str, str]:
    return {
        "PATH": f"{FOLDER / 'bin'}:{os.environ['PATH']}",
        "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/wheels",
        "RUNLOOP_LOCAL_ENGINE": "podman",
        "RUNLOOP_LOCAL_ENGINE_IMAGE": base,
    }


def _base() -> str:
    return f"localhost/base:{hashlib.sha256(f'{_PACKAGES} {image.requirements()}'.encode()).hexdigest()[:12]}"


def _make_base(engine: Podman, name: str) -> None:
    """A Debian like this one, with the packages that the service needs in /wheels."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    wheels, archive, wanted = FOLDER / "wheels", FOLDER / "base.tar", FOLDER / "requirements.txt"
    wanted.write_text(image.requirements())
    shutil.rmtree(wheels, ignore_errors=True)
    version = _run("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels), "--requirement", str(wanted)]
    with ThreadPoolExecutor() as threads:
        downloaded = threads.submit(_run, *pip, "--only-binary", ":all:", "--python-version", version)
        options = ("--quiet", "--variant=minbase", f"--include={_PACKAGES}")
        _run("mmdebstrap", *options, release["VERSION_CODENAME"], str(archive))
        downloaded.result()
    _run("tar", "--append", f"--file={archive}", f"--directory={FOLDER}", wheels.name)
    engine.call("import", "--quiet", str(archive), name)
    archive.unlink()


def _run(*command: str) -> str:
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@dataclass(frozen=True)
class EngineHome(Home):
    """The folder of an embedded service that runs in a container."""

    engine: Podman

    @property
    def env(self) -> dict[str, str]:
        """The environment of a kernel that uses it."""
        return {**super().env, **self.engine.env}


@contextmanager
def engine_home(engine: Podman, folder: Path) -> Iterator[EngineHome]:
    """The folder; a service that was started there is stopped in the end."""
    home = EngineHome(folder, engine)
    try:
        yield home
    finally:
        home.stop()
        engine.remove_volume(folder)


@contextmanager
def serving_in_container(engine: Podman, home: Path, *options: str) -> Iterator[Service]:
    """A service of an account that keeps its own in `home`, by `runloop-local serve --engine podman`."""
    key = "test-key"
    env = {**os.environ, **engine.env, **kept_in(home), "RUNLOOP_LOCAL_API_KEY": key}
    errors = home.with_name(f"{home.name}.log")
    with errors.open("w") as log:
        command = [sys.executable, "-m", "runloop_local", "serve", *options]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready http://"), errors.read_text()
        url = line.removeprefix("ready ").strip()
        yield Service(url, key, isolation_of(url, key), home, process)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
        engine.remove_volume(home)
