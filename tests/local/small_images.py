"""Roots of small images, made of this machine's own programs: nothing is downloaded or installed for them."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from runloop_local.sandbox import sudo

SHELL = ("sh",)
_COREUTILS = (
    "cat chmod chown cp cut dd df echo env false head id ln ls mkdir mktemp mv readlink rm rmdir sleep sort stat stty "
    "tail test touch true tty uname wc"
)
_OTHERS = "bash find getent grep gzip hostname sed setpriv tar unshare"
COREUTILS = tuple(_COREUTILS.split(" "))
PROGRAMS = (*SHELL, *COREUTILS, *_OTHERS.split(" "))
_PATH = "/usr/local/bin:/usr/bin:/bin"


@cache
def _libraries(program: str) -> tuple[str, ...]:
    """The libraries that a program of this machine needs, its loader included."""
    found = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return tuple(re.findall(r"(/\S+) \(0x", found))


def make_root(root: Path, programs: Iterable[str] = PROGRAMS) -> Path:
    """A folder with these programs of this machine and what they need, and the account files of a small system."""
    for folder in ("bin", "etc", "lib64", "usr/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in programs:
        if (found := shutil.which(name, path=_PATH)) is not None:
            _copy(Path(found).resolve(), root / "bin" / name)
            for library in _libraries(found):
                _copy(Path(library).resolve(), root / library.lstrip("/"))
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1500:1600::/srv/app:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nteam:x:1600:\nmore:x:1700:app\n")
    (root / "etc/os-release").write_text('PRETTY_NAME="Small"\n')
    return root


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copyfile(source, target)
        target.chmod(0o755)


def hello(text: str) -> bytes:
    """A static program of this machine's kind that prints a text and ends: what an image `FROM scratch` holds."""
    data = text.encode()
    if os.uname().machine == "x86_64":
        code = b"\xbf\x01\x00\x00\x00\x48\x8d\x35" + struct.pack("<i", 21) + b"\xba" + struct.pack("<I", len(data))
        code += b"\xb8\x01\x00\x00\x00\x0f\x05\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"
        return sudo._headers(62, sudo._HEADERS + len(code) + len(data)) + code + data
    words = [0xD2800020, 0x100000E1, 0xD2800002 | len(data) << 5, 0xD2800808, 0xD4000001, 0xD2800000, 0xD2800BA8]
    code = struct.pack("<8I", *words, 0xD4000001)
    return sudo._headers(183, sudo._HEADERS + len(code) + len(data)) + code + data


def place(root: Path, layers: Path, name: str, shift: int) -> str:
    """Put a root among the layers of an isolation, as an image that was pulled; `shift` is added to all owners."""
    layer = layers / name
    shutil.copytree(root, layer / "@", symlinks=True)
    if shift:
        for path in [layer / "@", *(layer / "@").rglob("*")]:
            os.chown(path, shift, shift, follow_symlinks=False)
    return name


def packed(root: Path) -> bytes:
    """A root as the archive of a layer, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(root, arcname=".", filter=_owned_by_root)
    return buffer.getvalue()


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    return info
