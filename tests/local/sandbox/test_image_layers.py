"""Layers of images: unpacked as devboxes see them, and hostile ones to nobody's harm."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import struct
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runloop_local.sandbox import Isolation
from runloop_local.sandbox.base import ImageLayers, LayerRefused, Unpacked
from runloop_local.sandbox.drivers import FIRST_UID_ON_DISK
from tests.local.sandbox.archives import Member, archive, device, folder, hard_link, link, member, write_all
from tests.local.sandbox.conftest import DATA_DIR, MakeSandbox, namespaces_only, output
from tests.local.small_images import make_root, place

pytestmark = [namespaces_only, pytest.mark.asyncio(loop_scope="session")]

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
"""cap_net_bind_service, effective, as an archive has it."""


def layers_of(isolation: Isolation) -> ImageLayers:
    if isolation.image_layers is None:
        pytest.skip("this machine offers no namespaces")  # and says so: see test_choice
    return isolation.image_layers


async def unpack(isolation: Isolation, data: bytes, *, max_bytes: int = 1 << 30, max_members: int = 10_000) -> Unpacked:
    async def feed(target: int) -> None:
        await asyncio.to_thread(write_all, target, data)

    name = f"img-{secrets.token_hex(8)}"
    return await layers_of(isolation).unpack(name, feed, max_bytes=max_bytes, max_members=max_members)


async def layer(isolation: Isolation, *members: Member, below: tuple[str, ...] = ()) -> str:
    """Unpack and keep a layer; returns its name."""
    unpacked = await unpack(isolation, archive(*members))
    name = unpacked.folder.partition(".")[0]
    await layers_of(isolation).keep(unpacked, name, below)
    return name


@pytest.fixture
def programs(way: str, tmp_path: Path) -> str:
    """A layer with a shell and what lists files, and the folder that root's commands begin in."""
    layers, shift = DATA_DIR / way / way / "layers", FIRST_UID_ON_DISK if way == "idmapped" else 0
    root = make_root(tmp_path / "root")
    (root / "root").mkdir()
    return place(root, layers, f"img-{secrets.token_hex(8)}", shift)


def on_disk(way: str, name: str) -> Path:
    return DATA_DIR / way / way / "layers" / name / "@"


async def test_a_devbox_sees_the_files_of_layers_but_not_what_a_higher_one_hides(
    isolation: Isolation, make: MakeSandbox, programs: str
) -> None:
    lower = await layer(
        isolation,
        folder("data"),
        member("data/a", b"a"),
        member("data/kept", b"kept"),
        folder("data/opaque"),
        member("data/opaque/old", b"old"),
        folder("data/gone"),
        member("data/gone/x"),
        folder("data/renewed"),
        member("data/renewed/old"),
        member("data/file"),
    )
    upper = await layer(
        isolation,
        folder("data"),
        member("data/.wh.a"),
        member("data/.wh.gone"),
        folder("data/opaque"),
        member("data/opaque/new", b"new"),
        member("data/opaque/.wh..wh..opq"),
        member("data/.wh.renewed"),
        folder("data/renewed"),
        member("data/renewed/new"),
        member("data/.wh..wh.plnk"),
        member("data/file/inner"),
        below=(lower,),
    )
    sandbox = await make(layers=(upper, lower, programs))
    found = await output(sandbox, "cd /data && find . | sort", user="root")
    assert found.split() == [
        ".",
        "./file",
        "./file/inner",
        "./kept",
        "./opaque",
        "./opaque/new",
        "./renewed",
        "./renewed/new",
    ]


