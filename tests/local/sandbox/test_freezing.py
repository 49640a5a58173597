"""Snapshots of sandboxes that run: what is in use is paused and copied, what is not is frozen in place."""

import asyncio
import secrets
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from runloop_local.sandbox import Isolation, Sandbox, SandboxError, namespaces
from runloop_local.sandbox.agent_sandbox import AgentSandbox
from runloop_local.sandbox.base import SandboxEnded
from runloop_local.sandbox.namespaces import NamespacesBackend
from tests.waiting import PATIENCE

from .conftest import DATA_DIR, MakeSandbox, every_way, namespaces_only, output

pytestmark = pytest.mark.asyncio(loop_scope="session")


def layer_name() -> str:
    return f"layer-{secrets.token_hex(4)}"


HOLDERS = {
    "a daemon": "setsid sleep 1000 >/dev/null 2>&1 & until pgrep -x sleep >/dev/null; do :; done",
    "a file in memory": "echo kept > /dev/shm/file",
}


@namespaces_only
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
async def test_whatever_lives_in_memory_lives_on_after_a_snapshot(
    make: MakeSandbox, isolation: Isolation, holder: str
) -> None:
    sandbox = await make()
    await output(sandbox, f"echo one > file; {holder}")
    held = await output(sandbox, "ls /dev/shm; pgrep -x sleep || true")
    assert held
    layers = await sandbox.snapshot(layer_name())
    assert await output(sandbox, "ls /dev/shm; pgrep -x sleep || true") == held
    await output(sandbox, "echo two > file")
    assert await output(await make(layers=layers), "cat file; ls /dev/shm") == "one"


@every_way
async def test_an_unused_sandbox_goes_on_after_many_snapshots(make: MakeSandbox, isolation: Isolation) -> None:
    sandbox = await make()
    ended = asyncio.create_task(sandbox.ended())
    kept = []
    for number in range(3):
        await output(sandbox, f"echo {number} > file")
        kept.append(await sandbox.snapshot(layer_name()))
    assert not ended.done()
    assert await output(sandbox, "cat file") == "2"
    assert [await output(await make(layers=layers), "cat file") for layers in kept] == ["0", "1", "2"]
    await sandbox.stop()
    assert not ended.done()
    ended.cancel()


@namespaces_only
async def test_freezing_takes_no_longer_for_many_files(make: MakeSandbox, isolation: Isolation, way: str) -> None:
    if way == "none":
        return
    sandbox = await make()
    await output(sandbox, "mkdir d; cd d; seq 50 | xargs touch")
    disk = DATA_DIR / way / way / "sandboxes" / sandbox.id / "upper"
    identity = disk.stat().st_ino
    layers = await sandbox.snapshot(layer_name())
    assert (DATA_DIR / way / way / "layers" / layers[0]).stat().st_ino == identity  # moved: no file was copied
    assert await output(await make(layers=layers), "ls d | wc -l") == "50"


@namespaces_only
async def test_the_end_is_noticed_after_a_snapshot_too(make: MakeSandbox, isolation: Isolation) -> None:
    sandbox = await make()
    ended = asyncio.create_task(sandbox.ended())
    await sandbox.snapshot(layer_name())
    await output(sandbox, "true")
    assert isinstance(sandbox, AgentSandbox)
    assert sandbox._agent.run
    sandbox._agent.run.channel.close()
    await asyncio.wait_for(ended, PATIENCE)


def hold_up(sandbox: Sandbox, start: Coroutine[Any, Any, None]) -> None:
    """Let the next run of a sandbox begin after this."""
    assert isinstance(sandbox, AgentSandbox)
    assert isinstance(sandbox._backend, NamespacesBackend)
    sandbox._backend._preparing = (asyncio.create_task(start),)


@namespaces_only
async def test_a_snapshot_does_not_wait_for_the_next_run(make: MakeSandbox, isolation: Isolation) -> None:
    sandbox = await make()
    await output(sandbox, "echo kept > file")
    may_begin = asyncio.Event()

    async def start() -> None:
        await may_begin.wait()

    hold_up(sandbox, start())
    layers = await sandbox.snapshot(layer_name())
    told = asyncio.create_task(output(sandbox, "cat file"))
    assert await output(await make(layers=layers), "cat file") == "kept"
    assert not told.done()
    may_begin.set()
    assert await told == "kept"


@namespaces_only
async def test_who_waits_for_the_end_is_told_why_a_sandbox_does_not_go_on(
    make: MakeSandbox, isolation: Isolation
) -> None:
    sandbox = await make()
    ended = asyncio.create_task(sandbox.ended())
    await output(sandbox, "echo kept > file")

    async def start() -> None:
        raise SandboxError("There is no room for a run.")

    hold_up(sandbox, start())
    layers = await sandbox.snapshot(layer_name())
    with pytest.raises(SandboxError, match="no room for a run"):
        await asyncio.wait_for(ended, PATIENCE)
    with pytest.raises(SandboxEnded):
        await output(sandbox, "true")
    assert await output(await make(layers=layers), "cat file") == "kept"


