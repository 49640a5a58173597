"""When files were changed, to the nanosecond: floats of seconds since 1970 tell 200 of them apart only."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

_TIME = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,20}))?")
_LATEST = 2**33 * 1_000_000_000
"""File systems differ in how far they go."""


def nanoseconds(text: str) -> int | None:
    """A time in seconds with its fraction, as `find`, `stat` and tar write it; None for what is none."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        return None
    sign, seconds, fraction = parts.groups()
    return 0 if sign else bounded_time(int(seconds) * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0")))


def bounded_time(modified: int) -> int:
    """Nanoseconds as every file system takes them: from 1970 on, for some 270 years."""
    return min(max(0, modified), _LATEST)


def time_of(path: Path) -> int:
    """When a file here was changed, or the link itself."""
    return bounded_time(path.lstat().st_mtime_ns)


def member_time(member: tarfile.TarInfo) -> int:
    """When a member of an archive was changed; a stranger's may be any number, or none."""
    told = nanoseconds(member.pax_headers.get("mtime", ""))
    if told is None:
        told = nanoseconds(f"{member.mtime:.9f}")  # "inf" and "nan" are no times
    return told or 0
