"""Kernels that devboxes belong to: how the service sees that one has ended, and what it does then."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from runloop_local.engine.devbox.lifecycle import Owner
from runloop_local.engine.errors import InvalidError, StoppingError, UnknownKernelError
from runloop_local.engine.kernel.kernel_connection import KernelConnection
from runloop_local.engine.kernel.kernel_lock import KernelLock, KernelProcess, identity
from runloop_local.engine.kernel.kernels import Kernels
from runloop_local.routes.kernels import KERNEL, is_connection, parsed_owner
from tests.local.api import Api, connect
from tests.local.kernel import LockHolder, holding, registered
from tests.local.serving import serving
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ENDED = "the kernel that created it has ended"


@asynccontextmanager
async def kernel_of(api: Api) -> AsyncIterator[tuple[str, LockHolder]]:
    """A kernel that is attached: its id and its process."""
    told = await registered(api, "analysis.ipynb")
    with holding(told["lock"]) as holder:
        await api.json(f"/local/kernels/{told['id']}/attach", {})
        yield told["id"], holder


async def created(api: Api, kernel: str, **options: Any) -> str:
    """A running devbox of a kernel."""
    view = await api.json("/v1/devboxes/create_and_await_running", options, headers={KERNEL: kernel})
    assert view["status"] == "running", view
    return str(view["id"])


async def shut_down(api: Api, devbox: str) -> dict[str, Any]:
    """A devbox once it has been shut down."""

    async def ended() -> dict[str, Any] | None:
        view: dict[str, Any] = await api.json(f"/v1/devboxes/{devbox}")
        return view if view["status"] == "shutdown" else None

    view: dict[str, Any] = await until(ended, f"the end of {devbox}")
    return view


async def reason(api: Api, devbox: str) -> str:
    """Why a devbox ended, as its history says."""
    return str((await shut_down(api, devbox))["state_transitions"][-1]["failure_reason"])


@pytest.mark.parametrize(
    ("header", "owner"),
    [
        ("krn_1", Owner("krn_1")),
        (" krn_1 ; ends=no", Owner("krn_1", ends=False)),
        ("krn_1;holds=no", Owner("krn_1", holds=False)),
        ("krn_1; ends=yes; holds=yes", Owner("krn_1")),
        ("krn_1; ends=no; holds=no", Owner("krn_1", ends=False, holds=False)),
        ("", None),
        ("; ends=no", None),
        ("krn_1; ends", None),
        ("krn_1; ends=maybe", None),
        ("krn_1; begins=no", None),
        ("krn_1; ends=no; ends=no", None),
    ],
)
def test_the_header_says_which_kernel_and_how(header: str, owner: Owner | None) -> None:
    if owner is not None:
        assert parsed_owner(header) == owner
        return
    with pytest.raises(InvalidError, match=KERNEL):
        parsed_owner(header)


async def test_a_killed_kernel_takes_its_devboxes_along_and_leaves_the_others(api: Api) -> None:
    async with kernel_of(api) as (kernel, process):
        mine, kept = await created(api, kernel), await created(api, f"{kernel}; ends=no")
        other = await api.create()
        shown = (await api.json("/local/kernels"))["kernels"]
        assert {"id": kernel, "name": "analysis.ipynb", "devboxes": [mine, kept]} in shown
        process.kill()
        assert await reason(api, mine) == ENDED
        for devbox in (kept, other):
            assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    assert kernel not in str(await api.json("/local/kernels"))


async def test_suspended_devboxes_end_too(api: Api) -> None:
    async with kernel_of(api) as (kernel, process):
        devbox = await created(api, kernel)
        await api.json(f"/v1/devboxes/{devbox}/suspend", {})
        await api.wait(devbox, "suspended")
        process.kill()
        assert await reason(api, devbox) == ENDED


async def test_a_kernel_that_is_stopped_by_a_signal_or_that_forked_is_seen_as_it_is(api: Api) -> None:
    async with kernel_of(api) as (kernel, process):
        devbox = await created(api, kernel)
        process.fork()
        process.send(signal.SIGSTOP)
        assert (await api.request("GET", "/local/kernels")).text.count(kernel) == 1
        assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"
        process.send(signal.SIGCONT)
        process.do("pass")
        assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"
        process.kill()  # its child lives on, with the file open
        assert await reason(api, devbox) == ENDED


async def test_a_kernel_may_leave_while_its_process_lives_on(api: Api) -> None:
    async with kernel_of(api) as (kernel, _):
        devbox = await created(api, kernel)
        await api.json(f"/local/kernels/{kernel}/end", {})
        assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "shutdown"
        await api.json(f"/local/kernels/{kernel}/end", {})
        refused = await api.json("/v1/devboxes", {}, headers={KERNEL: kernel}, status=412)
        assert refused["error"] == "unknown_kernel"


async def test_a_kernel_that_shares_no_files_holds_a_connection(api: Api) -> None:
    told = await registered(api, "elsewhere.ipynb")
    path = f"/local/kernels/{told['id']}/connection"
    async with api.stream("GET", path) as answer, api.stream("GET", path):  # the second comes before the first has gone
        assert answer.status_code == 200
        devbox, kept = await created(api, told["id"]), await created(api, f"{told['id']}; ends=no")
        assert {"id": told["id"], "name": "elsewhere.ipynb", "devboxes": [devbox, kept]} in (
            await api.json("/local/kernels")
        )["kernels"]
    assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"  # it may connect again
    assert await reason(api, devbox) == ENDED
    assert (await api.json(f"/v1/devboxes/{kept}"))["status"] == "running"
    await api.json(f"/v1/devboxes/{kept}/shutdown", {})
    await api.json(path, status=412)


async def test_only_a_registered_kernel_without_a_lock_holds_a_connection(api: Api) -> None:
    await api.json("/local/kernels/krn_none/connection", status=412)
    async with kernel_of(api) as (kernel, _):
        await api.json(f"/local/kernels/{kernel}/connection", status=412)


async def test_a_kernel_connects_again_to_the_next_run_of_the_service(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            kernel = (await registered(api))["id"]
            async with api.stream("GET", f"/local/kernels/{kernel}/connection"):
                devbox = await created(api, kernel)
    with serving(tmp_path / "data") as service:
        async with connect(service) as api, api.stream("GET", f"/local/kernels/{kernel}/connection") as answer:
            assert answer.status_code == 200
            assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended"
            await api.json(f"/local/kernels/{kernel}/end", {})
            assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "shutdown"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/local/kernels/krn_1/connection", True), ("/local/kernels/krn_1/end", False), ("/v1/x/connection", False)],
)
def test_a_connection_that_is_held_is_no_activity(path: str, expected: bool) -> None:
    assert is_connection(path) == expected


async def test_a_service_that_is_stopping_takes_no_connection(tmp_path: Path) -> None:
    kernels = Kernels(tmp_path)
    kernels.register("krn_1", "")
    held = await kernels.connect("krn_1")
    await kernels.aclose()
    await held.closed()
    with pytest.raises(StoppingError):
        await kernels.connect("krn_1")


async def test_a_kernel_has_ended_once_it_has_had_no_connection_for_a_while() -> None:
    connection = KernelConnection(grace=0.05)
    ended = asyncio.create_task(connection.ended())
    with connection.opened():
        with connection.opened():
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        assert not ended.done()
    with connection.opened():  # in time
        await asyncio.sleep(0.1)
        assert not ended.done()
    await ended
    connection.close()
    await connection.closed()


async def test_a_kernel_that_does_not_hold_its_lock_is_not_attached(api: Api) -> None:
    told = await registered(api)
    attach = f"/local/kernels/{told['id']}/attach"
    await api.json(attach, {}, status=412)
    with holding(told["lock"]):
        await api.json("/v1/devboxes", {}, headers={KERNEL: told["id"]}, status=412)
        await api.json(attach, {})
        await api.json(attach, {})
    await api.json("/local/kernels/krn_none/attach", {}, status=412)
    await api.json("/local/kernels/..%2F..%2Fservice/attach", {}, status=404)
    await api.json("/local/kernels/.../attach", {}, status=400)
    await api.json("/v1/devboxes", {}, headers={KERNEL: "krn_1; what"}, status=400)


async def test_the_keep_alive_time_of_a_held_devbox_begins_when_its_kernel_ends(api: Api) -> None:
    short = {"launch_parameters": {"keep_alive_time_seconds": 1}}
    async with kernel_of(api) as (kernel, process):
        kept = await created(api, f"{kernel}; ends=no", **short)
        own = await created(api, f"{kernel}; holds=no", **short)
        assert (await shut_down(api, own))["shutdown_reason"] == "keep_alive_timeout"
        assert (await api.json(f"/v1/devboxes/{kept}"))["status"] == "running"
        process.kill()
        view = await shut_down(api, kept)
        assert "failure_reason" not in view["state_transitions"][-1]


async def test_a_snapshot_under_way_is_completed_first(api: Api) -> None:
    async with kernel_of(api) as (kernel, process):
        devbox = await created(api, kernel)
        await api.execute(devbox, "head -c 50000000 /dev/urandom > large")
        snapshot = await api.json(f"/v1/devboxes/{devbox}/snapshot_disk_async", {})
        process.kill()
        assert await reason(api, devbox) == ENDED
    status = await api.json(f"/v1/devboxes/disk_snapshots/{snapshot['id']}/status")
    assert status["status"] == "complete"


async def test_a_restricted_key_for_devboxes_may_attach_a_kernel(api: Api) -> None:
    scopes = [{"resource_type": "RESOURCE_TYPE_DEVBOXES", "access_level": "ACCESS_LEVEL_WRITE"}]
    key = await api.json("/v1/restricted_keys", {"name": "boxes", "scopes": scopes})
    told = await api.json("/local/kernels", {}, headers={"Authorization": f"Bearer {key['key_secret']}"})
    assert told["id"].startswith("krn_")


async def test_a_restart_of_the_service_forgets_no_kernel(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api, kernel_of(api) as (living, _), kernel_of(api) as (dying, process):
            ours, theirs = await created(api, living), await created(api, dying)
            kept, lost = await created(api, f"{dying}; ends=no"), await created(api, living)
            first.kill()
            process.kill()
            (first.data_dir / "kernels" / "krn_gone.lock").touch()
            with serving(tmp_path / "data") as second:
                async with connect(second) as again:
                    assert await reason(again, theirs) == ENDED
                    for devbox in (ours, kept, lost):
                        assert (await again.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended"
                    await again.json(f"/v1/devboxes/{ours}/resume", {})
                    await again.wait(ours, "running")
                    another = await created(again, living)
                    await again.json(f"/local/kernels/{living}/end", {})
                    for devbox in (ours, another, lost):
                        assert await reason(again, devbox) == ENDED
                    await again.json(f"/v1/devboxes/{kept}/shutdown", {})
            assert list((first.data_dir / "kernels").iterdir()) == []


async def test_devboxes_whose_kernel_left_no_trace_stay(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api, kernel_of(api) as (kernel, _):
            devbox = await created(api, kernel)
            first.kill()
    (first.data_dir / "kernels" / f"{kernel}.lock").unlink()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended"
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


# How a kernel is seen, without a service


class Released:
    """Kernels as the engine has them, and which of them have been released."""

    def __init__(self, folder: Path) -> None:
        self.kernels = Kernels(folder)
        self.ended: list[str] = []

    async def release(self, kernel_id: str) -> None:
        self.ended.append(kernel_id)


@pytest.fixture
async def seen(tmp_path: Path) -> AsyncIterator[Released]:
    made = Released(tmp_path / "kernels")
    await made.kernels.restore(made.release)
    yield made
    await made.kernels.aclose()


async def ended(seen: Released, kernel: str) -> bool:
    """Whether a kernel has been released, after waiting for it."""
    await until(lambda: seen.ended, "the kernel's release")
    return seen.ended == [kernel]


async def test_where_there_is_no_pidfd_the_lock_is_looked_at(seen: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    kernel = "krn_1"
    lock = seen.kernels.register(kernel, "")
    with holding(str(lock)) as process:
        await seen.kernels.attach(kernel)
        process.kill()
        assert await ended(seen, kernel)


async def test_a_lock_that_a_careless_close_lost_does_not_end_a_kernel_that_is_seen_to_live(
    seen: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = "krn_1"
    lock = KernelLock(seen.kernels.register(kernel, ""))
    with holding(str(lock.path)) as process:
        await seen.kernels.attach(kernel)
        process.do("open(sys.argv[1]).close()")
        monkeypatch.delattr(os, "pidfd_open")
        found = KernelProcess.find(lock)
        assert found is not None
        assert found.is_alive()
        process.kill()
        assert not found.is_alive()
        found.close()
        assert KernelProcess.find(lock) is None
        assert await ended(seen, kernel)


async def test_the_next_process_of_the_same_number_is_not_the_kernel(tmp_path: Path) -> None:
    lock = KernelLock(tmp_path / "krn_1.lock")
    lock.make("")
    own = identity(os.getpid())
    assert own is not None
    number, _, rest = own.partition(" ")
    lock.note(f"{number} 1{rest}")
    assert KernelProcess.find(lock) is None
    lock.note(own)
    found = KernelProcess.find(lock)
    assert found is not None
    found.close()
    for torn in ("", "{", "[]", '{"process": 1}', '{"process": "x"}'):
        lock.path.write_text(torn)
        assert KernelProcess.find(lock) is None


async def test_a_lock_that_cannot_be_read_any_more_leaves_no_descriptor_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = KernelLock(tmp_path / "krn_1.lock")
    lock.make("")
    lock.note(identity(os.getpid()))
    ask, asked = fcntl.fcntl, 0

    def fails_the_second_time(file: int, command: int, argument: bytes) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise OSError(errno.EIO, "Input/output error")
        return ask(file, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", fails_the_second_time)
    before = set(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"))
    with pytest.raises(OSError, match="Input/output error"):
        KernelProcess.find(lock)
    assert set(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")) == before


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="makes a process namespace")
async def test_a_kernel_outside_of_the_services_process_namespace_is_seen_by_its_lock(tmp_path: Path) -> None:
    """The service in a container that shares a folder with the kernel: the kernel's number means nothing there."""
    lock = KernelLock(tmp_path / "krn_1.lock")
    lock.make("")
    look = (
        "import sys; from pathlib import Path\n"
        "from runloop_local.engine.kernel.kernel_lock import KernelLock, KernelProcess\n"
        f"found = KernelProcess.find(KernelLock(Path({str(lock.path)!r})))\n"
        "print(found is not None and (found.is_alive(), found.identity, found._pidfd))"
    )
    inside = ("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", look)

    async def looked() -> str:
        process = await asyncio.create_subprocess_exec(*inside, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode().strip()

    with holding(str(lock.path)):
        assert await looked() == "(True, None, None)"
    assert await looked() == "False"


async def test_a_folder_that_cannot_be_used_makes_no_kernels(seen: Released, tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    folder.rmdir()
    folder.touch()
    with pytest.raises(UnknownKernelError, match="lock file for the kernel cannot be created"):
        seen.kernels.register("krn_1", "")
    with pytest.raises(UnknownKernelError, match="cannot be read"):
        await seen.kernels.attach("krn_1")
