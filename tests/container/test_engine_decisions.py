"""Which engine is used, what it is asked, and what its errors mean: with engines that only record."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import runloop_local
from runloop_local.__main__ import main
from runloop_local.container import image, supervisor
from runloop_local.container.container import Container, Found
from runloop_local.container.engine_client import EngineClient, EngineError, Requested, choose, error_for
from runloop_local.service_error import ServiceError
from tests.container.fake_engine import FakeEngine

NO_DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
NO_MACHINE = "Error: unable to connect to Podman socket: dial tcp 127.0.0.1:53: connect: connection refused"


def engines(tmp_path: Path, **running: bool) -> dict[str, str]:
    """An environment with these engines, some of which do not answer."""
    for name, answers in running.items():
        said = {"docker": NO_DAEMON, "podman": NO_MACHINE}[name]
        FakeEngine.make(tmp_path / name, name).answers({} if answers else {"version": (1, "", said)})
    return {"PATH": os.pathsep.join(str(tmp_path / name) for name in running)}


@pytest.mark.parametrize(
    ("requested", "platform", "running", "chosen"),
    [
        ("auto", "linux", {"docker": True}, None),
        ("none", "darwin", {"docker": True}, None),
        ("auto", "darwin", {}, None),
        ("auto", "darwin", {"docker": True, "podman": True}, "docker"),
        ("auto", "darwin", {"podman": True}, "podman"),
        ("auto", "win32", {"docker": False, "podman": True}, "podman"),
        ("podman", "linux", {"docker": True, "podman": True}, "podman"),
        ("docker", "win32", {"docker": True}, "docker"),
    ],
)
def test_the_engine_that_is_used(
    requested: Requested, platform: str, running: dict[str, bool], chosen: str | None, tmp_path: Path
) -> None:
    found = choose(requested, engines(tmp_path, **running), platform)
    assert (None if found is None else found.name) == chosen


@pytest.mark.parametrize(
    ("requested", "platform", "running", "words"),
    [
        ("auto", "win32", {}, ("Docker Desktop", "Podman", "WSL 2", "RUNLOOP_API_KEY")),
        ("docker", "linux", {"podman": True}, ("no docker in PATH",)),
        ("containerd", "linux", {}, ("RUNLOOP_LOCAL_ENGINE is 'containerd'", "auto, docker, podman, none")),
        ("auto", "darwin", {"docker": False}, ("docker is installed, but", "Docker Desktop", "colima", "=none")),
        ("auto", "win32", {"podman": False}, ("podman is installed, but", "podman machine start")),
        ("podman", "darwin", {"docker": True, "podman": False}, ("podman machine start",)),
    ],
)
def test_without_an_engine_a_sentence_says_what_to_do(
    requested: Requested, platform: str, running: dict[str, bool], words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(ServiceError) as raised:
        choose(requested, engines(tmp_path, **running), platform)
    assert all(word in str(raised.value) for word in words), raised.value
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (NO_DAEMON, "EngineNotRunningError", "Docker Desktop"),
        (
            "error during connect: this error may indicate that the docker daemon is not running: Get "
            '"http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.24/info": open //./pipe/docker_engine: '
            "The system cannot find the file specified.",
            "EngineNotRunningError",
            "Docker Desktop",
        ),
        (
            "failed to connect to the docker API at unix:///x.sock; check if the path is",
            "EngineNotRunningError",
            "start",
        ),
        (
            "Cannot connect to Podman. Please verify your connection to the Linux system",
            "EngineNotRunningError",
            "start",
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "EngineError",
            "group docker",
        ),
        (
            "docker: Error response from daemon: driver failed programming external connectivity on endpoint x: "
            "Bind for 127.0.0.1:8080 failed: port is already allocated.",
            "PortTakenError",
            "--port",
        ),
        ("Error: rootlessport listen tcp 127.0.0.1:1: bind: address already in use", "PortTakenError", "--port"),
        ("Ports are not available: exposing port TCP 127.0.0.1:80", "PortTakenError", "--port"),
        ('Conflict. The container name "/x" is already in use by container', "NameTakenError", "of that name"),
        ('creating container storage: the container name "x" is already in use by 1', "NameTakenError", "of that name"),
        ("Something\n  else", "EngineError", "docker run failed with status 125: Something else."),
        ("", "EngineError", "docker run failed with status 125: it says nothing."),
    ],
)
def test_what_an_engine_says_becomes_one_sentence(said: str, kind: str, words: str) -> None:
    error = error_for("docker", "run", 125, said)
    assert type(error).__name__ == kind
    assert words in str(error)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_the_container_has_these_rights_and_no_others(name: str, tmp_path: Path) -> None:
    fake = FakeEngine.make(tmp_path / "bin", name)
    client = EngineClient("docker" if name == "docker" else "podman", str(fake.folder / name))
    Container(client, "runloop-local-1").start("localhost/runloop-local:1", 4321, "a-key", ("--heartbeat", "15.0"))
    (asked,) = fake.asked
    assert asked["arguments"] == [
        *("run", "--detach", "--pull", "never", "--name", "runloop-local-1"),
        *("--label", "ai.runloop.local=container", "--label", "ai.runloop.local.port=4321"),
        *("--publish", "127.0.0.1:4321:4321", "--volume", "runloop-local-1:/data"),
        *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
        *("--security-opt", "apparmor=unconfined", "--security-opt", "label=disable", "--pids-limit", "-1"),
        *("--env", "RUNLOOP_LOCAL_API_KEY", "localhost/runloop-local:1"),
        *("serve", "--engine", "none", "--host", "0.0.0.0", "--port", "4321", "--data-dir", "/data/service"),
        *("--isolation", "namespaces", "--heartbeat", "15.0"),
    ]
    assert "a-key" not in str(asked["arguments"])
    assert asked["env"]["RUNLOOP_LOCAL_API_KEY"] == "a-key"


DOCKER = {"Config": {"Image": "localhost/runloop-local:1"}}
PODMAN = {"ImageName": "localhost/runloop-local:1", "Config": {"Image": "localhost/runloop-local:1"}}


@pytest.mark.parametrize("told", [DOCKER, PODMAN], ids=["docker", "podman"])
def test_a_running_container_says_where_it_is(told: dict[str, object], tmp_path: Path) -> None:
    fake = FakeEngine.make(tmp_path / "bin", "docker")
    container = Container(EngineClient("docker", str(fake.folder / "docker")), "runloop-local-1")
    config = {"Env": ["PATH=/bin", "RUNLOOP_LOCAL_API_KEY=k=1"], "Labels": {"ai.runloop.local.port": "4321"}}
    inspected = {**told, "State": {"Running": True}, "Config": {**DOCKER["Config"], **config}}
    fake.answers({"container inspect": (0, json.dumps([inspected]), "")})
    found = container.find()
    assert found is not None
    assert (found.image, found.port, found.api_key) == ("localhost/runloop-local:1", 4321, "k=1")
    assert "k=1" not in repr(found)
    fake.answers({"container inspect": (0, json.dumps([{**inspected, "State": {"Running": False}}]), "")})
    assert container.find() is None
    fake.answers({"container inspect": (1, "[]", "Error: No such container: runloop-local-1")})
    assert container.find() is None
    fake.answers({"container inspect": (1, "", NO_DAEMON)})
    with pytest.raises(EngineError, match="does not answer"):
        container.find()


def test_the_image_is_built_once_from_the_code_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeEngine.make(tmp_path / "bin", "docker")
    client = EngineClient("docker", str(fake.folder / "docker"))
    monkeypatch.setenv("PIP_INDEX_URL", "an address with a-token")
    monkeypatch.setenv("no_proxy", "")
    last, older = f"{image.NAME}:0.0.2-1", f"{image.NAME}:0.0.1-1"
    listed = f"{image.reference('base')}\n{last}\npython:3.13-slim\n{older}\n"
    fake.answers({}, built={"image ls --filter": (0, listed, ""), "image ls --quiet": (0, "1234\n", "")})
    name = image.ensure(client, "base")
    build = next(each for each in fake.asked if each["arguments"][0] == "build")
    assert build["arguments"][:5] == ["build", "--tag", name, "--build-arg", "BASE=base"]
    assert "PIP_INDEX_URL" in build["arguments"]
    assert "no_proxy" not in build["arguments"]
    assert "a-token" not in str(build["arguments"]) + str(build["context"])
    assert "ARG PIP_INDEX_URL\n" in build["context"]["Dockerfile"]
    assert (
        build["context"]["runloop_local/__main__.py"]
        == Path(runloop_local.__file__, "../__main__.py").resolve().read_text()
    )
    assert not [file for file in build["context"] if "__pycache__" in file]
    removed = [each["arguments"][2] for each in fake.asked if each["arguments"][:2] == ["image", "rm"]]
    assert removed == [older]
    count = len(fake.asked)
    assert image.ensure(client, "base") == name
    assert len(fake.asked) == count + 1


def test_an_image_that_a_builder_keeps_elsewhere_is_named(tmp_path: Path) -> None:
    fake = FakeEngine.make(tmp_path / "bin", "docker")
    with pytest.raises(ServiceError, match=r"but elsewhere.*docker buildx use"):
        image.ensure(EngineClient("docker", str(fake.folder / "docker")), "base")


def test_another_base_is_another_image() -> None:
    assert image.reference("one") != image.reference("two")
    assert re.fullmatch(rf"{image.NAME}:{re.escape(runloop_local.__version__)}-[0-9a-f]{{12}}", image.reference("one"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: pull access denied, repository does not exist", ("an image base", "RUNLOOP_LOCAL_ENGINE_IMAGE")),
        ("RUN python3 -m pip install x\nERROR: No matching distribution found for h2", ("No matching distribution",)),
        (NO_DAEMON, ("Docker Desktop",)),
    ],
)
def test_a_build_that_fails_says_why(said: str, words: tuple[str, ...], tmp_path: Path) -> None:
    fake = FakeEngine.make(tmp_path / "bin", "docker")
    fake.answers({"build": (1, "", said)})
    with pytest.raises(ServiceError) as raised:
        image.ensure(EngineClient("docker", str(fake.folder / "docker")), "base")
    assert all(word in str(raised.value) for word in words), raised.value


def test_the_image_has_the_packages_that_the_service_imports() -> None:
    package = Path(runloop_local.__file__).parent
    trees = [ast.parse(file.read_text()) for file in package.rglob("*.py")]
    imports = {
        alias.name for tree in trees for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names
    }
    imports |= {
        str(each.module)
        for tree in trees
        for each in ast.walk(tree)
        if isinstance(each, ast.ImportFrom) and not each.level
    }
    modules = {name.partition(".")[0] for name in imports} - sys.stdlib_module_names - {"runloop_local", "_typeshed"}
    needed = {module.replace("_", "-") for module in modules}
    declared = {re.split(r"[^\w.-]", each)[0] for each in metadata.requires("runloop-jupyter") or ()}
    assert (needed & declared) | {"websockets"} == image.PACKAGES
    assert {line.split(">")[0] for line in image.requirements().splitlines()} == image.PACKAGES


def test_an_engine_on_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_READY_SECONDS", 0.2)
    log: Any = SimpleNamespace(has_ended=False, end="Its log is empty.")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"not answer at 127\.0\.0\.1:{port} here.*DOCKER_HOST"):
            supervisor._wait_until_ready(Found("image", port, "key"), log, "docker")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--data-dir", "x"), "--data-dir"),
        (("--host", "0.0.0.0"), "--host 0.0.0.0"),
        (("--isolation", "process"), "--isolation process"),
    ],
)
def test_options_without_a_meaning_there_are_refused(
    options: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(FakeEngine.make(tmp_path / "bin", "docker").folder))
    with pytest.raises(SystemExit, match=words):
        main(["serve", "--engine", "docker", "--port", "4321", *options])
