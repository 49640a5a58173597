"""Each devbox of a service that is root has user ids of its own, so that what the kernel counts by user is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runloop_local.sandbox import User, uid_ranges
from runloop_local.sandbox.uid_ranges import SIZE, UidRanges

from .conftest import (
    DATA_DIR,
    LANDLOCK,
    NAMESPACES,
    MakeSandbox,
    marker,
    open_way,
    output,
    processes_with,
    run,
    spawned,
)

IDMAPPED = [way for way in NAMESPACES if way == "idmapped"]
FIRST, SECOND, THIRD = uid_ranges._RANGES[:3]


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder


def ranges(tmp_path: Path, accounts: Path) -> UidRanges:
    return UidRanges(tmp_path / "locks", accounts)


def test_a_range_is_taken_once_and_again_when_it_was_given_back(tmp_path: Path, accounts: Path) -> None:
    some = ranges(tmp_path, accounts)
    assert [some.take(), some.take()] == [FIRST, SECOND]
    some.release(FIRST)
    assert [some.take(), some.take()] == [FIRST, THIRD]


def test_another_service_has_other_ranges(tmp_path: Path, accounts: Path) -> None:
    some = ranges(tmp_path, accounts)
    some.take()
    assert taken_by_another(tmp_path, accounts) == SECOND
    some.release(FIRST)
    assert taken_by_another(tmp_path, accounts) == FIRST


def taken_by_another(tmp_path: Path, accounts: Path) -> int:
    code = (
        "import pathlib, sys; from runloop_local.sandbox.uid_ranges import UidRanges;"
        "print(UidRanges(*map(pathlib.Path, sys.argv[1:])).take())"
    )
    return int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path / "locks"), str(accounts)]))


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("passwd", f"a:x:{FIRST}:0::/:/bin/sh", SECOND),
        ("passwd", f"a:x:{FIRST + SIZE - 1}:0::/:/bin/sh", SECOND),
        ("passwd", f"a:x:{FIRST - 1}:0::/:/bin/sh", FIRST),
        ("group", f"a:x:{FIRST + 5}:", SECOND),
        ("subuid", f"a:{FIRST - 1}:2", SECOND),
        ("subuid", f"a:{FIRST - 65536}:65536", FIRST),
        ("subgid", f"a:0:{FIRST + SIZE + 1}", THIRD),
        ("subuid", f"a:{FIRST}", FIRST),
        ("passwd", "nonsense", FIRST),
        ("passwd", "a:x:what:0", FIRST),
    ],
)
def test_what_an_account_of_this_machine_has_is_not_taken(
    tmp_path: Path, accounts: Path, file: str, line: str, expected: int
) -> None:
    (accounts / file).write_text(f"{line}\n")
    assert ranges(tmp_path, accounts).take() == expected


def test_no_range_is_left(tmp_path: Path, accounts: Path) -> None:
    (accounts / "subuid").write_text(f"a:{FIRST}:{0x7FFFFFFF - FIRST}\n")
    with pytest.raises(OSError, match="all ranges of user ids"):
        ranges(tmp_path, accounts).take()


FLY = """
import array, os, resource, socket, sys, time
many, limit, seconds = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
file, pairs = os.open("/dev/null", 0), []
try:
    for _ in range(many):
        pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        pairs[-1][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file] * 100))])
except OSError as error:
    print(error.strerror, flush=True)
else:
    print("all", flush=True)
time.sleep(seconds)
"""


async def neighbour_of_descriptors_in_flight(make: MakeSandbox, user: User) -> str:
    """What becomes of 100 descriptors in flight beside a devbox with 2,000, where the account has a limit of 150."""
    sandbox, neighbour = await make(), await make()
    async with spawned(sandbox, ("python3", "-c", FLY, "20", "4000", "1000"), user=user) as line:
        assert line == "all"
        return (await run(neighbour, ("python3", "-c", FLY, "1", "150", "0"), user=user)).out.strip()


@pytest.mark.parametrize("way", IDMAPPED or ["none"], scope="session")
@pytest.mark.parametrize("user", ["user", "root"])
@pytest.mark.asyncio(loop_scope="session")
async def test_descriptors_in_flight_are_counted_for_each_devbox(make: MakeSandbox, way: str, user: User) -> None:
    if way != "none":
        assert await neighbour_of_descriptors_in_flight(make, user) == "all"


@pytest.mark.parametrize("way", ["none"], scope="session")
@pytest.mark.asyncio(loop_scope="session")
async def test_without_isolation_descriptors_in_flight_are_counted_together(make: MakeSandbox, way: str) -> None:
    assert await neighbour_of_descriptors_in_flight(make, "user") == "Too many references: cannot splice"


WATCH = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
print(sum(libc.inotify_init1(0) >= 0 for _ in range(100)), flush=True)
time.sleep(int(sys.argv[1]))
"""


