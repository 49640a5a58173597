"""Modification times of files in nanoseconds since 1970: a float of seconds is only exact to about 200 of them."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

_TIME = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,20}))?")
_LATEST = 2**33 * 1_000_000_000
"""A time in the year 2242, which every file system can store."""


def nanoseconds(text: str) -> int | None:
    """Parse a decimal number of seconds as `find`, `stat` and tar write it; None if it is malformed."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        return None
    sign, seconds, fraction = parts.groups()
    return 0 if sign else bounded_time(int(seconds) * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0")))


def bounded_time(modified: int) -> int:
    """A time limited to the range that every file system can store: 1970 to 2242."""
    return min(max(0, modified), _LATEST)


def time_of(path: Path) -> int:
    """The modification time of a local file, or of a link itself."""
    return bounded_time(path.lstat().st_mtime_ns)


def member_time(member: tarfile.TarInfo) -> int:
    """The modification time of a member of an archive; 0 if it is malformed, as an untrusted one may be."""
    recorded = nanoseconds(member.pax_headers.get("mtime", ""))
    if recorded is None:
        recorded = nanoseconds(f"{member.mtime:.9f}")  # "inf" and "nan" are no times
    return recorded or 0
