"""Devboxes on the disk of an image, through a service: what they can do, and the image that a service gives to all."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runloop_local import service as own_service
from runloop_local.sandbox.egress import PORT
from tests.local.api import Api, connect
from tests.local.images.registry import Registry, make_image, serving
from tests.local.sandbox.conftest import NAMESPACES
from tests.local.serving import Service
from tests.local.serving import serving as serving_service
from tests.local.small_images import COREUTILS, SHELL, hello, make_root, packed
from tests.local.test_pty import sees, tunnel_to
from tests.starter import FROM
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.service,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not NAMESPACES, reason="images need namespaces, which this machine does not offer"),
]
CONFIG = {"Env": ["PATH=/opt/bin:/usr/bin:/bin", "LEVEL=3"], "WorkingDir": "/srv/work"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registry]:
    folder = tmp_path_factory.mktemp("roots")
    (folder / "static").mkdir()
    (folder / "static/hello").write_bytes(hello("hi\n"))
    async with serving(Registry()) as served:
        served.add("small:1", make_image([packed(make_root(folder / "small"))], CONFIG))
        served.add("plain:1", make_image([packed(make_root(folder / "plain", (*SHELL, *COREUTILS)))]))
        served.add("static:1", make_image([packed(folder / "static")]))
        yield served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Service]:
    """A service whose devboxes have the image `small`."""
    with serving_service(tmp_path_factory.mktemp("service") / "data", "--image", f"{registry.host}/small:1") as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(service: Service) -> AsyncIterator[Api]:
    async with connect(service) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def devbox(api: Api) -> str:
    return await api.create()


async def prints(api: Api, devbox: str, command: str, **options: Any) -> str:
    done = await api.execute(devbox, command, **options)
    assert done["exit_status"] == 0, done
    out: str = done["stdout"]
    return out


COMMANDS = {
    "the image's files": (". /etc/os-release; echo $PRETTY_NAME; ls -d /usr/bin/python3 2>&1 | wc -l", "Small\n1\n"),
    "its variables": ("echo $LEVEL $LANG; echo $PATH", "3 C.UTF-8\n/home/user/.local/bin:/opt/bin:/usr/bin:/bin:"),
    "its folder": ("pwd", "/srv/work\n"),
    "the account": (
        "id -un; echo $HOME $USER $SHELL; touch ~/mine && stat -c %U ~/mine",
        "user\n/home/user user /bin/bash\nuser\n",
    ),
    "sudo": ("sudo id -u; sudo sh -c 'echo x > /etc/written' && cat /etc/written", "0\nx\n"),
    "the host's name": ("hostname | cut -c1-4", "dbx_\n"),
    "names": ("cat /etc/hosts /etc/resolv.conf", "127.0.0.1 localhost\n::1 localhost\nnameserver 192.0.0.1\n"),
    "the proxy": (
        f"exec 3<>/dev/tcp/127.0.0.1/{PORT}; printf 'GET http://127.0.0.1:1/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; "
        "read -r line <&3; echo ${line%% *}; echo $https_proxy",
        f"HTTP/1.1\nhttp://127.0.0.1:{PORT}\n",
    ),
}


@pytest.mark.parametrize(("command", "printed"), COMMANDS.values(), ids=COMMANDS.keys())
async def test_commands_see_the_image_with_what_devboxes_have(
    api: Api, devbox: str, command: str, printed: str
) -> None:
    assert (await prints(api, devbox, command)).startswith(printed)


async def test_files_are_written_read_and_unpacked(api: Api, devbox: str) -> None:
    await api.json(f"/v1/devboxes/{devbox}/write_file_contents", {"file_path": "d/a", "contents": "grün"})
    answer = await api.post(f"/v1/devboxes/{devbox}/read_file_contents", json={"file_path": "/home/user/d/a"})
    assert answer.text == "grün"
    mounted = await api.create(file_mounts={"/home/user/mounted": "m", "~/d/e": "e"})
    assert await prints(api, mounted, "cat ~/mounted ~/d/e") == "me"


async def test_a_terminal_is_one_of_the_image(api: Api, service: Service, devbox: str) -> None:
    host = await tunnel_to(api, service, devbox)
    await host.bootstrap()
    async with host.attach() as terminal:
        await terminal.send(b"tty; stty size; echo $0 $TERM; cat /etc/os-release\n")
        await sees(terminal, r"/dev/pts/\d(.|\s)*\d+ \d+(.|\s)*-?/bin/bash xterm-256color(.|\s)*Small")


async def test_named_shells_keep_what_they_were_told(api: Api, devbox: str) -> None:
    await prints(api, devbox, "cd /tmp; kept=1", shell_name="s")
    assert await prints(api, devbox, "pwd; echo $kept", shell_name="s") == "/tmp\n1\n"


async def test_snapshots_suspended_devboxes_and_restarts_keep_the_image(api: Api, devbox: str) -> None:
    one = await api.create()
    await prints(api, one, "echo kept > ~/kept; sudo rm /etc/os-release")
    made = await api.json(f"/v1/devboxes/{one}/snapshot_disk", {})
    other = await api.create(snapshot_id=made["id"])
    assert await prints(api, other, "cat ~/kept; echo $LEVEL; [ -e /etc/os-release ] || echo gone; pwd") == (
        "kept\n3\ngone\n/srv/work\n"
    )
    await api.json(f"/v1/devboxes/{one}/suspend", {})
    await api.wait(one, "suspended")
    await api.json(f"/v1/devboxes/{one}/resume", {})
    await api.wait(one, "running")
    assert await prints(api, one, "cat ~/kept; id -un") == "kept\nuser\n"


async def built(api: Api, name: str, dockerfile: str) -> str:
    made = await api.json("/v1/blueprints", {"name": name, "dockerfile": dockerfile})

    async def is_built() -> bool:
        status = (await api.json(f"/v1/blueprints/{made['id']}"))["status"]
        assert status != "failed", await api.json(f"/v1/blueprints/{made['id']}/logs")
        return bool(status == "build_complete")

    await until(is_built, f"the blueprint {name}")
    return str(made["id"])


async def test_a_blueprint_may_have_another_image_or_this_machine(api: Api, registry: Registry) -> None:
    machine = await built(api, "machine", FROM)
    plain = await built(api, "plain", f"FROM {registry.host}/plain:1")
    static = await built(api, "static", f"FROM {registry.host}/static:1")
    assert "Small" not in await prints(api, await api.create(blueprint_id=machine), "cat /etc/os-release")
    without_bash = await api.create(blueprint_id=plain)
    assert await prints(api, without_bash, "echo $0 $SHELL; sudo id -u") == "/bin/sh /bin/sh\n0\n"
    named = await api.execute(without_bash, "true", shell_name="s")
    assert named["exit_status"] == 126
    assert "named shells need bash" in json.dumps(named)
    bare = await api.create(blueprint_id=static)
    without_any = await api.execute(bare, "true")
    assert without_any["exit_status"] == 127
    assert "has no shell" in without_any["stderr"]
    refused = await api.post(f"/v1/devboxes/{bare}/write_file_contents", json={"file_path": "a", "contents": ""})
    assert (refused.status_code, "'a' cannot be used: This disk has no shell" in refused.text) == (400, True)


async def test_the_image_is_shared_by_all_devboxes_of_it(api: Api, service: Service, devbox: str) -> None:
    (layers,) = service.data_dir.glob("sandboxes/*/layers")
    before = {folder.name for folder in layers.iterdir()}
    for _ in range(3):
        await api.create()
    assert {folder.name for folder in layers.iterdir()} == before
    (upper,) = service.data_dir.glob(f"sandboxes/*/sandboxes/{devbox}/upper")
    assert sum(file.stat().st_size for file in upper.rglob("*") if file.is_file()) < 100_000


async def test_a_service_says_what_image_its_devboxes_have(api: Api, registry: Registry) -> None:
    status = await api.json("/local/status")
    assert (status["image"], status["images"] >= 1) == (f"{registry.host}/small:1", True)


async def test_plain_processes_refuse_an_image(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runloop_local", "serve", "--isolation", "process", "--image", "python:3"]
    process = await asyncio.create_subprocess_exec(
        *command, "--data-dir", str(tmp_path / "data"), stderr=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[1].decode()
    assert process.returncode == 1
    assert said == (
        "runloop-local: Devboxes are plain processes here, so they cannot have the image python:3: leave it out.\n"
    )


async def test_a_devbox_fails_with_the_answer_of_the_registry(tmp_path: Path, registry: Registry) -> None:
    with serving_service(tmp_path / "data", "--image", f"{registry.host}/none:1") as found:
        async with connect(found) as api:
            made = await api.json("/v1/devboxes", {})
            failed = await api.wait(made["id"], "failure", "running")
            assert failed["status"] == "failure"
            assert f"{registry.host}/none:1" in json.dumps(failed)


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "runloop_local", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


async def test_images_are_pulled_listed_and_pruned_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUNLOOP_LOCAL_START_TIMEOUT", str(PATIENCE))
    name = f"{registry.host}/small:1"
    try:
        await own_service.ensure_running()
        pulled = await asyncio.to_thread(run, "pull", name)
        assert pulled.split("\n")[-2].startswith(f"{name}  sha256:"), pulled
        assert await asyncio.to_thread(run, "images") == pulled.split("\n")[-2] + "\n"
        assert "cannot be pulled" in await asyncio.to_thread(run, "pull", f"{registry.host}/small:none")
        assert (await asyncio.to_thread(run, "pull", "Upper")).startswith("runloop-local: 'Upper' is no image")
        assert await asyncio.to_thread(run, "prune", "images", "--older-than", "1h") == "images   0 B freed\n"
        freed = await asyncio.to_thread(run, "prune", "images")
        assert freed.startswith("images"), freed
        assert await asyncio.to_thread(run, "images") == ""
        assert os.listdir(tmp_path / "home/data/sandboxes") != []
    finally:
        await own_service.stop()