@every_way
async def test_commands_begin_before_or_after_a_snapshot_and_not_during_it(
    make: MakeSandbox, isolation: Isolation
) -> None:
    sandbox = await make()
    snapshot, *results = await asyncio.gather(
        sandbox.snapshot(layer_name()), *(output(sandbox, f"echo {number}") for number in range(8))
    )
    assert results == [str(number) for number in range(8)]
    assert snapshot


@every_way
async def test_layers_are_known_with_who_stands_on_them(make: MakeSandbox, isolation: Isolation) -> None:
    sandbox = await make()
    name = layer_name()
    layers = await sandbox.snapshot(name)
    assert name in isolation.layers()
    user = await make(layers=layers)
    assert {sandbox.id, user.id} <= isolation.sandboxes()
    assert (name in isolation.used_layers()) == (isolation.name == "namespaces")
    await user.destroy()
    await sandbox.destroy()
    assert name not in isolation.used_layers()
    await isolation.remove_layer(name)
    assert name not in isolation.layers()


CHANGES = (
    "mkdir -p a/b c; echo 1 > a/b/f; echo 1 > a/g; ln -s g a/l; sudo rm /etc/hosts; sudo mkdir /opt/x",
    "echo 2 > a/b/f; rm a/g; sudo sh -c 'rm -rf /etc/default; mkdir /etc/default; echo log > /etc/default/mine'",
    "rm -rf a/b; echo file > a/b; chmod 711 c; touch -d 2001-01-01 c; sudo rmdir /opt/x; echo i > a/i",
    "rm a/b; mkdir a/b; echo 4 > a/b/h; mkfifo c/p; sudo sh -c 'echo 4 > /opt/x'; ln a/i a/j",
    "mv c d; sudo mv /etc/skel /etc/moved; echo 5 > d/n; sudo rm -f /opt/x",
    "mv d/n d/m; sudo sh -c 'mkdir /opt/x; echo 6 > /opt/x/y; echo hosts > /etc/hosts'; chmod 600 a/i",
    "sudo mv /etc/moved /etc/again; rm -rf a/b; mkdir a/b; echo 7 > 'a/b/ü x'",
    "echo 8 > a/g; rm a/l; mkdir a/l; sudo rm -r /etc/default",
)
LISTING = (
    "cd /; for f in home/user opt/x etc/hosts etc/default etc/skel etc/again etc/moved; do "
    "find $f -printf '%p %y %m %u %s %l\\n' 2>&1 | grep -v ' d ' ; find $f -type d -printf '%p %m %u\\n' 2>/dev/null; "
    "find $f -type f -exec cat {} + 2>/dev/null; done | sort"
)


@namespaces_only
async def test_many_layers_become_few_and_the_disk_stays_the_same(
    make: MakeSandbox, isolation: Isolation, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(namespaces, "_LAYERS_PER_MERGE", 3)
    sandbox = await make()
    changes = [change.replace("sudo mv /etc", "true") for change in CHANGES] if way == "unprivileged" else CHANGES
    counts = []
    for change in changes:
        await output(sandbox, change)
        before = await output(sandbox, LISTING)
        layers = await sandbox.snapshot(layer_name())
        counts.append(len(layers))
        assert await output(sandbox, LISTING) == before
        assert await output(await make(layers=layers), LISTING) == before
    assert max(counts) < len(CHANGES)
    await output(sandbox, 'echo on > a/g; mkdir -p a/b/c; rm -r a; test ! -e a; mkdir a; test -z "$(ls -A a)"')


@namespaces_only
async def test_a_disk_on_too_many_layers_is_not_frozen_and_goes_on(
    make: MakeSandbox, isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "_MAX_LAYERS", 2)
    sandbox = await make()
    for _ in range(2):
        await sandbox.snapshot(layer_name())
    await output(sandbox, "echo kept > file")
    with pytest.raises(SandboxError, match="stands on 3 layers"):
        await sandbox.snapshot(layer_name())
    assert await output(sandbox, "cat file") == "kept"


@namespaces_only
async def test_a_disk_is_frozen_right_after_each_start(make: MakeSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def copied(*_: object) -> tuple[str, ...]:
        raise SandboxError("something runs in it")

    monkeypatch.setattr(NamespacesBackend, "copy_disk", copied)

    async def start_and_freeze() -> int:
        sandbox = await make()
        return [len(await sandbox.snapshot(layer_name())) for _ in range(4)][-1]

    assert await asyncio.gather(*(start_and_freeze() for _ in range(20))) == [4] * 20


@namespaces_only
async def test_a_merge_that_fails_is_left_for_later(
    make: MakeSandbox, isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "_LAYERS_PER_MERGE", 2)
    sandbox = await make()
    await output(sandbox, "echo kept > file")
    monkeypatch.setattr(sys, "executable", "/bin/false")  # after the helper, which is a Python of its own, has started
    kept = [await sandbox.snapshot(layer_name()) for _ in range(4)]
    assert [len(layers) for layers in kept] == [1, 2, 3, 4]
    assert await output(await make(layers=kept[-1]), "cat file") == "kept"