async def test_owners_modes_links_times_and_attributes_are_those_of_the_archive(
    isolation: Isolation, make: MakeSandbox, way: str, programs: str
) -> None:
    xattr = {"SCHILY.xattr.user.note": "hello", "SCHILY.xattr.user.overlay.opaque": "y"}
    name = await layer(
        isolation,
        folder("data", 0o1777),
        member("data/mine", b"x", uid=1000, gid=1000, mode=0o640),
        member("data/tool", b"x", mode=0o4755),
        hard_link("data/same", "data/tool"),
        link("data/absolute", "/data/mine"),
        member("data/noted", pax_headers=xattr),
        member("data/pipe", type=tarfile.FIFOTYPE, mode=0o600),
        member("data/ümlaut-\udcff", b"x"),
    )
    sandbox = await make(layers=(name, programs))
    listed = await output(sandbox, "cd /data && stat -c '%n %a %h %Y' . mine tool same noted pipe", user="root")
    assert listed.splitlines() == [
        ". 1777 2 1000000000",
        "mine 640 1 1000000000",
        "tool 4755 2 1000000000",
        "same 4755 2 1000000000",
        "noted 644 1 1000000000",
        f"pipe 600 1 {(await output(sandbox, 'stat -c %Y /data/pipe', user='root'))}",
    ]
    assert await output(sandbox, "cat /data/absolute", user="root") == "x"
    if way != "unprivileged":  # all files belong to one account there
        assert await output(sandbox, "stat -c '%u %g' /data/mine /data/tool", user="root") == "1000 1000\n0 0"
    noted = on_disk(way, name) / "data/noted"
    assert (os.getxattr(noted, "user.note"), os.listxattr(noted)) == (b"hello", ["user.note"])
    assert b"\xc3\xbcmlaut-\xff" in os.listdir(os.fsencode(on_disk(way, name) / "data"))


async def test_file_capabilities_are_granted_by_the_devbox_s_root_only(isolation: Isolation, way: str) -> None:
    text = CAPABILITY.decode("utf-8", "surrogateescape")
    name = await layer(isolation, member("tool", pax_headers={"SCHILY.xattr.security.capability": text}))
    found = os.listxattr(on_disk(way, name) / "tool")
    if way == "unprivileged":
        assert found == []
    else:
        value = os.getxattr(on_disk(way, name) / "tool", "security.capability")
        shifted = struct.pack("<I", 0x03000001) + CAPABILITY[4:] + struct.pack("<I", 100_000)
        assert value == (shifted if way == "idmapped" else CAPABILITY)


async def test_folders_that_a_layer_does_not_describe_are_as_those_below(isolation: Isolation, way: str) -> None:
    lowest = await layer(isolation, folder("shared", 0o1777), folder("shared/secret", 0o700, uid=33, gid=33))
    middle = await layer(isolation, folder("other"), below=(lowest,))
    unpacked = await unpack(isolation, archive(member("shared/secret/x"), member("new/x")))
    assert unpacked.implied == ("shared", "shared/secret", "new")
    name = unpacked.folder.partition(".")[0]
    await layers_of(isolation).keep(unpacked, name, (middle, lowest))
    root, wanted = on_disk(way, name), on_disk(way, lowest)
    for path in ("shared", "shared/secret"):
        assert access(root / path) == access(wanted / path)
    assert stat.S_IMODE((root / "new").stat().st_mode) == 0o755


