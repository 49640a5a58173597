"""The official client, 3.0.0 in this process, 1.29.0 and 1.32.0 in ones of their own, against the embedded service."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from runloop_api_client import (
    APIStatusError,
    AsyncRunloop,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    Runloop,
)
from runloop_api_client.sdk import AsyncDevbox, AsyncRunloopSDK, Devbox, RunloopSDK

from tests.contract.conftest import OldClient
from tests.local.serving import Service
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def sdk(service: Service) -> AsyncIterator[AsyncRunloopSDK]:
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def devbox(sdk: AsyncRunloopSDK) -> AsyncIterator[AsyncDevbox]:
    async with await sdk.devbox.create(name="contract") as devbox:
        yield devbox


@pytest.fixture
def sync_sdk(service: Service) -> Iterator[RunloopSDK]:
    with RunloopSDK(bearer_token=service.api_key, base_url=service.base_url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def sync_devbox(sync_sdk: RunloopSDK) -> Iterator[Devbox]:
    with sync_sdk.devbox.create(name="contract") as devbox:
        yield devbox


@pytest.fixture
def client(sdk: AsyncRunloopSDK) -> AsyncRunloop:
    return sdk.api


async def test_life(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    info = await devbox.get_info()
    assert (info.status, info.name) == ("running", "contract")
    assert [transition.status for transition in info.state_transitions][-1] == "running"
    await devbox.cmd.exec("echo kept > file")
    await devbox.suspend()
    assert (await devbox.await_suspended()).status == "suspended"
    assert (await devbox.resume()).status == "running"
    assert await devbox.file.read(file_path="file") == "kept\n"
    await devbox.keep_alive()
    assert devbox.id in [found.id for found in await sdk.devbox.list(limit=5000)]
    assert (await devbox.shutdown()).shutdown_reason == "api_shutdown"


async def test_commands(devbox: AsyncDevbox) -> None:
    result = await devbox.cmd.exec("seq 300; echo err >&2; exit 42")
    assert (result.exit_code, result.success, result.failed) == (42, False, True)
    assert await result.stdout() == "".join(f"{n}\n" for n in range(1, 301))
    assert await result.stdout(num_lines=2) == "299\n300"
    assert await result.stderr() == "err\n"


async def test_streaming_callbacks(devbox: AsyncDevbox) -> None:
    heard: dict[str, list[str]] = {"stdout": [], "stderr": [], "output": []}
    command = "for n in $(seq 50); do echo ü$n; echo e$n >&2; done"
    result = await devbox.cmd.exec(
        command, stdout=heard["stdout"].append, stderr=heard["stderr"].append, output=heard["output"].append
    )
    assert result.exit_code == 0
    assert "".join(heard["stdout"]) == "".join(f"ü{n}\n" for n in range(1, 51))
    assert "".join(heard["stderr"]) == "".join(f"e{n}\n" for n in range(1, 51))
    assert sorted("".join(heard["output"])) == sorted("".join(heard["stdout"] + heard["stderr"]))


async def test_input_and_kill(devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("cat", attach_stdin=True)
    await execution.send_std_in("eins\n")
    await execution.send_std_in("zwei\n")
    await execution.close_std_in()
    result = await execution.result()
    assert await result.stdout() == "eins\nzwei\n"
    sleeping = await devbox.cmd.exec_async("sleep 1000")
    assert (await sleeping.get_state()).status in ("queued", "running")
    await sleeping.kill()
    assert (await sleeping.result()).exit_code == 137


async def test_one_round_trip(client: AsyncRunloop, devbox: AsyncDevbox) -> None:
    command_id = "0190a0a0-0000-7000-8000-000000000001"
    first = await client.devboxes.execute(devbox.id, command="echo $RANDOM", command_id=command_id, last_n="5")
    again = await client.devboxes.execute(devbox.id, command="echo $RANDOM", command_id=command_id, last_n="5")
    assert (first.status, first.execution_id, first.stdout) == ("completed", command_id, again.stdout)
    slow = await client.devboxes.execute_and_await_completion(devbox.id, command="sleep 0.2; echo slept")
    assert slow.stdout == "slept\n"
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old = await client.devboxes.execute_sync(devbox.id, command="echo sync")
    assert (old.stdout, old.exit_status) == ("sync\n", 0)


async def test_streams_from_an_offset(client: AsyncRunloop, devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("echo 0123456789; echo err >&2")
    await execution.result()
    ids: dict[str, Any] = {"execution_id": execution.execution_id, "devbox_id": devbox.id}
    stdout = await client.devboxes.executions.stream_stdout_updates(**ids, offset="4")
    assert "".join([chunk.output async for chunk in stdout]) == "456789\n"
    stderr = await client.devboxes.executions.stream_stderr_updates(**ids)
    assert [(chunk.output, chunk.offset) async for chunk in stderr] == [("err\n", 4)]


async def test_files(devbox: AsyncDevbox, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "up.bin").write_bytes(data)
    await devbox.file.write(file_path="text", contents="grün\n")
    assert await devbox.file.read(file_path="text") == "grün\n"
    await devbox.file.upload(path="dir/up.bin", file=tmp_path / "up.bin")
    assert await devbox.file.download(path="dir/up.bin") == data
    with pytest.raises(NotFoundError, match="missing"):
        await devbox.file.read(file_path="missing")


async def test_the_rest_of_a_devbox(client: AsyncRunloop, devbox: AsyncDevbox) -> None:
    await devbox.cmd.exec("echo logged")
    assert "logged" in [log.message for log in (await devbox.logs()).logs]
    renamed = await client.devboxes.update(devbox.id, name="renamed", metadata={"a": "b"})
    assert (renamed.name, renamed.metadata) == ("renamed", {"a": "b"})
    assert (await client.devboxes.retrieve_resource_usage(devbox.id)).status == "running"
    assert (await client.accounts.me()).id


async def test_pages(client: AsyncRunloop) -> None:
    made = [(await client.devboxes.create()).id for _ in range(3)]
    seen = []
    async for view in client.devboxes.list(limit=1):
        seen.append(view.id)
        if len(seen) == 3:
            break
    assert seen == made[::-1]
    await asyncio.gather(*(client.devboxes.shutdown(devbox_id) for devbox_id in made))


async def test_errors(sdk: AsyncRunloopSDK, service: Service) -> None:
    with pytest.raises(NotFoundError, match="dbx_nope"):
        await sdk.api.devboxes.retrieve("dbx_nope")
    with pytest.raises(APIStatusError, match=r"devboxes\.create_ssh_key") as error:
        await sdk.api.devboxes.create_ssh_key("dbx_any")
    assert error.value.status_code == 501
    async with AsyncRunloopSDK(bearer_token="wrong", base_url=service.base_url, max_retries=0) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.devbox.list()


def test_sync_life_and_commands(sync_sdk: RunloopSDK, sync_devbox: Devbox) -> None:
    heard: list[str] = []
    result = sync_devbox.cmd.exec("for n in 1 2 3; do echo $n; sleep 0.02; done", stdout=heard.append)
    assert (result.exit_code, "".join(heard), result.stdout()) == (0, "1\n2\n3\n", "1\n2\n3\n")
    execution = sync_devbox.cmd.exec_async("cat", attach_stdin=True)
    execution.send_std_in("x")
    execution.close_std_in()
    assert execution.result().stdout() == "x"
    sync_devbox.suspend()
    with pytest.raises(BadRequestError, match="suspend"):
        sync_devbox.cmd.exec("true")
    sync_devbox.resume()
    assert sync_devbox.get_info().status == "running"
    assert sync_devbox.id in [found.id for found in sync_sdk.devbox.list(limit=5000, status="running")]


def test_sync_files(sync_devbox: Devbox, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"\0\1\2")
    sync_devbox.file.upload(path="up", file=tmp_path / "up")
    assert sync_devbox.file.download(path="up") == b"\0\1\2"
    sync_devbox.file.write(file_path="t", contents="ü")
    assert sync_devbox.file.read(file_path="t") == "ü"


def test_sync_creation_options(sync_sdk: RunloopSDK) -> None:
    client: Runloop = sync_sdk.api
    view = client.devboxes.create_and_await_running(
        environment_variables={"A": "1"},
        file_mounts={"mounted": "x"},
        launch_parameters={"launch_commands": ["echo set up > done"], "keep_alive_time_seconds": 60},
    )
    devbox = sync_sdk.devbox.from_id(view.id)
    assert devbox.cmd.exec("echo $A; cat mounted done").stdout() == "1\nxset up\n"
    devbox.shutdown()


def test_the_clients_of_the_1_series(service: Service, old_client: OldClient) -> None:
    script = Path(__file__).with_name("client_1.py")
    command: list[str | Path] = [old_client.python, script, service.base_url, service.api_key, old_client.version]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("\n")[-2] == "all done"
