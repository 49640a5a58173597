"""A machine that has no more of something: one clear error, nothing that hangs, and a service that goes on."""

import asyncio
import errno
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from runloop_local.engine.build.builder import BuildError
from runloop_local.engine.errors import DiskFullError, InvalidError, StorageError, is_disk_full
from runloop_local.sandbox import SandboxError
from runloop_local.sandbox.base import failure
from tests.local.api import Api, connect
from tests.local.serving import COUNTS_PROCESSES, Service, counted_processes, serving
from tests.starter import FROM
from tests.waiting import PATIENCE

pytestmark = pytest.mark.exhaustion
WAYS = ["auto", "process"]


async def soon(api: Api, path: str, body: object = None) -> httpx.Response:
    """An answer that comes in time, whatever it says; a connection that was turned away is used again."""
    async with asyncio.timeout(PATIENCE):
        return await api.request("GET" if body is None else "POST", path, json=body)


async def fill_with_commands(api: Api, devbox: str, most: int) -> list[str]:
    """Commands that run, started until one cannot be; it must say why."""
    started: list[str] = []
    for _ in range(most):
        execution = await api.start(devbox, "echo up; sleep 1000", attach_stdin=True)
        body = {"statuses": ["completed"], "timeout_seconds": 0.2}
        answer = await soon(api, f"{execution}/wait_for_status", body)
        if answer.status_code == 200:
            assert answer.json()["exit_status"] == 126
            assert "could not be started" in answer.json()["stderr"]
            return started
        started.append(execution)
    raise AssertionError(f"{most} commands ran")


async def end_all(api: Api, executions: list[str]) -> None:
    for execution in executions:
        await api.json(f"{execution}/kill", {})
        await api.finish(execution)


async def works(api: Api, devbox: str) -> None:
    """It runs commands as before, and so do new ones."""
    for each in (devbox, await api.create()):
        assert (await api.execute(each, "echo fine"))["stdout"] == "fine\n"


@pytest.mark.parametrize("way", WAYS)
async def test_without_descriptors_for_commands_all_else_is_answered(tmp_path: Path, way: str) -> None:
    with serving(tmp_path / "data", "--isolation", way, before=("prlimit", "--nofile=100:100")) as service:
        async with connect(service) as api:
            devbox = await api.create()
            running = await fill_with_commands(api, devbox, 40)
            # What the command that could not be started has given back is perhaps enough to read a file.
            read = await soon(api, f"/v1/devboxes/{devbox}/read_file_contents", {"file_path": "/proc/sys/fs/nr_open"})
            if read.status_code == 200:
                assert int(read.text) > 0
            else:
                assert (read.status_code, read.json()["retryable"]) == (503, True)
                assert "no descriptors left" in read.json()["message"]
            assert (await api.json("/v1/secrets", {"name": "KEPT", "value": "v"}))["name"] == "KEPT"
            failed = (await soon(api, "/v1/devboxes/create_and_await_running", {})).json()
            assert failed["status"] in ("failure", "running")
            await end_all(api, running)
            await works(api, devbox)
    assert (tmp_path / "data.log").read_text() == ""


@asynccontextmanager
async def idle_connections(service: Service, count: int) -> AsyncIterator[None]:
    """Connections on which nothing is asked."""
    port = int(service.base_url.rpartition(":")[2])
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(count)]
    yield
    for writer in writers:
        writer.close()


async def test_a_connection_for_which_there_is_no_room_is_told_so(tmp_path: Path) -> None:
    with serving(tmp_path / "data", before=("prlimit", "--nofile=100:100")) as service:
        async with connect(service) as api:
            devbox = await api.create()
            async with idle_connections(service, 120), connect(service) as late:
                refused = await soon(late, "/v1/accounts/me")
                assert (refused.status_code, refused.json()["error"]) == (503, "exhausted")
                assert (await soon(api, f"/v1/devboxes/{devbox}")).json()["status"] == "running"
            await works(api, devbox)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EMFILE, "x"), False),
        (DiskFullError("The service cannot keep its records."), True),
        (caused(BuildError("RUN failed"), DiskFullError("x")), True),
        (caused(InvalidError("x"), caused(SandboxError("y"), OSError(errno.ENOSPC, "x"))), True),
        (failure("cp failed", "cp: cannot write: No space left on device"), True),
        (failure("cp failed", "cp: Permission denied"), False),
        (OSError(errno.EFBIG, "x"), True),
        (OSError(errno.EIO, "x"), False),
        (OSError(errno.EROFS, "x"), False),
        (StorageError("service.db is locked."), False),
        (BuildError("RUN echo No space left on device: exit status 1."), False),
        (SandboxError("The sandbox has ended."), False),
    ],
    ids=str,
)
def test_whether_a_disk_is_full(error: Exception, full: bool) -> None:
    assert is_disk_full(error) is full


