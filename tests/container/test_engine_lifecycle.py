"""The life of a service in a container: started once, updated, stopped, and what is said where it cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runloop_local.container import image
from runloop_local.container.serving import container_name
from tests.container.fake_engine import FakeEngine
from tests.container.podman import FOLDER, EngineHome, Podman, engine_home, serving_in_container
from tests.own_state import kept_in
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.service
ENSURE = "import asyncio; from runloop_local import service; print(asyncio.run(service.ensure_running()).pid)"


@pytest.fixture(scope="module")
def home(engine: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHome]:
    with engine_home(engine, tmp_path_factory.mktemp("home")) as folder:
        yield folder


def ensure(home: EngineHome, count: int = 1, **env: str) -> set[str]:
    """Find or start the service, in as many programs at once; returns its process ids."""
    command = [sys.executable, "-c", ENSURE]
    given = {**os.environ, **home.env, **env}
    started = [subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return {process.communicate(timeout=PATIENCE)[0].strip() for process in started}


def serve(engine: Podman, home: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runloop_local", "serve", *options]
    given = {**os.environ, **engine.env, **kept_in(home), **env}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def images(engine: Podman) -> list[str]:
    return engine.call("ps", "--filter", "label=ai.runloop.local=container", "--format", "{{.Names}} {{.Image}}").split(
        "\n"
    )


def test_programs_that_start_it_together_start_one_container(home: EngineHome, engine: Podman) -> None:
    assert len(ensure(home, 3)) == 1
    name = home.endpoint["container"]
    assert len([line for line in images(engine) if line.startswith(name)]) == 1


def test_a_killed_client_of_the_engine_ends_nothing(home: EngineHome) -> None:
    ensure(home)
    before = home.endpoint

    def client() -> str:
        found = subprocess.run(["pgrep", "-f", f"podman logs.*{before['container']}"], capture_output=True, text=True)
        return found.stdout.strip()

    wait_until(client, "the client that follows the log")
    first = client()
    for pid in first.split():
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: client() not in ("", first), "another client")
    assert (ensure(home), home.endpoint) == ({str(before["pid"])}, before)


def test_another_version_takes_over_and_keeps_the_data(home: EngineHome, engine: Podman) -> None:
    ensure(home)
    headers = {"Authorization": f"Bearer {home.endpoint['api_key']}"}
    made = httpx.post(f"{home.endpoint['base_url']}/v1/devboxes", json={"name": "kept"}, headers=headers)
    assert made.status_code == 200
    older = image.reference(engine.env[image.BASE_VARIABLE])
    home.kill()  # its container goes on
    base = "localhost/base:other"
    engine.call("tag", engine.env[image.BASE_VARIABLE], base)
    ensure(home, RUNLOOP_LOCAL_ENGINE_IMAGE=base)
    name = home.endpoint["container"]
    assert [line for line in images(engine) if line.startswith(name)] == [f"{name} {image.reference(base)}"]
    home.becomes("kept", "suspended")
    assert image.reference(base) != older
    home.stop()
    # Not removed: built of the same layers, it may be the image of other tests, too, and their containers go with it.
    engine.call("untag", image.reference(base), image.reference(base))


def test_stop_ends_the_container_and_says_so_once(home: EngineHome, engine: Podman) -> None:
    ensure(home)
    name = home.endpoint["container"]
    for said in ("stopped\n", "not running\n"):
        command = [sys.executable, "-m", "runloop_local", "stop"]
        assert subprocess.check_output(command, env={**os.environ, **home.env}, text=True) == said
    assert name not in engine.call("ps", "--all", "--format", "{{.Names}}")
    assert name in engine.call("volume", "ls", "--quiet")


def test_a_taken_port_is_one_sentence(engine: Podman, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = serve(engine, tmp_path / "home", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("runloop-local: podman cannot publish the port: it is taken.")


def test_a_service_beside_the_accounts_own_ends_with_its_command(engine: Podman, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name = container_name(tmp_path / "home", port)
    with serving_in_container(engine, tmp_path / "home", "--port", str(port)) as service:
        assert service.base_url == f"http://127.0.0.1:{port}"
        assert name in str(images(engine))
    assert name not in engine.call("ps", "--all", "--format", "{{.Names}}")


def test_an_unused_service_ends_by_itself_with_its_container(engine: Podman, tmp_path: Path) -> None:
    ended = serve(engine, tmp_path / "home", "--idle-timeout", "1")
    assert (ended.returncode, ended.stdout.count("ready http://127.0.0.1:")) == (0, 1), ended.stderr
    assert container_name(tmp_path / "home") not in engine.call("ps", "--all", "--format", "{{.Names}}")
    assert not (tmp_path / "home" / "service.json").exists()
    engine.remove_volume(tmp_path / "home")


def test_an_engine_that_gives_too_few_rights_is_one_sentence(engine: Podman, tmp_path: Path) -> None:
    narrow = json.loads((FOLDER / "seccomp.json").read_text())
    for rule in narrow["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name != "mount"]
    refused = {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    profile, settings = tmp_path / "narrow.json", tmp_path / "containers.conf"
    profile.write_text(json.dumps({**narrow, "syscalls": [*narrow["syscalls"], refused]}))
    settings.write_text((FOLDER / "containers.conf").read_text().replace(str(FOLDER / "seccomp.json"), str(profile)))
    ended = serve(engine, tmp_path / "home", CONTAINERS_CONF=str(settings))
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("runloop-local: podman gives the container too few rights"), ended.stderr
    assert "podman machine set --rootful" in last
    engine.remove_volume(tmp_path / "home")


def test_a_stop_ends_a_build(tmp_path: Path) -> None:
    fake = FakeEngine.make(tmp_path / "bin", "docker")
    fake.answers({"build": (-1, "", "")})
    env = {**fake.env, **kept_in(tmp_path / "home"), "RUNLOOP_LOCAL_ENGINE": "docker"}
    command = [sys.executable, "-m", "runloop_local", "serve"]
    serving = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(each["arguments"][0] == "build" for each in fake.asked), "the build")
    stop = [sys.executable, "-m", "runloop_local", "stop"]
    assert subprocess.check_output(stop, env=env, text=True) == "stopped\n"
    assert serving.wait(PATIENCE) == 0
