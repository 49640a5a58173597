"""Archives that a stranger made: nothing is written outside of the folder, and the rest arrives."""

from __future__ import annotations

import gzip
import io
import os
import random
import resource
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runloop_sdk import ArchiveError, ExtractionLimits, LocalFileError, _extraction
from runloop_sdk._descriptor_tree import DescriptorTree
from runloop_sdk._path_tree import PathTree
from runloop_sdk.archives import pack, unpack

Member = tuple[str, bytes, str | bytes]
"""A name, a type of `tarfile`, and a link's target or a file's content."""
FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def archive(*members: Member, mode: int = 0o644) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                tar.addfile(info)
    return made


def skipped(made: io.BytesIO, folder: Path, **options: object) -> dict[str, str]:
    return {each.name: each.reason for each in unpack(made, folder, **options)}  # type: ignore[arg-type]


@pytest.fixture(params=[DescriptorTree, PathTree], ids=["by-descriptors", "by-paths"], autouse=True)
def _tree(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of POSIX, and that of Windows, which works here as well."""
    monkeypatch.setattr(_extraction, "open_tree", request.param.opened)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("as it was")
    return tmp_path / "into"


@pytest.fixture(autouse=True)
def _nothing_outside(tmp_path: Path, folder: Path) -> Iterator[None]:
    before = stat.S_IMODE((tmp_path / "outside").stat().st_mode)
    yield
    assert sorted(each.name for each in tmp_path.iterdir()) in (["into", "outside"], ["outside"])
    assert (tmp_path / "outside").read_text() == "as it was"
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == before
    assert not list(folder.rglob("*.part"))


def long_way_up(steps: int = 16) -> list[Member]:
    """Links whose real path is longer than PATH_MAX, which defeated `tarfile`'s own filter (CVE-2025-4517)."""
    made: list[Member] = []
    above, component = "", "d" * 247
    for number in range(steps):
        made += [(f"{above}{component}", FOLDER, b""), (f"{above}{chr(97 + number)}", LINK, component)]
        above += f"{component}/"
    up = "/".join(chr(97 + number) for number in range(steps)) + "/" + "l" * 254
    return [*made, (up, LINK, "../" * steps), ("escape", LINK, f"{up}/{'../' * 3}"), ("escape/outside", FILE, b"evil")]


ESCAPES: dict[str, list[Member]] = {
    "dots": [("../outside", FILE, b"evil")],
    "dots within": [("a/../../outside", FILE, b"evil")],
    "absolute": [("/OUTSIDE", FILE, b"evil")],
    "through a link": [("l", LINK, ".."), ("l/outside", FILE, b"evil")],
    "through an absolute link": [("l", LINK, "ABOVE"), ("l/outside", FILE, b"evil")],
    "onto a link": [("l", LINK, "../outside"), ("l", FILE, b"evil")],
    "a link, then a hard link to it": [("l", LINK, "../outside"), ("h", HARD, "l"), ("h", FILE, b"evil")],
    "a hard link out": [("h", HARD, "../outside"), ("h", FILE, b"evil")],
    "an absolute hard link": [("h", HARD, "OUTSIDE"), ("h", FILE, b"evil")],
    "a link by steps": [("a/b", LINK, "."), ("up", LINK, "a/b/../.."), ("up/outside", FILE, b"evil")],
    "a link up too far": [("a/b/l", LINK, "../../../outside"), ("a/b/l", FILE, b"evil")],
    "a path over PATH_MAX": long_way_up(),
}


@pytest.mark.parametrize("members", ESCAPES.values(), ids=ESCAPES)
def test_nothing_leaves_the_folder_and_the_rest_arrives(members: list[Member], folder: Path) -> None:
    def placed(text: str | bytes) -> str | bytes:
        if isinstance(text, bytes):
            return text
        return text.replace("OUTSIDE", str(folder.parent / "outside")).replace("ABOVE", str(folder.parent))

    told = [(str(placed(name)), kind, placed(content)) for name, kind, content in members]
    made = archive(("first", FILE, b"1"), *told, ("last", FILE, b"2"))
    left_out = skipped(made, folder)
    assert ((folder / "first").read_bytes(), (folder / "last").read_bytes()) == (b"1", b"2")
    for link in folder.rglob("*"):
        assert link.resolve().is_relative_to(folder.resolve()), link
    assert left_out or not any(kind == FILE for _, kind, _ in members[:1])


PLACED: dict[str, tuple[list[Member], Callable[[Path], bool]]] = {
    "a file": ([("a/b", FILE, b"x")], lambda f: (f / "a/b").read_bytes() == b"x"),
    "an empty file": ([("e", FILE, b"")], lambda f: (f / "e").read_bytes() == b""),
    "an empty folder": ([("a/b", FOLDER, b"")], lambda f: (f / "a/b").is_dir()),
    "dots and slashes": ([("./a//b", FILE, b"x")], lambda f: (f / "a/b").read_bytes() == b"x"),
    "a link to a sibling": ([("l", LINK, "a"), ("a", FILE, b"x")], lambda f: (f / "l").readlink() == Path("a")),
    "a link to above": (
        [("d/l", LINK, "../a"), ("a", FILE, b"x")],
        lambda f: (f / "d/l").read_bytes() == b"x" and (f / "d/l").is_symlink(),
    ),
    "a link to nothing": ([("l", LINK, "gone")], lambda f: (f / "l").is_symlink()),
    "a hard link": (
        [("a", FILE, b"x"), ("b", HARD, "a")],
        lambda f: (f / "a").samefile(f / "b"),
    ),
    "a name that is no UTF-8": ([("caf\udce9", FILE, b"x")], lambda f: os.listdir(os.fsencode(f)) == [b"caf\xe9"]),
    "a long name": ([("n" * 255, FILE, b"x")], lambda f: (f / ("n" * 255)).exists()),
    "the last of one name": (
        [("a", FILE, b"1"), ("a", LINK, "b"), ("a", FILE, b"2")],
        lambda f: (f / "a").read_bytes() == b"2" and not (f / "a").is_symlink(),
    ),
    "a large file": ([("big", FILE, bytes(3_000_001))], lambda f: (f / "big").stat().st_size == 3_000_001),
}


@pytest.mark.parametrize(("members", "right"), PLACED.values(), ids=PLACED)
def test_what_belongs_into_the_folder_is_put_there(
    members: list[Member], right: Callable[[Path], bool], folder: Path
) -> None:
    assert skipped(archive(*members), folder) == {}
    assert right(folder)


LEFT_OUT: dict[str, tuple[Member, str]] = {
    "device": (("x", tarfile.BLKTYPE, ""), "device"),
    "pipe": (("x", tarfile.FIFOTYPE, ""), "pipe"),
    "link out": (("x", LINK, "/etc/hostname"), "'/etc/hostname'"),
    "hard link to nothing": (("x", HARD, "nothing"), "'nothing'"),
    "name over 255 bytes": (("ü" * 128, FILE, b""), "too long"),
    "too deep": (("a/" * 200 + "x", FILE, b""), "128 folders"),
    "not wanted": (("other", FILE, b""), "nobody asked"),
}


@pytest.mark.parametrize(("member", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_is_named_with_its_reason(member: Member, reason: str, folder: Path) -> None:
    wanted = {"last", *([] if "asked" in reason else [member[0]])}
    told = skipped(archive(member, ("last", FILE, b"1")), folder, wanted=wanted)
    assert list(told) == [member[0]]
    assert reason in told[member[0]]
    assert [each.name for each in folder.rglob("*") if not each.is_dir()] == ["last"]


IN_THE_WAY: dict[str, tuple[Callable[[Path], object], Member, bool]] = {
    "a link where a file comes": (lambda f: (f / "x").symlink_to("../outside"), ("x", FILE, b"new"), True),
    "a file where a link comes": (lambda f: (f / "x").write_text("old"), ("x", LINK, "y"), True),
    "a link where a folder comes": (lambda f: (f / "x").symlink_to(".."), ("x/outside", FILE, b"new"), False),
    "a file where a folder comes": (lambda f: (f / "x").write_text("old"), ("x/y", FILE, b"new"), False),
    "a folder where a file comes": (lambda f: (f / "x").mkdir(), ("x", FILE, b"new"), False),
    "a full folder where a link comes": (lambda f: (f / "x/y").mkdir(parents=True), ("x", LINK, "z"), False),
}


@pytest.mark.parametrize(("before", "member", "replaced"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_was_there_is_replaced_or_named_and_never_written_through(
    before: Callable[[Path], object], member: Member, replaced: bool, folder: Path
) -> None:
    folder.mkdir()
    before(folder)
    told = skipped(archive(member, ("last", FILE, b"1")), folder)
    assert (folder / "last").exists()
    assert (told == {}) is replaced
    if replaced:
        assert (folder / "x").is_symlink() == (member[1] == LINK)
    else:
        assert "in the way" in told[member[0]]


@pytest.mark.parametrize(("mode", "right"), [(0o4755, 0o755), (0o2777, 0o755), (0o000, 0o600), (0o640, 0o640)], ids=oct)
def test_permissions_are_kept_without_set_id_bits_and_without_writers(mode: int, right: int, folder: Path) -> None:
    unpack(archive(("f", FILE, b"x"), mode=mode), folder)
    assert stat.S_IMODE((folder / "f").stat().st_mode) == right


def bomb(size: int) -> io.BytesIO:
    """A file that is all zeros, in a thousandth of its size."""
    info = tarfile.TarInfo("big")
    info.size = size
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return io.BytesIO(squeezed.compress(info.tobuf() + bytes(size)) + squeezed.flush())


def header_of(size: int, kind: bytes) -> io.BytesIO:
    """An extended header that says it has `size` bytes, which `tarfile` alone would read into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return io.BytesIO(gzip.compress(info.tobuf() + bytes(min(size, 1 << 20))))


def general_headers() -> io.BytesIO:
    """Headers that hold for all members after them, more of them before each."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb") as packed:
        for number in range(99):
            records = b"".join(b"32 k%06d.%04d=0123456789abcde\n" % (number, each) for each in range(900))
            info = tarfile.TarInfo("g")
            info.type, info.size = tarfile.XGLTYPE, len(records)
            packed.write(info.tobuf() + records + bytes(-len(records) % 512) + tarfile.TarInfo(f"{number}").tobuf())
        packed.write(bytes(1024))
    made.seek(0)
    return made


MALFORMED: dict[str, tuple[Callable[[], io.BytesIO], str]] = {
    "no gzip": (lambda: io.BytesIO(b"<html>not an archive</html>" * 100), "cannot be read"),
    "nothing": (io.BytesIO, "cannot be read"),
    "no tar": (lambda: io.BytesIO(gzip.compress(b"no tar at all" * 200)), "cannot be read"),
    "cut": (lambda: io.BytesIO(archive(("a", FILE, os.urandom(100_000))).getvalue()[:50_000]), "archive"),
    "too many bytes": (lambda: bomb(20_000_000), "more than 10,000,000 bytes"),
    "too many members": (lambda: archive(*[(f"f{n}", FILE, b"") for n in range(101)]), "more than 100 members"),
    "pax header of 4 GiB": (lambda: header_of(4 << 30, tarfile.XHDTYPE), "header is too long"),
    "long name of 4 GiB": (lambda: header_of(4 << 30, tarfile.GNUTYPE_LONGNAME), "header is too long"),
    "general headers without end": (general_headers, "too many general headers"),
    "headers within headers": (
        lambda: io.BytesIO(gzip.compress(b"".join(_long_name_header() for _ in range(5000)))),
        "cannot be read",
    ),
}


def _long_name_header() -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 0
    return info.tobuf()


@pytest.mark.parametrize(("make", "sentence"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_archive_or_too_much_is_one_sentence(
    make: Callable[[], io.BytesIO], sentence: str, folder: Path
) -> None:
    with pytest.raises(ArchiveError, match=sentence) as caught:
        unpack(make(), folder, limits=ExtractionLimits(bytes=10_000_000, members=100))
    assert str(caught.value).count("\n") == 0


def test_a_file_that_this_machine_refuses_is_named(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(LocalFileError, match="deep/f: File too large"):
            unpack(archive(("deep/f", FILE, b"x" * 1001)), folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


NAMES = ("a", "b", "a/b", "b/a", "a/b/c", "..", "../outside", "a/..", "/a", ".", "b/../../outside")
KINDS = (FILE, FILE, FOLDER, LINK, LINK, HARD, tarfile.FIFOTYPE)


def invented(chance: random.Random) -> list[Member]:
    """Members of few names, so that they meet: links through links, files onto links, folders in the way."""
    made: list[Member] = []
    for _ in range(chance.randint(1, 12)):
        kind = chance.choice(KINDS)
        target = "/".join(chance.choice(("..", "a", "b", ".", "outside")) for _ in range(chance.randint(1, 4)))
        made.append((chance.choice(NAMES), kind, b"evil" if kind == FILE else target))
    return made


@pytest.mark.parametrize("seed", range(20))
def test_no_invented_archive_leaves_the_folder(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        members = invented(chance)
        unpack(archive(*members), folder)  # into what the last one left
        for path in folder.rglob("*"):
            real = Path(os.path.realpath(path))  # which ends where links go round in circles
            assert real.is_relative_to(folder.resolve()), members


def test_a_tree_comes_back_as_it_was_packed(tmp_path: Path, folder: Path) -> None:
    source = folder / "from"
    (source / "deep/er").mkdir(parents=True)
    (source / "deep/er/file").write_bytes(b"x" * 70_000)
    (source / "empty").mkdir()
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("deep/er/file")
    os.utime(source / "run.sh", ns=(1_700_000_000_250_000_000,) * 2)
    packed = io.BytesIO()
    pack(source, packed)
    assert unpack(packed, folder / "back") == ()
    back = folder / "back"
    assert (back / "deep/er/file").read_bytes() == b"x" * 70_000
    assert (back / "empty").is_dir()
    assert (back / "link").readlink() == Path("deep/er/file")
    script = (back / "run.sh").stat()
    assert (stat.S_IMODE(script.st_mode), round(script.st_mtime_ns / 1e6)) == (0o755, 1_700_000_000_250)
