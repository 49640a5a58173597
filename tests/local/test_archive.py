"""Archives of strangers: what they hold is read, and whatever one asks for, it gets no more than the limits allow."""

import gzip
import io
import lzma
import os
import random
import tarfile
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from runloop_local.engine.storage.archive import Archive, ArchiveLimits, CopyRequest, FileAttributes, save

LIMITS = ArchiveLimits(bytes=4 << 20, members=1000)
MB = 1 << 20


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """One header, whose size is what is said."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT)


def file(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + bytes(-len(data) % 512)


def xz_with_dictionary(exponent: int) -> bytes:
    """A whole xz file whose header asks for a dictionary of 2**exponent bytes."""
    made = bytearray(lzma.compress(file("a", b"A")))
    end = 12 + (made[12] + 1) * 4 - 4  # of the block's header, before its checksum
    made[16] = 2 * (exponent - 12)
    made[end : end + 4] = zlib.crc32(made[12:end]).to_bytes(4, "little")
    return bytes(made)


def general(number: int) -> bytes:
    """A header of 32,000 bytes that holds for all members after it."""
    records = b"".join(b"32 k%06d.%04d=0123456789abcde\n" % (number, each) for each in range(1000))
    return header("g", len(records), tarfile.XGLTYPE) + records + bytes(-len(records) % 512)


END = bytes(1024)
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb": (lambda: gzip.compress(file("a", bytes(40 * MB))), "more than 4,194,304 bytes"),
    "a bomb without files": (lambda: gzip.compress(bytes(40 * MB), 9), "more than 4,194,304 bytes"),
    "links that multiply": (
        lambda: file("a", bytes(MB)) + b"".join(header(f"{n}", 0, tarfile.LNKTYPE, "a") for n in range(9)) + END,
        "more than 4,194,304 bytes",
    ),
    "too many members": (lambda: b"".join(header(f"{n}") for n in range(1002)) + END, "more than 1,000 members"),
    "members of one name": (lambda: header("a") * 1002 + END, "more than 1,000 members"),
    "names of one member": (lambda: b"".join(header("./" * n + "a") for n in range(48)) * 21 + END, "more than 1,000"),
    "general headers without end": (
        lambda: b"".join(general(number) + file(f"{number}", b"") for number in range(200)) + END,
        "too many general headers",
    ),
    "a header that fills memory": (lambda: header("a", 40 * MB, tarfile.XHDTYPE) + bytes(40 * MB), "too long"),
    "a name that fills memory": (lambda: header("a", 40 * MB, tarfile.GNUTYPE_LONGNAME) + bytes(40 * MB), "too long"),
    "headers of headers": (lambda: header("a", 0, tarfile.XHDTYPE) * 5000 + END, "cannot be read"),
    "a file beyond the end": (lambda: header("a", 1 << 40) + END, "ends within 'a'"),
    "an end too early": (lambda: gzip.compress(file("a", b"A") + END)[:-9], "cannot be read"),
    "xz that takes memory": (lambda: xz_with_dictionary(31), "cannot be read"),
    "xz with an end too early": (lambda: lzma.compress(file("a", b"A") + END)[:-20], "cannot be read"),
    "a link to nothing": (lambda: header("a", 0, tarfile.LNKTYPE, "b") + END, "'a' is a link to nothing"),
    "a name that leads out": (lambda: file("../a", b"A") + END, "leaves the build context"),
    "a sparse file": (lambda: header("a", 0, tarfile.GNUTYPE_SPARSE) + END, "sparse"),
    "no archive": (lambda: b"no archive" * 1000, "cannot be read"),
    "nothing": (lambda: b"", "cannot be read"),
}


def opened(tmp_path: Path, content: bytes) -> Archive:
    (tmp_path / "archive").write_bytes(content)
    return Archive.open(tmp_path / "archive", tmp_path, LIMITS)


@pytest.mark.parametrize("case", HOSTILE)
def test_an_archive_gets_no_more_than_the_limits(tmp_path: Path, case: str) -> None:
    make, sentence = HOSTILE[case]
    content = make()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=sentence):
            opened(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 16 * MB, "what xz needs by itself is 8"
    finally:
        tracemalloc.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_an_archive_within_is_bounded_too(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    bomb = gzip.compress(file("x", bytes(8 * MB)) + END)
    with closing(opened(tmp_path, compress(file("a.tgz", bomb) + END))) as archive:
        assert archive.is_archive("a.tgz")
        with pytest.raises(ValueError, match="more than 4,194,304 bytes"):
            archive.send(CopyRequest({"a.tgz": "a.tgz"}, attributes=FileAttributes(unpack=True)), io.BytesIO())


@pytest.mark.parametrize("way", ["its end", "somebody keeps it open", "too much", "too much without end"])
def test_what_a_program_prints_is_saved_as_far_as_it_may_go(tmp_path: Path, way: str) -> None:
    (read, write), (over, ended) = os.pipe(), os.pipe()
    printed = b"x" * (LIMITS.bytes + (1 if "too much" in way else 0))

    def print_all() -> None:
        with suppress(BrokenPipeError):
            for start in range(0, len(printed), 65536):
                os.write(write, printed[start : start + 65536])
            while way == "too much without end":
                os.write(write, b"y" * 65536)
        if way == "somebody keeps it open":
            os.close(ended)
        else:
            os.close(write)

    program = threading.Thread(target=print_all)
    program.start()
    try:
        if "too much" in way:
            with pytest.raises(ValueError, match="more than 4,194,304 bytes"):
                save(read, over, tmp_path / "saved", LIMITS)
            assert (tmp_path / "saved").stat().st_size <= LIMITS.bytes
        else:
            save(read, over, tmp_path / "saved", LIMITS)
            assert (tmp_path / "saved").read_bytes() == printed
    finally:
        program.join()
        os.close(write if way == "somebody keeps it open" else ended)


def sent(archive: Archive, **style: Any) -> dict[str, tuple[bytes, str, bytes | None]]:
    """All that an archive gives: by name the type, where a link leads, and the content."""
    sink = io.BytesIO()
    archive.send(CopyRequest({name: name for name in archive.tree().names}, attributes=FileAttributes(**style)), sink)
    sink.seek(0)
    with tarfile.open(fileobj=sink) as tar:
        return {
            info.name: (
                info.type,
                info.linkname,
                found.read() if info.isfile() and (found := tar.extractfile(info)) else None,
            )
            for info in tar
        }


def test_links_of_both_kinds_arrive(tmp_path: Path) -> None:
    content = (
        file("./a", b"A" * 700)
        + header("hard", 0, tarfile.LNKTYPE, "./a")
        + header("soft", 0, tarfile.SYMTYPE, "../outside")
        + header("hard link to soft", 0, tarfile.LNKTYPE, "soft")
        + header("folder/", 0, tarfile.DIRTYPE)
    )
    with closing(opened(tmp_path, content + END)) as archive:
        assert sent(archive) == {
            "a": (tarfile.REGTYPE, "", b"A" * 700),
            "hard": (tarfile.REGTYPE, "", b"A" * 700),
            "soft": (tarfile.SYMTYPE, "../outside", None),
            "hard link to soft": (tarfile.SYMTYPE, "../outside", None),
            "folder": (tarfile.DIRTYPE, "", None),
        }


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_what_was_packed_arrives(tmp_path: Path, mode: str, format_: int) -> None:
    chance = random.Random(f"{mode}{format_}")
    files = {
        f"{'d/' * depth}{'n' * 60}{depth}": chance.randbytes(chance.choice((0, 1, 511, 512, 513, 70_000)))
        for depth in range(20)
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode, format=format_) as tar:  # type: ignore[call-overload] # a parameter
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with closing(opened(tmp_path, packed.getvalue())) as archive:
        assert {name: data for name, (_, _, data) in sent(archive).items()} == files
        digest = archive.digest({name: name for name in files})
    with closing(opened(tmp_path, packed.getvalue())) as again:
        assert again.digest({name: name for name in files}) == digest


@pytest.mark.parametrize("seed", range(200))
def test_damaged_archives_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    whole = bytearray(file("a", b"A" * 3000) + header("b", 0, tarfile.LNKTYPE, "a") + file("long" * 60, b"B") + END)
    packed = bytearray(chance.choice((bytes, gzip.compress, lzma.compress))(bytes(whole)))
    for _ in range(chance.randint(1, 8)):
        packed[chance.randrange(len(packed))] = chance.randrange(256)
    if chance.random() < 0.3:
        del packed[chance.randrange(len(packed)) :]
    try:
        archive = opened(tmp_path, bytes(packed))
    except ValueError as error:
        assert str(error)  # noqa: PT017 -- it may also be read
        return
    with closing(archive):
        names = archive.tree().names
        assert len(archive.digest({name: name for name in names})) == 64
        assert [archive.is_archive(name) for name in names] == [False] * len(names)
