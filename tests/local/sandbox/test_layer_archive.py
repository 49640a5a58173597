"""Headers that are read without `tarfile` say what it reads in them."""

from __future__ import annotations

import io
import tarfile
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runloop_local.sandbox import layer_archive
from runloop_local.sandbox.layer_archive import LayerError, Member, Source
from tests.local.sandbox.archives import archive, member

NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=6).map("/".join)
TIMES = st.one_of(st.integers(-5, 1 << 34), st.floats(0, 1 << 34, allow_nan=False))
RECORDS = st.dictionaries(
    st.sampled_from(["uname", "SCHILY.xattr.user.a", "atime", "comment", "GNU.sparse.major"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    max_size=3,
)
HEADERS = st.builds(
    lambda path, target, kind, mtime, uid, records: tarfile_info(path, target, kind, mtime, uid, records),
    PATHS,
    PATHS,
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]),
    TIMES,
    st.integers(0, 1 << 33),
    RECORDS,
)


def tarfile_info(
    path: str, target: str, kind: bytes, mtime: float, uid: int, records: dict[str, str]
) -> tuple[tarfile.TarInfo, bytes]:
    content = b"content" if kind == tarfile.REGTYPE else b""
    info, _ = member(path, content, type=kind, mtime=mtime, uid=uid, pax_headers=records)
    info.linkname = target if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return info, content


def read(data: bytes) -> list[Member] | str:
    try:
        return [*layer_archive.members(Source(io.BytesIO(data)))]
    except LayerError as error:
        return str(error)


def read_by_tarfile(data: bytes) -> list[Member] | str:
    with (
        patch.object(layer_archive, "_plain", lambda _block: None),
        patch.object(layer_archive, "_extended", lambda _source, block: (None, block)),
    ):
        return read(data)


@given(st.lists(HEADERS, min_size=1, max_size=4))
def test_members_are_those_that_tarfile_reads(made: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    data = archive(*made)
    found, expected = read(data), read_by_tarfile(data)
    if isinstance(found, str) or isinstance(expected, str):
        assert found == expected
        return
    assert [each._replace(mtime=0) for each in found] == [each._replace(mtime=0) for each in expected]
    lost_by_floats = [abs(each.mtime - other.mtime) for each, other in zip(found, expected, strict=True)]
    assert max(lost_by_floats) < 10_000


@given(st.lists(HEADERS, min_size=1, max_size=2), st.integers(0, 3000), st.integers(0, 255))
def test_a_changed_byte_is_read_as_tarfile_reads_it(
    made: list[tuple[tarfile.TarInfo, bytes]], position: int, byte: int
) -> None:
    data = bytearray(archive(*made))
    data[position % len(data)] = byte
    assert isinstance(read(bytes(data)), list | str)


RECORD_TEXTS = {
    "a length that is too long": b"99 path=a\n",
    "a length that is too short": b"3 path=a\n",
    "no length": b"path=a\n",
    "no name": b"5 a\n\n",
    "no line end": b"9 path=abc",
    "an empty value": b"8 path=\n",
    "an unusual one": b"14 hdrcharset=\n",
    "a length below zero": b"-9 path=a\n",
}


@pytest.mark.parametrize("text", RECORD_TEXTS.values(), ids=RECORD_TEXTS.keys())
def test_unusual_records_are_left_to_tarfile(text: bytes) -> None:
    assert layer_archive._records(text) is None


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (b"1700000000", 1_700_000_000 * 10**9),
        (b"1700000000.5", 1_700_000_000 * 10**9 + 500_000_000),
        (b"1.0000000019", 10**9 + 1),
        (b"99999999999", 0),
        (b"-1", None),
        (b"1e3", None),
        (b"", None),
        (b"9" * 19, None),
    ],
)
def test_times_are_read_to_the_nanosecond(text: bytes, ns: int | None) -> None:
    assert layer_archive._time(text) == ns
