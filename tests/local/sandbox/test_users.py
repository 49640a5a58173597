"""Accounts, sudo, and the machine's userland inside namespaces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runloop_local.sandbox import Sandbox, User
from runloop_local.sandbox.namespaces import NamespacesIsolation

from .conftest import NAMESPACES, namespaces_only, output, run, way_named

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCOUNTS = {"user": "1000 user /home/user /home/user", "root": "0 root /root /root"}


@namespaces_only
@pytest.mark.parametrize("user", ["user", "root"])
async def test_commands_run_as_the_account_that_was_asked_for(sandbox: Sandbox, way: str, user: User) -> None:
    found = await output(sandbox, "echo $(id -u) $(id -un) $HOME $PWD", user=user)
    if way == "none":  # no namespaces on this machine: one account
        assert found.split()[0] == str(os.getuid())
    else:
        assert found == ACCOUNTS[user]


@namespaces_only
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("sudo id -u", "0"),
        ("sudo -n -E -H id -u", "0"),
        ("sudo -nE id -u", "0"),
        ("sudo --preserve-env=PATH -- id -un", "root"),
        ("sudo -u root id -u", "0"),
        ("sudo --user=root sh -c 'echo $HOME $USER $SUDO_USER'", "/root root user"),
        ("sudo A=1 B='two words' sh -c 'echo $A $B'", "1 two words"),
        ("sudo -i pwd", "/root"),
        ("sudo -s 'echo $PWD'", "/home/user"),
        ("sudo printf '%s|' 'a b' -x '' '*'", "a b|-x||*|"),
        ("sudo -v && echo yes", "yes"),
        ("sudo sudo id -u", "0"),
        ("sudo sh -c 'exit 7'; echo $?", "7"),
        ("echo given | sudo cat", "given"),
        ("sudo -u nobody-here id; echo $?", "1"),
        ("sudo touch /etc/made && sudo chown daemon /etc/made && sudo rm /etc/made && echo done", "done"),
        ("sudo sh -c 'echo 127.0.0.9 here >> /etc/hosts' && grep -c here /etc/hosts", "1"),
    ],
)
async def test_sudo_works_without_a_password(sandbox: Sandbox, way: str, command: str, answer: str) -> None:
    result = await run(sandbox, command)
    if way == "none":  # no namespaces on this machine: the notes say that sudo does not work
        assert not NAMESPACES
    else:
        assert (result.out.strip(), result.status) == (answer, 0), result


@pytest.mark.parametrize("way", [way for way in NAMESPACES if way != "unprivileged"] or ["none"], scope="session")
async def test_owners_are_real_where_the_service_is_root(sandbox: Sandbox, way: str) -> None:
    if way == "none":
        assert os.getuid() or not NAMESPACES
        return
    assert await output(sandbox, "sudo -u daemon id -un") == "daemon"
    await output(sandbox, "echo x > /tmp/mine && chmod 600 /tmp/mine && sudo chown daemon /tmp/mine")
    assert await output(sandbox, "stat -c '%U %a' /tmp/mine") == "daemon 600"
    assert (await run(sandbox, "cat /tmp/mine")).status == 1
    assert (await run(sandbox, "touch /etc/x /root/x")).status == 1


@namespaces_only
async def test_this_machines_programs_are_there_and_changes_stay_inside(sandbox: Sandbox, way: str) -> None:
    if way == "none":
        return
    change = "rm -rf /usr/share/doc /etc/group; echo changed > /etc/passwd; mv /etc/skel /etc/skel2"
    await output(sandbox, f"sudo sh -c '{change}'")
    assert os.path.exists("/etc/group")  # noqa: ASYNC240 - one look
    seen = "test ! -e /etc/group && test ! -e /etc/skel && test -d /etc/skel2 && cat /etc/passwd"
    assert await output(sandbox, seen) == "changed"
    await sandbox.stop()
    await sandbox.start()
    assert await output(sandbox, seen) == "changed"


@pytest.mark.parametrize("way", [way for way in NAMESPACES if way != "root"] or ["none"], scope="session")
async def test_a_fork_bomb_stays_inside_its_sandbox(way: str, tmp_path: Path) -> None:
    if way == "none":
        return
    isolation = NamespacesIsolation(tmp_path, way_named(way), processes=50)
    bomb, neighbour = [await isolation.create(name) for name in ("bomb", "neighbour")]
    for sandbox in (bomb, neighbour):
        await sandbox.start()
    result = await run(bomb, "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo all")
    assert "all" not in result.out
    assert await output(neighbour, "echo alive") == "alive"
    await bomb.stop()
    await bomb.start()
    assert await output(bomb, "echo again") == "again"
    await isolation.aclose()


@namespaces_only
async def test_the_host_network_can_be_asked_for(way: str, tmp_path: Path) -> None:
    if way == "none":
        return
    isolation = NamespacesIsolation(tmp_path, way_named(way), network="host")
    assert any("share this machine's network" in note for note in isolation.notes)
    sandbox = await isolation.create("box")
    await sandbox.start()
    names = await output(sandbox, "cut -d: -f1 /proc/net/dev | sed 1,2d")
    with open("/proc/net/dev") as file:  # noqa: ASYNC230 - one look
        assert set(names.split()) == {line.split(":")[0].strip() for line in file.readlines()[2:]}
    await isolation.aclose()
