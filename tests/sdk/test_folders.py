"""What is decided and read on the way of folders: listings of a stranger, packing what changes, and the placing."""

from __future__ import annotations

import base64
import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runloop_sdk import ArchiveError
from runloop_sdk._extraction import extract
from runloop_sdk._listing import LIST_COMMAND, parse_listing
from runloop_sdk._placing import Placing, placing_script
from runloop_sdk.archives import ArchiveWriter
from runloop_sdk.folders import conflicts, list_folder

if TYPE_CHECKING:
    from typing_extensions import Buffer

Row = tuple[str, str, str, str, str, str, str]
"""Kind, size, time, mode, target, path, and whether it can be read."""


def printed(*rows: Row, end: str = "end\0000\0") -> str:
    text = "".join(f"{field}\0" for row in rows for field in row) + end
    return base64.b64encode(gzip.compress(os.fsencode(text))).decode()


def file(path: str, **other: str) -> Row:
    told = {"kind": "f", "size": "3", "time": "1700000000.5", "mode": "644", "target": "", "flag": "+", **other}
    return told["kind"], told["size"], told["time"], told["mode"], told["target"], path, told["flag"]


def folder(path: str, **other: str) -> Row:
    return file(path, kind="d", mode="755", **other)


CONTRADICTIONS: dict[str, tuple[list[Row], set[str], set[str]]] = {
    "out by dots": ([file("../x"), file("a")], {"a"}, {"../x"}),
    "absolute": ([file("/etc/passwd"), file("a")], {"a"}, {"/etc/passwd"}),
    "no name": ([file(""), file("a")], {"a"}, {""}),
    "not the shortest name": ([file("./a"), file("b//c")], set(), {"./a", "b//c"}),
    "below a file": ([file("a"), file("a/b")], {"a"}, {"a/b"}),
    "below a link": ([file("a", kind="l", target=".."), file("a/b")], {"a"}, {"a/b"}),
    "below nothing": ([file("a/b")], set(), {"a/b"}),
    "twice": ([file("a"), folder("a")], {"a"}, {"a"}),
    "a transfer's own": ([folder(".runloop-x.part"), file(".runloop-x.part/a"), file("a")], {"a"}, set()),
    "a device": ([file("a", kind="b")], {"a"}, {"a"}),
    "not readable": ([file("a", flag="-"), folder("b", flag="-")], {"a", "b"}, {"a", "b"}),
}