NO_REMOVAL = re.compile(r"The disk of dbx_\w+, which has ended, cannot be removed: .*no more processes can be started")

if COUNTS_PROCESSES:

    @pytest.mark.parametrize("way", WAYS)
    async def test_without_processes_devboxes_live_on_and_say_what_is_missing(tmp_path: Path, way: str) -> None:
        with counted_processes() as group:
            before = ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group))
            with serving(tmp_path / "data", "--isolation", way, before=before) as service:
                async with connect(service) as api:
                    devbox = await api.create()
                    now = int((group / "pids.current").read_text())
                    (group / "pids.max").write_text(f"{now + 8}")
                    running = await fill_with_commands(api, devbox, 20)
                    await nothing_starts(api, devbox)
                    (group / "pids.max").write_text("max")
                    await end_all(api, running)
                    await works(api, devbox)
            told = (tmp_path / "data.log").read_text().splitlines()
            assert [line for line in told if not NO_REMOVAL.search(line)] == []  # a disk, where rm could not be started

    async def nothing_starts(api: Api, devbox: str) -> None:
        failed = (await soon(api, "/v1/devboxes/create_and_await_running", {})).json()
        assert failed["status"] == "failure"
        assert "no more processes" in failed["state_transitions"][-1]["failure_reason"]
        for path, body in (
            (f"/v1/devboxes/{devbox}/read_file_contents", {"file_path": "/etc/hostname"}),
            (f"/v1/devboxes/{devbox}/snapshot_disk", {}),
        ):
            refused = await soon(api, path, body)
            assert refused.status_code == 503
            assert "no more processes" in refused.json()["message"]
        blueprint = (await soon(api, "/v1/blueprints", {"name": "b", "dockerfile": f"{FROM}\nRUN echo"})).json()["id"]
        while (view := (await soon(api, f"/v1/blueprints/{blueprint}")).json())["status"] != "failed":
            assert view["status"] in ("queued", "provisioning", "building")
            await asyncio.sleep(0.02)

    @pytest.mark.parametrize("way", WAYS)
    async def test_on_a_full_disk_a_shutdown_makes_room(tmp_path: Path, way: str) -> None:
        """The disk is a small one of its own, in a mount namespace that ends with the service."""
        data = tmp_path / "data"
        data.mkdir()
        mount = 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"'
        with serving(data, "--isolation", way, before=("unshare", "-m", "sh", "-c", mount, str(data))) as service:
            async with connect(service) as api:
                greedy, other, third = [await api.create() for _ in range(3)]
                assert (await api.execute(other, "echo kept > file"))["exit_status"] == 0
                await api.execute(greedy, "head -c 100M /dev/zero > big; echo $?")
                await everything_is_a_507(api, other)
                assert (await api.json(f"/v1/devboxes/{other}"))["status"] == "running"
                assert (await api.json(f"/v1/devboxes/{greedy}/shutdown", {}))["status"] == "shutdown"
                assert (await api.execute(other, "cat file"))["stdout"] == "kept\n"
                await works(api, third)
                listed = (await api.json("/v1/devboxes?status=shutdown"))["devboxes"]
                assert [view["id"] for view in listed] == [greedy]
        assert (tmp_path / "data.log").read_text() == ""

    async def everything_is_a_507(api: Api, devbox: str) -> None:
        asked: list[tuple[str, Any]] = [
            ("/v1/devboxes", {}),
            (f"/v1/devboxes/{devbox}/execute", {"command": "true", "command_id": "one"}),
            (f"/v1/devboxes/{devbox}/suspend", {}),
            (f"/v1/devboxes/{devbox}/snapshot_disk", {}),
            (f"/v1/devboxes/{devbox}/write_file_contents", {"file_path": "x", "contents": "y" * 100_000}),
            ("/v1/blueprints", {"name": "b", "dockerfile": f"{FROM}\nRUN echo"}),
            ("/v1/objects", {"name": "o", "content_type": "text"}),
            ("/v1/secrets", {"name": "S", "value": "v"}),
        ]
        for path, body in asked:
            refused = await soon(api, path, body)
            assert refused.status_code == 507, (path, refused.text)
            assert refused.json()["error"] == "disk_full"
