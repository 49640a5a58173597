"""Tar archives made by hand, as layers of images have them."""

from __future__ import annotations

import io
import os
import tarfile

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, data: bytes = b"", /, **attributes: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 1_000_000_000
    info.mode = 0o644
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def folder(name: str, mode: int = 0o755, **attributes: object) -> Member:
    return member(name, type=tarfile.DIRTYPE, mode=mode, **attributes)


def link(name: str, target: str) -> Member:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> Member:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def device(name: str, major: int = 1, minor: int = 3) -> Member:
    return member(name, type=tarfile.CHRTYPE, devmajor=major, devminor=minor)


def archive(*members: Member) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as out:
        for info, data in members:
            out.addfile(info, io.BytesIO(data))
    return file.getvalue()


def write_all(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]