def access(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


async def test_zeros_and_holes_take_no_room(isolation: Isolation, way: str) -> None:
    data = bytes(8 << 20)
    name = await layer(isolation, member("zeros", data), member("end", b"x" + data), member("data", b"x" * 4096))
    root = on_disk(way, name)
    assert [(root / file).stat().st_size for file in ("zeros", "end")] == [8 << 20, (8 << 20) + 1]
    assert (root / "zeros").stat().st_blocks * 512 < 1 << 20
    assert (root / "end").read_bytes() == b"x" + data


@pytest.mark.parametrize("form", ["gnu", "posix"])
async def test_a_sparse_file_is_what_it_was(isolation: Isolation, way: str, tmp_path: Path, form: str) -> None:
    data = await asyncio.to_thread(sparse_archive, tmp_path, form)
    unpacked = await unpack(isolation, data)
    found = on_disk(way, unpacked.folder) / "holes"
    assert found.read_bytes() == (tmp_path / "holes").read_bytes()
    assert found.stat().st_blocks * 512 < 1 << 20
    await layers_of(isolation).discard(unpacked.folder)


def sparse_archive(scratch: Path, form: str) -> bytes:
    with (scratch / "holes").open("wb") as target:
        for offset in (1 << 20, 5 << 20):
            target.seek(offset)
            target.write(b"data")
        target.truncate(9 << 20)
    argv = ["tar", "-C", str(scratch), f"--format={form}", "--sparse", "-cf", "-", "holes"]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout


REPLACED: Mapping[str, tuple[Member, ...]] = {
    "file by file": (member("a", b"1"), member("a", b"22")),
    "folder by file": (folder("a"), member("a/x"), folder("a/y"), member("a/y/z"), member("a", b"22")),
    "link by file": (link("a", "/b"), member("b", b"keep"), member("a", b"22")),
    "file by link to it": (member("b", b"22"), member("a", b"1"), hard_link("a", "b")),
    "itself by a link": (member("a", b"22"), hard_link("a", "a")),
    "pipe by file": (member("a", type=tarfile.FIFOTYPE), member("a", b"22")),
    "file by folder by file": (member("a", b"1"), folder("a"), member("a", b"22")),
    "hidden, then there": (member(".wh.a"), member("a", b"22")),
    "there, then hidden below": (member("a", b"22"), member(".wh.a")),
}


@pytest.mark.parametrize("members", REPLACED.values(), ids=REPLACED)
async def test_the_last_of_one_name_counts(isolation: Isolation, way: str, members: tuple[Member, ...]) -> None:
    name = await layer(isolation, *members)
    assert (on_disk(way, name) / "a").read_bytes() == b"22"


async def test_a_symbolic_link_leads_within_the_layer_only(isolation: Isolation, way: str, tmp_path: Path) -> None:
    name = await layer(
        isolation,
        link("out", str(tmp_path)),
        folder(str(tmp_path)),
        member("out/planted", b"x"),
        link("up", "../../../../../../../.."),
        member("up/etc-of-layer", b"x"),
        member("/absolute", b"x"),
    )
    root = on_disk(way, name)
    assert os.listdir(tmp_path) == []
    assert (root / str(tmp_path)[1:] / "planted").read_bytes() == b"x"
    assert {"etc-of-layer", "absolute"} <= {path.name for path in root.iterdir()}


HOSTILE: Mapping[str, tuple[tuple[Member, ...], str]] = {
    "leads out": ((member("../x"),), "'../x', which leads out of it"),
    "leads out in the middle": ((member("a/../../x"),), "which leads out of it"),
    "hard link out": ((hard_link("a", "../../etc/passwd"),), "which leads out of it"),
    "hard link to a file of this machine": ((hard_link("a", "/etc/passwd"),), "'etc/passwd', which is not in it"),
    "hard link to a folder": ((folder("a"), hard_link("b", "a")), "a hard link to the folder 'a'"),
    "hard link through a link": ((link("e", "/etc"), hard_link("a", "e/passwd")), "'e/passwd', which is not in it"),
    "file as parent": ((member("a"), member("a/b")), "has files in 'a', which is no folder"),
    "link to a file as parent": ((member("f"), link("a", "f"), member("a/b")), "in 'a', which is no folder"),
    "link to nothing as parent": ((link("a", "/proc/self/root"), member("a/b")), "in 'a', a link to nothing"),
    "link to itself as parent": ((link("a", "a"), member("a/b")), "cannot be unpacked: Too many levels of symbolic"),
    "root that is a file": ((member("./"),), "has a root that is no folder"),
    "root that is hidden": ((member(".wh..wh..opq"),), "hides all layers below it"),
    "hides the folder itself": ((member("a/.wh.."),), "which hides no name"),
    "hides the folder above": ((member("a/.wh..."),), "leads out of it"),
    "unknown type": ((member("a", type=b"Z"),), "of an unknown type"),
    "long name": ((member("a" * 300),), "cannot be unpacked: File name too long"),
    "long path": ((member("a/" * 3000 + "a"),), "has a name that no file can have"),
    "long header": ((member("a", pax_headers={"comment": "x" * (2 << 20)}),), "has a header that is too long"),
    "name with NUL": ((member("x", pax_headers={"path": "a\0b"}),), "has a name that no file can have"),
    "negative size": ((member("x", pax_headers={"size": "-512"}),), "has 'x' with a size below zero"),
}


@pytest.mark.parametrize(("members", "reason"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_layer_is_refused_and_leaves_nothing(
    isolation: Isolation, members: tuple[Member, ...], reason: str
) -> None:
    before = layers_of(isolation).unfinished()
    with pytest.raises(LayerRefused) as told:
        await unpack(isolation, archive(*members))
    assert reason in str(told.value)
    assert layers_of(isolation).unfinished() == before


BROKEN: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut in a file": (lambda data: data[:700], "ends within 'a'"),
    "cut in a header": (lambda data: data[:100], "is no tar archive"),
    "no archive": (lambda data: b"x" * 4096, "is no tar archive"),
    "wrong second header": (lambda data: data[:2048] + b"x" * 4096, "is no tar archive"),
}


@pytest.mark.parametrize(("change", "reason"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_layer_is_refused(isolation: Isolation, change: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(LayerRefused) as told:
        await unpack(isolation, change(archive(member("a", b"x" * 1000), member("b"))))
    assert reason in str(told.value)


@pytest.mark.parametrize(
    ("max_bytes", "max_members", "reason"),
    [(99, 10, "more than 99 bytes of files"), (1000, 2, "more than 2 files")],
    ids=["bytes", "members"],
)
async def test_a_layer_beyond_the_limits_is_refused(
    isolation: Isolation, max_bytes: int, max_members: int, reason: str
) -> None:
    data = archive(member("a", b"x" * 50), member("b/c", b"x" * 50))
    with pytest.raises(LayerRefused) as told:
        await unpack(isolation, data, max_bytes=max_bytes, max_members=max_members)
    assert reason in str(told.value)


async def test_what_a_devbox_cannot_have_is_left_out_and_counted(isolation: Isolation, way: str) -> None:
    trusted = {"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.security.selinux": "x"}
    data = archive(
        folder("dev"),
        device("dev/null"),
        device("whiteout", 0, 0),
        member("foreign", uid=10_000_000),
        member("labelled", pax_headers=trusted),
    )
    unpacked = await unpack(isolation, data)
    owners = {} if way == "unprivileged" else {"owners": 1}
    assert unpacked.left_out == {"devices": 2, "attributes": 2, **owners}
    root = on_disk(way, unpacked.folder)
    assert {path.name for path in root.iterdir()} == {"dev", "foreign", "labelled"}
    assert os.listxattr(root / "labelled") == []
    await layers_of(isolation).discard(unpacked.folder)


async def test_a_feed_that_fails_says_why_and_leaves_nothing(isolation: Isolation) -> None:
    async def feed(target: int) -> None:
        os.write(target, archive(member("a", b"x" * 1000))[:700])
        raise ValueError("not that one")

    with pytest.raises(ValueError, match="not that one"):
        await layers_of(isolation).unpack("img-failing", feed, max_bytes=1 << 20, max_members=10)
    assert not [name for name in layers_of(isolation).unfinished() if name.startswith("img-failing")]


async def test_an_unpack_that_is_cancelled_leaves_nothing(isolation: Isolation) -> None:
    started = asyncio.Event()

    async def feed(target: int) -> None:
        os.write(target, archive(member("a", b"x" * 1000))[:700])
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(layers_of(isolation).unpack("img-cut", feed, max_bytes=1 << 20, max_members=10))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [name for name in layers_of(isolation).unfinished() if name.startswith("img-cut")]


async def test_a_removed_layer_is_gone(isolation: Isolation) -> None:
    name = await layer(isolation, folder("a", 0), member("a/b", mode=0))
    assert name in layers_of(isolation).names()
    await layers_of(isolation).remove(name)
    assert name not in layers_of(isolation).names()
    assert not [left for left in layers_of(isolation).unfinished() if left.startswith(name)]
