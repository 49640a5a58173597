"""What a command inside must not be able to do, tried by `user` and by root; attempts.py holds the tries themselves."""

from __future__ import annotations

import json
import os
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

import runloop_local
from runloop_local.sandbox import Isolation, Sandbox, User

from . import attempts
from .conftest import DATA_DIR, LANDLOCK, NAMESPACES, namespaces_only, output, run

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOURCE = Path(attempts.__file__).read_text()
EVERYWHERE = [
    "state_folder",
    "secret_in_home",
    "secret_through_symlink",
    "secret_through_hard_link",
    "secret_through_dots",
    "secret_through_proc_root",
    "secret_through_pid_1",
    "secret_through_pid_1_cwd",
    "secret_through_service_root",
    "other_sandboxes_file",
    "other_sandboxes_folder",
    "cloud_credentials",
    "host_tmp",
    "password_hashes",
    "password_hashes_backup",
    "private_keys",
    "file_only_root_may_read",
    "write_secret",
    "plant_code_of_the_service",
    "handle_of_root_inode",
    "inherited_descriptors",
    "inherited_environment",
    "signal_service",
    "kill_everything",
    "environment_of_the_service",
    "environment_of_pid_1",
    "memory_of_pid_1",
    "descriptors_of_pid_1",
    "trace_pid_1",
    "trace_the_service",
    "take_descriptors_of_pid_1",
    "block_device",
    "mount_disk",
    "mount_kernel_file_systems",
    "remount_root",
    "undo_masks_in_own_namespace",
    "change_settings",
    "sysrq",
    "kernel_memory",
    "kernel_addresses",
    "load_module",
    "reboot",
    "set_clock",
    "raise_own_priority",
    "abstract_socket",
    "write_machine_program",
    "user_keyring",
    "add_key",
    "mounts_in_own_namespace",
    "network_in_own_namespace",
    "child_in_own_namespace",
    "namespaces_of_pid_1",
    "user_fault_handler",
    "io_uring",
    "secret_memory",
    "compare_processes",
    "own_descriptor_through_pidfd",
    "rare_sockets",
    "rare_socket_pairs",
    "socket_as_32_bit",
    "keyring_as_x32",
    "keyring_as_32_bit",
]
EVERYWHERE += [
    "owner_of_secret",
    "attribute_of_secret",
    "limits_of_the_service",
    "priority_of_the_service",
    "processors_of_the_service",
    "scheduling_of_the_service",
]
ON_THIS_MACHINE = ["set_id_bits"]  # elsewhere they are how sudo works, and mean nobody outside
# Without an account of its own, a devbox behind Landlock has what only the owner of a file decides about.
WITH_OWN_ACCOUNT = [
    "mode_of_secret",
    "times_of_secret",
    "existence_of_secret",
    "private_unix_socket",
    "public_unix_socket",
    "change_device_node",
]
WITH_REAL_ACCOUNTS = ["user_namespace"]  # elsewhere sudo is made of one
IN_NAMESPACES = [
    "homes",
    "run_folder",
    "docker_socket",
    "paths_in_mounts",
    "paths_in_command_lines",
    "see_processes",
    "program_of_pid_1",
    "mounts_of_pid_1",
    "kill_pid_1",
    "kernel_keys",
    "loopback",
    "interfaces",
    "raw_socket",
]
# Without isolation these succeed, which shows that the attempts are real.
CONTROLS = [
    "state_folder",
    "secret_in_home",
    "secret_through_symlink",
    "secret_through_dots",
    "secret_through_proc_root",
    "other_sandboxes_file",
    "other_sandboxes_folder",
    "host_tmp",
    "write_secret",
    "signal_service",
    "abstract_socket",
    "see_processes",
    "loopback",
    "cloud_credentials",
    "user_keyring",
    "add_key",
    "user_namespace",
    "child_in_own_namespace",
    "own_descriptor_through_pidfd",
    "owner_of_secret",
    "attribute_of_secret",
    "limits_of_the_service",
    "mode_of_secret",
    "times_of_secret",
    "existence_of_secret",
    "private_unix_socket",
    "public_unix_socket",
    "set_id_bits",
]
if os.getuid():  # root's commands have lost the right, even here
    CONTROLS += [
        "environment_of_the_service",
        "trace_the_service",
        "priority_of_the_service",
        "processors_of_the_service",
        "scheduling_of_the_service",
    ]
else:
    CONTROLS += ["change_device_node"]
LANDLOCK_CASES = EVERYWHERE + ON_THIS_MACHINE + (WITH_OWN_ACCOUNT if os.getuid() == 0 else [])
CASES = [(way, name) for way in NAMESPACES for name in EVERYWHERE + WITH_OWN_ACCOUNT + IN_NAMESPACES] + [
    (way, name) for way in LANDLOCK for name in LANDLOCK_CASES
]
CASES += [(way, name) for way in (*NAMESPACES, *LANDLOCK) for name in WITH_REAL_ACCOUNTS if way != "unprivileged"]


