"""The service's start does not depend on what else this machine has mounted, and how that is called."""

import os
import sys
from pathlib import Path

import pytest

from runloop_local.sandbox.host_mounts import HostMount, parsed
from tests.local.api import connect
from tests.local.sandbox.odd_mounts import FOLDER, KINDS
from tests.local.serving import serving

needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or not os.path.exists("/dev/fuse"), reason="mounts file systems"
)

LINES: dict[str, tuple[bytes, HostMount | None]] = {
    "usual": (b"36 35 98:0 / /mnt rw,noatime - ext3 /dev/root rw", HostMount("/", "/mnt", "ext3", "rw")),
    "with fields": (b"36 35 98:0 /a /b rw master:1 x - nfs4 h:/ rw,v=4", HostMount("/a", "/b", "nfs4", "rw,v=4")),
    "escaped": (rb"1 1 0:1 / /a\040b\134c\011d\012e rw - tmpfs x rw", HostMount("/", "/a b\\c\td\ne", "tmpfs", "rw")),
    "no text": (b"1 1 0:1 / /a\xff rw - tmpfs x rw", HostMount("/", "/a\udcff", "tmpfs", "rw")),
    "line ends of others": (
        b"1 1 0:1 / /a\x0b\x1c\xc2\x85b rw - tmpfs x rw",
        HostMount("/", "/a\x0b\x1c\x85b", "tmpfs", "rw"),
    ),
    "no source": (b"1 1 0:1 / /a rw - tmpfs  rw", HostMount("/", "/a", "tmpfs", "rw")),
    "empty": (b"", None),
    "cut short": (b"1 1 0:1 / /a rw - tmp", None),
    "no dash": (b"1 1 0:1 / /a rw tmpfs x rw", None),
    "few fields": (b"1 1 - tmpfs x rw", None),
}


@pytest.mark.parametrize(("line", "expected"), LINES.values(), ids=LINES)
def test_a_line_of_the_table(line: bytes, expected: HostMount | None) -> None:
    usual, mount = LINES["usual"]
    assert parsed(b"\n".join([usual, line, usual, b""])) == [mount, *([] if expected is None else [expected]), mount]


@pytest.mark.parametrize(
    ("kind", "may_hang"),
    [("ext4", False), ("overlay", False), ("tmpfs", False), ("fuse.sshfs", True), ("nfs4", True), ("9p", True)],
)
def test_what_may_never_answer(kind: str, may_hang: bool) -> None:
    assert HostMount("/", "/x", kind, "").may_hang is may_hang


@needs_root
@pytest.mark.parametrize(
    ("kind", "isolation"),
    [*((kind, "namespaces") for kind in KINDS), ("hanging", "process"), ("a line separator", "process")],
)
async def test_the_service_starts_beside_an_odd_mount(tmp_path: Path, kind: str, isolation: str) -> None:
    odd = (sys.executable, "-m", "tests.local.sandbox.odd_mounts", kind)
    with serving(tmp_path / "data", "--isolation", isolation, before=odd) as service:
        async with connect(service) as api:
            devbox = await api.create()
            assert (await api.execute(devbox, "echo runs"))["stdout"] == "runs\n"
            if isolation == "namespaces":
                assert (await api.execute(devbox, f"cat {FOLDER}/seen; ls -A {FOLDER}/*/"))["stdout"].startswith("seen")
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
