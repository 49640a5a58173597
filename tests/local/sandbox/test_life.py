from __future__ import annotations

import asyncio
import os
import secrets
import signal
from pathlib import Path

import pytest

from runloop_local.sandbox import Isolation, Sandbox, SandboxError
from runloop_local.sandbox.processes import descendants
from tests.waiting import PATIENCE, until

from .conftest import DATA_DIR, MakeSandbox, every_way, marker, open_way, output, processes_with
from .test_commands import start

pytestmark = pytest.mark.asyncio(loop_scope="session")


def leftovers(name: str) -> list[str]:
    files = [
        os.path.join(parent, found)
        for parent, folders, others in os.walk(DATA_DIR)  # what ends meanwhile is passed over
        for found in (*folders, *others)
        if name in found
    ]
    return files + [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line]


@every_way
async def test_the_disk_outlives_a_stop(sandbox: Sandbox) -> None:
    await output(sandbox, "echo kept > file && mkdir -p ${TMPDIR:-/tmp}/t && echo too > ${TMPDIR:-/tmp}/t/file")
    await sandbox.stop()
    await sandbox.start()
    assert await output(sandbox, "cat file ${TMPDIR:-/tmp}/t/file") == "kept\ntoo"


@every_way
async def test_start_and_stop_may_be_asked_twice(sandbox: Sandbox) -> None:
    await sandbox.start()
    assert await output(sandbox, "echo yes") == "yes"
    await sandbox.stop()
    await sandbox.stop()
    await sandbox.start()
    assert await output(sandbox, "echo yes") == "yes"


@every_way
async def test_one_that_runs_nothing_is_a_single_process(sandbox: Sandbox) -> None:
    await sandbox.stop()
    before = {*descendants(os.getpid())}
    await sandbox.start()
    await until(lambda: len({*descendants(os.getpid())} - before) == 1, "what has set it up to have ended")


@every_way
async def test_a_sandbox_left_on_disk_is_taken_up_by_the_next_service(way: str, tmp_path: Path) -> None:
    first = open_way(way, tmp_path)
    sandbox = await first.create("box", layers=())
    await sandbox.start()
    await output(sandbox, "echo kept > file")
    process = await start(sandbox, "sleep 1000")
    await first.aclose()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 137

    second = open_way(way, tmp_path)
    again = await second.create("box")
    await again.start()
    assert await output(again, "cat file") == "kept"
    await again.destroy()
    await second.aclose()


@every_way
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
async def test_a_snapshot_is_what_the_disk_was(isolation: Isolation, make: MakeSandbox, running: bool) -> None:
    original = await make()
    await output(original, "echo one > file; mkdir folder; ln -s file link; mkfifo pipe; chmod 500 folder; touch gone")
    await output(original, "rm gone; printf '#!/bin/sh\necho ran' > program; chmod 755 program")
    if not running:
        await original.stop()
    layer = f"layer-{secrets.token_hex(4)}"
    layers = await original.snapshot(layer)
    assert layers[0] == layer
    if not running:
        await original.start()
    await output(original, "echo two > file; rm link")

    copy = await make(layers=layers)
    assert await output(copy, "cat link; ./program; test -p pipe; stat -c %a folder; ls") == (
        "one\nran\n500\nfile\nfolder\nlink\npipe\nprogram"
    )
    await output(copy, "echo three > file; rm -rf folder")
    assert await output(original, "cat file; test -d folder; test ! -e link") == "two"
    second = await make(layers=layers)
    assert await output(second, "cat file") == "one"
    for sandbox in (copy, second, original):
        await sandbox.destroy()
    await isolation.remove_layer(layer)
    assert not leftovers(layer)


@every_way
async def test_a_paused_program_goes_on_after_a_snapshot(sandbox: Sandbox, isolation: Isolation) -> None:
    process = await start(sandbox, "while :; do sleep 0.01; test -e stop && exit 6; done")
    layer = f"layer-{secrets.token_hex(4)}"
    await sandbox.snapshot(layer)
    await output(sandbox, "touch stop")
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 6
    await isolation.remove_layer(layer)


@every_way
async def test_snapshots_of_snapshots_add_up(isolation: Isolation, make: MakeSandbox) -> None:
    layers: tuple[str, ...] = ()
    for number in range(4):
        sandbox = await make(layers=layers)
        await output(sandbox, f"echo {number} > file-{number}; rm -f file-{number - 2}")
        await sandbox.stop()
        layers = await sandbox.snapshot(f"layer-{secrets.token_hex(4)}")
    last = await make(layers=layers)
    assert await output(last, "cat file-*") == "2\n3"