@pytest.mark.parametrize("way", IDMAPPED or ["none"], scope="session")
@pytest.mark.asyncio(loop_scope="session")
async def test_inotify_instances_are_counted_for_each_devbox(make: MakeSandbox, way: str) -> None:
    """Most machines let an account have 128."""
    if way == "none":
        return
    sandbox, neighbour = await make(), await make()
    async with spawned(sandbox, ("python3", "-c", WATCH, "1000")) as line:
        assert line == "100"
        assert await output(neighbour, ("python3", "-c", WATCH, "0")) == "100"


@pytest.mark.parametrize("way", IDMAPPED or ["none"], scope="session")
@pytest.mark.asyncio(loop_scope="session")
async def test_processes_of_two_devboxes_never_have_the_same_user(make: MakeSandbox, way: str) -> None:
    if way == "none":
        return
    owners = []
    for sandbox in (await make(), await make()):
        mark = marker()
        code = "import time; print('up', flush=True); time.sleep(1000)"
        async with spawned(sandbox, ("python3", "-c", code, mark), user="root"):
            [pid] = processes_with(mark)
            owners.append(os.stat(f"/proc/{pid}").st_uid)
    assert len({*owners}) == 2
    assert all(owner in uid_ranges._RANGES for owner in owners)


@pytest.mark.parametrize("way", IDMAPPED or ["none"], scope="session")
@pytest.mark.asyncio(loop_scope="session")
async def test_disks_keep_the_owners_that_earlier_versions_gave_them(make: MakeSandbox, way: str) -> None:
    """A devbox's account N is 100000 + N on the disk, whatever range it has today."""
    if way == "none":
        return
    first, second = await make(), await make()
    for sandbox in (first, second):
        await output(sandbox, "touch mine && sudo touch /srv/roots && sudo chown daemon /home/user/mine")
        [disk] = DATA_DIR.glob(f"*/*/sandboxes/{sandbox.id}/upper")
        owners = {path.name: path.stat().st_uid for path in (*disk.rglob("mine"), *disk.rglob("roots"))}
        assert owners == {"mine": 100_001, "roots": 100_000}
        await sandbox.stop()
    holder = await make()  # takes a range that one of them had
    for sandbox in (first, second):
        await sandbox.start()
        assert await output(sandbox, "stat -c %U mine /srv/roots") == "daemon\nroot"
    assert await output(holder, "stat -c %U /home/user") == "user"


if os.getuid() == 0 and LANDLOCK:  # any other account is the only one that it can give

    @pytest.mark.parametrize("way", LANDLOCK, scope="session")
    @pytest.mark.asyncio(loop_scope="session")
    async def test_behind_landlock_each_devbox_of_root_has_an_account_of_its_own(make: MakeSandbox, way: str) -> None:
        accounts = [await output(sandbox, "id -u; id -G") for sandbox in (await make(), await make())]
        assert len({*accounts}) == 2
        for account in accounts:
            user, group = account.split("\n")
            assert user == group
            assert int(user) in uid_ranges._RANGES

    @pytest.mark.parametrize("earlier", ["landlock", "none"])
    @pytest.mark.asyncio(loop_scope="session")
    async def test_a_disk_is_given_to_the_account_of_today(tmp_path: Path, earlier: str) -> None:
        """Its last one may be another devbox's now, and earlier versions knew root only."""
        isolation = open_way(earlier, tmp_path)
        sandbox = await isolation.create("box")
        await sandbox.start()
        await output(sandbox, "mkdir -p a/b && echo kept > a/b/c && ln -s /etc/hostname link")
        await sandbox.stop()
        owner = os.lstat("/etc/hostname").st_uid
        first = open_way("landlock", tmp_path)
        holder = await first.create("holder")
        os.chown(
            tmp_path / "process/sandboxes/holder/disk", *[os.stat(tmp_path / "process/sandboxes/box/disk").st_uid] * 2
        )
        await holder.start()  # with the account that the disk has had
        again = await first.create("box")
        await again.start()
        assert (
            await output(again, "echo more >> a/b/c && cat a/b/c && stat -c %u . a/b/c | uniq | wc -l")
            == "kept\nmore\n1"
        )
        assert await output(again, "id -u") != await output(holder, "id -u")
        assert os.lstat("/etc/hostname").st_uid == owner
        await first.aclose()
        await isolation.aclose()


def test_root_has_ranges_where_mounts_can_be_mapped() -> None:
    assert IDMAPPED or os.getuid() or not NAMESPACES or "root" in NAMESPACES
