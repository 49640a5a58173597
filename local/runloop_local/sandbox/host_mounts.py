"""The mounts of this machine, read from /proc/self/mountinfo: asking a file system itself may hang for ever."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_TABLE = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_REMOTE = frozenset(
    {"9p", "afs", "autofs", "ceph", "cifs", "coda", "gfs2", "lustre", "ncpfs", "ocfs2", "smb3", "smbfs"}
)


class HostMount(NamedTuple):
    """One mount of this machine."""

    root: str
    folder: str
    kind: str
    options: str
    """The options of the file system, not of the mount."""

    @property
    def may_hang(self) -> bool:
        """True if it depends on a server or on a process, which may not answer."""
        return self.kind.startswith(("fuse", "nfs")) or self.kind in _REMOTE


def table() -> bytes:
    """Read the mount table; raises `OSError` where there is none."""
    return _TABLE.read_bytes()


def parsed(text: bytes) -> list[HostMount]:
    """Parse a mount table. Paths may contain any bytes; lines that are not a mount are skipped."""
    return [mount for line in text.split(b"\n") if (mount := _mount(line)) is not None]


def by_folder() -> dict[str, HostMount]:
    """The visible mount at each mount point; empty where there is no mount table."""
    try:
        return {mount.folder: mount for mount in parsed(table())}
    except OSError:  # another system, or no /proc
        return {}


def hanging() -> frozenset[str]:
    """The mount points of file systems that may hang."""
    return frozenset(folder for folder, mount in by_folder().items() if mount.may_hang)


def _mount(line: bytes) -> HostMount | None:
    before, dash, after = line.partition(b" - ")
    fields, file_system = before.split(b" "), after.split(b" ", 2)
    if not dash or len(fields) < 5 or len(file_system) < 3:
        return None
    return HostMount(*map(_name, (fields[3], fields[4], file_system[0], file_system[2])))


def _name(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), field))