@pytest.mark.parametrize(("rows", "kept", "left_out"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_listing_is_a_tree_whatever_it_says(rows: list[Row], kept: set[str], left_out: set[str]) -> None:
    listing = parse_listing(printed(*rows))
    assert (set(listing.entries), {each.name for each in listing.left_out}) == (kept, left_out)


NONSENSE = {
    "nothing": "",
    "no base64": "%%%",
    "no gzip": base64.b64encode(b"hello").decode(),
    "cut": printed(file("a"))[:40],
    "no end": printed(file("a"), end=""),
    "half a row": printed(file("a"), end="f\0001\000end\0000\0"),
    "a size of letters": printed(file("a", size="x")),
    "a size of no end": printed(file("a", size="9" * 5000)),
    "a time of letters": printed(file("a", time="yesterday")),
    "a mode of letters": printed(file("a", mode="rwx")),
}


@pytest.mark.parametrize("text", NONSENSE.values(), ids=NONSENSE)
def test_a_listing_that_is_none_is_one_sentence(text: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        parse_listing(text)
    assert "\n" not in str(caught.value)


def test_what_lies_where_nothing_was_listed_is_not_known() -> None:
    listing = parse_listing(printed(folder("a"), folder("a/s", flag="-"), file("b")))
    assert [path for path in ("a/s/x", "a/s/x/y", "a/x", "c", "a/s") if not listing.is_known(path)] == [
        "a/s/x",
        "a/s/x/y",
    ]
    assert not parse_listing(printed(file("b"), end="end\0001\0")).is_known("c")


def test_both_listings_tell_the_same(tmp_path: Path) -> None:
    (tmp_path / "d/empty").mkdir(parents=True)
    (tmp_path / os.fsdecode(b"d/caf\xe9")).write_text("x")
    (tmp_path / "d/link").symlink_to("empty")
    (tmp_path / "run").write_text("long")
    (tmp_path / "run").chmod(0o750)
    os.utime(tmp_path / "run", ns=(0, 1_700_000_000_123_456_789))
    os.utime(tmp_path / "d/empty", ns=(0, 0))
    for number, modified in enumerate((-1_500_000_000, 2**33 * 1_000_000_000 + 1)):
        (tmp_path / f"time{number}").write_text("")
        os.utime(tmp_path / f"time{number}", ns=(0, modified))
    os.makedirs(tmp_path / "/".join("d" * 140))
    os.mkfifo(tmp_path / "pipe")
    told = subprocess.run(["sh", "-c", LIST_COMMAND], cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
    theirs = parse_listing(base64.b64encode(gzip.compress(told + b"end\0000\0")).decode())
    ours = list_folder(tmp_path)
    assert {path: (e.kind, e.modified, e.mode, e.target) for path, e in theirs.entries.items()} == {
        path: (e.kind, e.modified, e.mode, e.target) for path, e in ours.entries.items()
    }
    assert theirs.entries["run"].modified == 1_700_000_000_123_456_789
    assert set(theirs.left_out) == set(ours.left_out)


def test_conflicts_are_where_one_side_has_a_folder() -> None:
    one = parse_listing(printed(folder("a"), folder("a/b"), file("a/b/c"), file("f"), folder("g"), file("same")))
    other = parse_listing(printed(file("a"), folder("f"), file("g", kind="l", target="x"), file("same", kind="l")))
    assert conflicts(one.entries, other.entries) == ["a", "f", "g"]


class Spoiler(io.BytesIO):
    """An archive whose growing changes the file that goes into it."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__()
        self._path = path
        self._size = size

    def write(self, data: Buffer) -> int:
        if self.tell() > 2_000_000 and self._path.stat().st_size != self._size:
            os.truncate(self._path, self._size)
        return super().write(data)


@pytest.mark.parametrize(("size", "arrives"), [(30_000_000, 20_000_000), (12_000_000, 12_000_000)])
def test_a_large_file_that_changes_is_packed_as_it_was(tmp_path: Path, size: int, arrives: int) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "into").mkdir()
    content = os.urandom(20_000_000)
    (tmp_path / "from/big").write_bytes(content)
    archive = Spoiler(tmp_path / "from/big", size)
    with ArchiveWriter(archive) as writer:
        packed = writer.add(tmp_path / "from", ["big"])
    assert (packed.paths, packed.changed, packed.left_out) == (["big"], ["big"], [])
    assert extract(archive, tmp_path / "into").left_out == ()
    assert (tmp_path / "into/big").read_bytes() == content[:arrives]


def test_what_is_gone_or_no_file_any_more_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    archive = io.BytesIO()
    with ArchiveWriter(archive) as writer:
        packed = writer.add(tmp_path, ["gone", "a/below", "a"])
    assert (packed.paths, packed.left_out) == (["a"], [])
    with tarfile.open(fileobj=archive) as tar:
        assert tar.getnames() == ["a"]


def placed(tmp_path: Path, placing: Placing) -> list[str]:
    """Run the script in a folder, as a devbox does; what it reports."""
    staging = tmp_path / ".runloop-x.part"
    (staging / "place").write_bytes(placing_script(placing, staging.name))
    with (staging / "report").open("wb") as report:
        command = f"sh {staging.name}/place 3>&1 >/dev/null 2>/dev/null"
        subprocess.run(["sh", "-c", command], cwd=tmp_path, stdout=report)
    return [name for name in os.fsdecode((staging / "report").read_bytes()).split("\0") if name]


def test_what_is_in_the_way_comes_back_where_nothing_took_its_place(tmp_path: Path) -> None:
    (tmp_path / ".runloop-x.part/tree").mkdir(parents=True)
    (tmp_path / ".runloop-x.part/tree/new").write_text("new")
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "in").write_text("in")
    report = placed(tmp_path, Placing(files=["new", "old"], in_the_way=["new", "old"]))
    assert ((tmp_path / "new").read_text(), (tmp_path / "old/in").read_text(), report) == ("new", "in", [])


def test_the_script_names_what_it_could_not_do(tmp_path: Path) -> None:
    tree = tmp_path / ".runloop-x.part/tree"
    (tree / "d").mkdir(parents=True)
    for name in ("d/a", "-b", "it's"):
        (tree / name).write_text("x")
    (tmp_path / "it's").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    (tmp_path / "-gone").write_text("")
    placing = Placing({"d": 0o750}, ["d/a", "-b", "it's"], (), ["-gone", "full"], ["full"])
    assert sorted(placed(tmp_path, placing)) == ["pit's", "rfull", "rfull"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["-b", ".runloop-x.part", "d", "full", "it's"]
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750