@pytest.fixture(scope="module")
def canary() -> str:
    return f"canary-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def victim(canary: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the machine that would end at any signal but 0."""
    code = "import signal, time; signal.signal(signal.SIGCONT, lambda *_: exit(1)); print(flush=True); time.sleep(1000)"
    argv = [sys.executable, "-c", code, canary]
    with subprocess.Popen(argv, env={"SECRET": canary}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture(scope="module")
def outside(
    canary: str, victim: subprocess.Popen[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, object]]:
    """What an attacker may know of this machine."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir()
    (home / ".aws").write_text("key")
    (home / "secret").write_text(canary)
    tmp_file = Path("/tmp", canary)
    tmp_file.write_text(canary)
    disk = os.stat("/").st_dev
    sockets = {
        "abstract": f"\0{canary}",
        "private": str(home / "socket"),
        "public": f"/tmp/{canary}.socket",
    }
    with socket.create_server(("127.0.0.1", 0)) as tcp, ExitStack() as listening:
        for address in sockets.values():
            listener = listening.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        os.chmod(sockets["private"], 0o600)
        os.chmod(sockets["public"], 0o666)
        yield {
            "canary": canary,
            "data_dir": str(DATA_DIR),
            "home": str(home),
            "secret": str(home / "secret"),
            "tmp_file": str(tmp_file),
            "root_only": root_only_file(),
            "package": str(Path(runloop_local.__file__).parent),
            "service": os.getpid(),
            "victim": victim.pid,
            "disk": (os.major(disk), os.minor(disk)),
            "port": tcp.getsockname()[1],
            "abstract": canary,
            "socket": sockets["private"],
            "public_socket": sockets["public"],
        }
    tmp_file.unlink()
    Path(sockets["public"]).unlink()


def root_only_file() -> str | None:
    """A file of /var or /etc with something in it that only root may read, if this machine has one."""
    for top in ("/var", "/etc"):
        for folder, _, names in os.walk(top):
            for name in names:
                status = os.lstat(f"{folder}/{name}")
                if name not in ("shadow", "gshadow") and status.st_size and status.st_mode & 0o170004 == 0o100000:
                    return f"{folder}/{name}"
    return None


Pair = tuple[Sandbox, str]
"""A sandbox to escape from, and a neighbour's file."""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def pairs(isolations: Callable[[str], Isolation]) -> AsyncIterator[Callable[[str], Awaitable[Pair]]]:
    """One of each way for all attempts: pytest would end a fixture of the way itself with each attempt."""
    made: dict[str, Pair] = {}
    started: list[Sandbox] = []

    async def of(way: str) -> Pair:
        if way not in made:
            sandboxes = [await isolations(way).create(f"escape-{secrets.token_hex(4)}") for _ in range(2)]
            started.extend(sandboxes)
            for sandbox in sandboxes:
                await sandbox.start()
            await output(sandboxes[1], "echo private > file")
            [folder] = DATA_DIR.glob(f"*/*/sandboxes/{sandboxes[1].id}")
            [file] = folder.rglob("file")
            made[way] = sandboxes[0], str(file)
        return made[way]

    yield of
    for sandbox in started:
        await sandbox.destroy()


@pytest_asyncio.fixture(loop_scope="session")
async def pair(pairs: Callable[[str], Awaitable[Pair]], way: str) -> Pair:
    return await pairs(way)


async def attempt(name: str, pair: Pair, outside: dict[str, object], user: User) -> str:
    sandbox, other_file = pair
    facts = json.dumps({**outside, "other_file": other_file})
    result = await run(
        sandbox, ("python3", "-IS", "-c", SOURCE, name, facts, user), user=user, cwd=sandbox.path("/home/user")
    )
    assert result.status == 0, result
    return result.out


@pytest.mark.parametrize("user", ["user", "root"])
@pytest.mark.parametrize(("way", "name"), CASES)
async def test_the_escape_is_held(
    name: str, pair: Pair, outside: dict[str, object], user: User, victim: subprocess.Popen[bytes]
) -> None:
    assert (await attempt(name, pair, outside, user)).startswith("held"), name
    assert victim.poll() is None
    assert not os.path.exists("/usr/bin/planted-by-devbox")  # noqa: ASYNC240 - one look


@pytest.mark.parametrize("way", ["none"])
@pytest.mark.parametrize("name", CONTROLS)
async def test_without_isolation_the_same_attempt_succeeds(
    name: str, pair: Pair, outside: dict[str, object], way: str
) -> None:
    assert (await attempt(name, pair, outside, "user")).startswith("escaped"), name


@namespaces_only
async def test_a_set_uid_file_of_a_devbox_makes_nobody_root_outside(sandbox: Sandbox, way: str) -> None:
    if way == "none":
        return
    await output(sandbox, "sudo cp /bin/sh /home/user/set-uid && sudo chmod 4755 /home/user/set-uid")
    [disk] = DATA_DIR.glob(f"*/*/sandboxes/{sandbox.id}")
    [file] = disk.rglob("set-uid")
    assert file.stat().st_mode & stat.S_ISUID
    assert file.stat().st_uid != 0 or any(is_closed_to_others(folder) for folder in file.parents)


def is_closed_to_others(folder: Path) -> bool:
    return not folder.stat().st_mode & 0o077


async def test_every_attempt_is_in_a_list() -> None:
    defined = {name for name, value in vars(attempts).items() if getattr(value, "__module__", "") == attempts.__name__}
    assert defined - {"Facts", "call", "read", "write", "_node", "syscall"} == {
        *EVERYWHERE,
        *IN_NAMESPACES,
        *ON_THIS_MACHINE,
        *WITH_OWN_ACCOUNT,
        *WITH_REAL_ACCOUNTS,
    }