@every_way
async def test_an_interrupted_freeze_is_finished_or_forgotten(way: str, tmp_path: Path) -> None:
    if way in ("landlock", "none"):  # there a snapshot is a copy: it is renamed when whole
        isolation = open_way(way, tmp_path)
        (tmp_path / "process/layers/one.new/disk").mkdir(parents=True)
        sandbox = await isolation.create("box")
        assert await sandbox.snapshot("one") == ("one",)
        return await isolation.aclose()
    isolation = open_way(way, tmp_path)
    sandbox = await isolation.create("box")
    folder = tmp_path / way / "sandboxes/box"
    (folder / "freeze.json").write_text('["never"]')
    await isolation.create("box")
    assert (folder / "layers.json").read_text() == "[]"
    assert await sandbox.snapshot("one") == ("one",)
    (folder / "freeze.json").write_text('["one", "base"]')
    await isolation.create("box")
    assert (folder / "layers.json").read_text() == '["one", "base"]'
    return await isolation.aclose()


@every_way
async def test_destroy_leaves_nothing(make: MakeSandbox) -> None:
    sandbox = await make()
    time = marker()
    await output(sandbox, f"mkdir -p a/b; touch a/b/c; chmod 0 a/b/c a/b a; setsid sleep {time} & :")
    assert leftovers(sandbox.id)
    await sandbox.destroy()
    assert not leftovers(sandbox.id)
    assert not processes_with(time)


@every_way
async def test_unknown_layers_and_bad_names_are_refused(isolation: Isolation, make: MakeSandbox) -> None:
    with pytest.raises(SandboxError, match="no snapshot layer 'missing'"):
        await isolation.create("box-unmade", layers=("missing",))
    with pytest.raises(SandboxError, match="no snapshot layer"):
        await isolation.remove_layer("missing")
    for name in ("../escape", "a/b", "", ".hidden", "a,b", "a:b"):
        with pytest.raises(SandboxError, match="cannot name"):
            await isolation.create(name)


async def test_a_sandbox_of_another_isolation_is_refused(tmp_path: Path) -> None:
    other = open_way("none", tmp_path)
    (tmp_path / "elsewhere/sandboxes/box").mkdir(parents=True)
    with pytest.raises(SandboxError, match="box was made with elsewhere isolation, this is process"):
        await other.create("box")
    await other.aclose()


@every_way
async def test_ended_returns_when_the_sandbox_dies_and_not_when_it_is_stopped(make: MakeSandbox, way: str) -> None:
    sandbox = await make()
    time = marker()
    process = await start(sandbox, f"sleep {time}")
    ended = asyncio.create_task(sandbox.ended())
    await until(lambda: processes_with(f"sleep\0{time}"))
    os.kill(agent_above(processes_with(f"sleep\0{time}")[0]), signal.SIGKILL)
    await asyncio.wait_for(ended, PATIENCE)
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 137
    assert not processes_with(time)

    await sandbox.start()
    assert await output(sandbox, "echo again") == "again"
    ended = asyncio.create_task(sandbox.ended())
    await asyncio.sleep(0)
    await sandbox.stop()
    done, _ = await asyncio.wait([ended], timeout=0.05)
    assert not done
    ended.cancel()


def agent_above(pid: int) -> int:
    """The nearest process above that is not a shell."""
    while True:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pid = int(fields[1])
        if b"runloop" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid


@every_way
async def test_the_helper_killed_ends_sandboxes_and_the_next_start_brings_another(way: str, tmp_path: Path) -> None:
    isolation = open_way(way, tmp_path)
    sandbox = await isolation.create("box")
    await sandbox.start()
    time = marker()
    process = await start(sandbox, f"sleep {time}")
    await until(lambda: processes_with(f"sleep\0{time}"))
    server = isolation._helper._server
    assert server
    server.process.kill()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 137
    run = sandbox._agent.run
    if run and not run.ending.done():
        await asyncio.wait_for(sandbox.ended(), PATIENCE)
    await until(lambda: not processes_with(time))
    await sandbox.start()
    assert await output(sandbox, "echo back") == "back"
    await isolation.aclose()
