"""Builds with a context: what COPY and ADD take and where it goes, the cache, and what must not get out."""

import gzip
import json
import os
import re
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Unpack

import pytest

from runloop_local.engine.build.log import BuildLog
from runloop_local.engine.devbox.limits import Size
from tests.local.building import BuildOptions, Member, Yard, special, tar, yard

CONTEXT: dict[str, Member] = {
    "./a.txt": "A",
    "./b.txt": "B",
    "./d/x.py": "X",
    "./d/e/y.py": "Y",
    "./secret/key": "K",
    "./.dockerignore": "secret\n**/*.md\n",
    "./note.md": "N",
    "./with space": "W",
    "./link": special("./link", tarfile.SYMTYPE, "a.txt"),
    "./folder": special("./folder", tarfile.SYMTYPE, "/d"),
    "./d/up": special("./d/up", tarfile.SYMTYPE, "../a.txt"),
}


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Yard]:
    tar(tmp_path / "context", CONTEXT)
    async with yard(tmp_path) as found:
        if found.isolation.name != "namespaces":
            pytest.fail("these tests need namespaces; test_blueprints covers plain processes")
        yield found


COPIES = {
    "a file to a folder": ("COPY a.txt /w/", {"/w/a.txt": "A"}),
    "a file to a name": ("COPY a.txt /w/z", {"/w/z": "A"}),
    "a file to a folder that is there": ("RUN mkdir /w\nCOPY a.txt /w", {"/w/a.txt": "A"}),
    "relative to the folder of work": ("WORKDIR /w\nCOPY a.txt z", {"/w/z": "A"}),
    "the folder of work": ("WORKDIR /w\nCOPY a.txt .", {"/w/a.txt": "A"}),
    "a folder's contents": ("COPY d /w", {"/w/x.py": "X", "/w/e/y.py": "Y"}),
    "all": ("COPY . /w/", {"/w/a.txt": "A", "/w/d/e/y.py": "Y", "/w/with space": "W"}),
    "a pattern": ("COPY *.txt /w/", {"/w/a.txt": "A", "/w/b.txt": "B"}),
    "several": ("COPY a.txt d /w/", {"/w/a.txt": "A", "/w/x.py": "X"}),
    "in the program form": ('COPY ["with space", "/w/also with"]', {"/w/also with": "W"}),
    "into a linked folder": ("RUN mkdir /real && ln -s /real /w\nCOPY d /w", {"/real/x.py": "X"}),
    "over a file": ("RUN mkdir /w && echo old > /w/a.txt\nCOPY a.txt /w/a.txt", {"/w/a.txt": "A"}),
    "a document": ("COPY <<EOF /w/z\none\nEOF", {"/w/z": "one\n"}),
    "a document beside a file": ("COPY a.txt <<z /w/\none\nz", {"/w/a.txt": "A", "/w/z": "one\n"}),
    "from a stage": ("RUN mkdir /s && echo s > /s/f\nFROM x\nCOPY --from=0 /s /w", {"/w/f": "s\n"}),
    "a pattern from a stage": (
        "RUN mkdir /s && echo s > /s/f.py\nFROM x\nCOPY --from=0 /s/*.py /w/",
        {"/w/f.py": "s\n"},
    ),
    "a link to a file": ("COPY link /w", {"/w": "A"}),
    "a link to a folder": ("COPY folder /w", {"/w/x.py": "X", "/w/e/y.py": "Y"}),
    "a link within a folder": ("COPY d /w\nRUN readlink /w/up > /w/list", {"/w/list": "../a.txt\n"}),
    "a link of a stage": (
        "RUN mkdir -p /s/r && echo s > /s/r/f && ln -s r/f /s/l && ln -s /s/r /s/m && ln -s s /t\n"
        "FROM x\nCOPY --from=0 /s/l /w/\nCOPY --from=0 /s/m /v\nCOPY --from=0 /t/l /t/r/* /u/",
        {"/w/l": "s\n", "/v/f": "s\n", "/u/l": "s\n", "/u/f": "s\n"},
    ),
    "with folders": (
        "COPY --parents d/e/*.py ./d/./x.py /w/\nRUN cd /w; find . -type f | sort > /list",
        {"/list": "./d/e/y.py\n./x.py\n"},
    ),
    "with folders of a stage": (
        "RUN mkdir -p /s/r && echo s > /s/r/f\nFROM x\nCOPY --from=0 --parents /s/r/f /s/./r /w/",
        {"/w/s/r/f": "s\n", "/w/r/f": "s\n"},
    ),
    "without": (
        "COPY --exclude=d --exclude=*.txt . /w/\nRUN ls /w > /w/list",
        {"/w/list": "folder\nlink\nlist\nwith space\n"},
    ),
    "ignored": (
        "COPY . /w/\nRUN ls -A /w > /w/list",
        {"/w/list": ".dockerignore\na.txt\nb.txt\nd\nfolder\nlink\nlist\nwith space\n"},
    ),
}


async def test_what_copy_takes_and_where_it_goes(works: Yard) -> None:
    for number, (title, (lines, files)) in enumerate(COPIES.items()):
        record = await works.build(f"FROM machine-{number}\n{lines}", "context")
        assert await works.disk(record, *files) == files, title


SAID = {
    "an argument of the stage below": (
        'FROM x AS base\nARG NAME=joe\nFROM base\nRUN echo "hello $NAME!" > /said',
        "hello joe!\n",
    ),
    "a global one, through that stage": (
        'ARG NAME=joe\nFROM x AS base\nARG NAME\nFROM base\nRUN echo "hello $NAME!" > /said',
        "hello joe!\n",
    ),
    "a variable behind tabs": ("FROM x\nENV\tFOO\tbar baz\nRUN echo $FOO > /said", "bar baz\n"),
    "without its end": ("FROM x\nENV P=a.tar.gz\nENV Q=${P%.gz}\nRUN echo $Q > /said", "a.tar\n"),
    "left to the stage above": ("FROM x AS base\nONBUILD RUN echo ran > /said\nFROM base", "ran\n"),
    "what is ignored outside of the context": ("FROM x\nCOPY x /said", "X"),
}


async def test_what_a_build_makes_of_arguments_variables_and_stages(works: Yard, tmp_path: Path) -> None:
    tar(tmp_path / "said", {".dockerignore": "../x\n", "x": "X"})
    for title, (dockerfile, said) in SAID.items():
        record = await works.build(dockerfile, "said")
        assert await works.disk(record, "/said") == {"/said": said}, title


async def test_owners_and_modes(works: Yard) -> None:
    record = await works.build(
        "FROM x\nRUN useradd -u 4321 app\nCOPY a.txt /w/1\nCOPY --chown=app --chmod=0751 a.txt /w/2\n"
        "COPY --chown=7:8 d /w/3\nRUN stat -c '%U %u %g %a' /w/1 /w/2 /w/3/x.py > /list; stat -c %a /usr > /usr-mode",
        "context",
    )
    found = await works.disk(record, "/list", "/usr-mode")
    assert found == {"/list": "root 0 0 640\napp 4321 4321 751\nlp 7 8 640\n", "/usr-mode": "755\n"}


FAILURES = {
    "nothing of that name": ("COPY c.txt /w", "Dockerfile line 2: COPY c.txt /w: nothing in the build context"),
    "ignored": ("COPY secret/key /w", "nothing in the build context is called 'secret/key'"),
    "no account": ("COPY --chown=nobody-here a.txt /w", "--chown=nobody-here: there is no account nobody-here"),
    "no group": ("COPY --chown=root:none a.txt /w", "there is no group none"),
    "no stage": ("COPY --from=127.0.0.1:1/x a /w", "Dockerfile line 2: COPY .*127.0.0.1:1/x"),
    "nothing in the stage": (
        "FROM y\nCOPY --from=0 /nothing /w",
        "line 3: .*: nothing in that stage is called '/nothing'",
    ),
    "the whole stage": ("FROM y\nCOPY --from=0 / /w", "whole disk of another stage"),
    "the target is a file": ("RUN touch /w\nCOPY a.txt /w/", "Dockerfile line 3: .*/w"),
    "command": (
        "RUN echo before\n\nRUN echo told; exit 7",
        "told\nDockerfile line 4: RUN echo told; exit 7: exit status 7",
    ),
    "no program": ('RUN ["nothing-here"]', "nothing-here: No such file or directory\n.*exit status 127"),
    "ended": ("USER 4321:1234\nRUN id -u; id -g; echo $HOME; exit 1", "4321\n1234\n/\n"),
    "no account to run as": ("USER nobody-here\nRUN true", "there is no account nobody-here"),
}


async def test_failures_name_the_step_and_its_line(works: Yard) -> None:
    for title, (lines, message) in FAILURES.items():
        record = await works.build(f"FROM x\n{lines}", "context")
        log = await works.log(record)
        assert (record.status, record.failure_reason) == ("failed", "build_failed"), title
        assert re.search(message, log), (title, log)


async def test_a_build_without_a_context_says_so(works: Yard) -> None:
    assert "build_context" in await works.log(await works.build("FROM x\nCOPY a /w"))


async def test_add_unpacks_and_copy_does_not(works: Yard, tmp_path: Path) -> None:
    inner = tar(tmp_path / "inner.tgz", {"one": "1", "f/two": "2"}, "w:gz").read_bytes()
    tar(tmp_path / "with", {"inner.tgz": inner, "plain": "P"})
    record = await works.build("FROM x\nADD inner.tgz plain /w/\nCOPY inner.tgz /c/\nRUN ls /c > /w/list", "with")
    assert await works.disk(record, "/w/one", "/w/f/two", "/w/plain", "/w/list") == {
        "/w/one": "1",
        "/w/f/two": "2",
        "/w/plain": "P",
        "/w/list": "inner.tgz\n",
    }


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
async def test_compressed_contexts(works: Yard, tmp_path: Path, mode: str) -> None:
    tar(tmp_path / "packed", {"a": "A"}, mode)
    assert await works.disk(await works.build("FROM x\nCOPY a /w/", "packed"), "/w/a") == {"/w/a": "A"}


async def test_links_in_a_context_stay_links_within_the_disk(works: Yard, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    tar(
        tmp_path / "links",
        {
            "up": special("up", tarfile.SYMTYPE, "../../../../../../../.." + str(outside)),
            "absolute": special("absolute", tarfile.SYMTYPE, str(outside)),
            "f": "F",
            "hard": special("hard", tarfile.LNKTYPE, "f"),
        },
    )
    record = await works.build(
        "FROM x\nCOPY . /w/\nRUN readlink /w/absolute > /w/list; cat /w/hard >> /w/list", "links"
    )
    assert await works.disk(record, "/w/list") == {"/w/list": f"{outside}\nF"}
    for target in ("absolute", "up"):
        for made in ("true", f"mkdir -p {outside}"):
            await works.build(
                f"FROM x\nRUN {made}\nCOPY . /w/\nCOPY f /w/{target}/file\nCOPY f /w/{target}/other", "links"
            )
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "untouched"


ESCAPES: dict[str, tuple[dict[str, str | bytes | tarfile.TarInfo], str]] = {
    "up": ({"../evil": "x"}, "leaves the build context"),
    "up within": ({"a/../../evil": "x"}, "leaves the build context"),
    "hard link out": ({"h": special("h", tarfile.LNKTYPE, "/etc/shadow")}, "is a link to nothing"),
    "device": ({"n": special("n", tarfile.CHRTYPE)}, "is a device or pipe"),
    "pipe": ({"p": special("p", tarfile.FIFOTYPE)}, "is a device or pipe"),
}


async def test_members_that_would_escape_fail_the_build(works: Yard, tmp_path: Path) -> None:
    for title, (members, message) in ESCAPES.items():
        tar(tmp_path / "bad", members)
        assert message in await works.log(await works.build("FROM x\nCOPY . /w/", "bad")), title
        inner = tar(tmp_path / "inner", members).read_bytes()
        tar(tmp_path / "bad", {"inner.tar": inner})
        record = await works.build("FROM x\nADD inner.tar /w/", "bad")
        assert record.status == "failed", title
    (tmp_path / "bad").write_bytes(b"no archive")
    assert "archive cannot be read" in await works.log(await works.build("FROM x\nCOPY . /w/", "bad"))


async def test_absolute_names_are_names_in_the_context(works: Yard, tmp_path: Path) -> None:
    tar(tmp_path / "absolute", {"/etc/evil": "x"})
    record = await works.build("FROM x\nCOPY . /w/", "absolute")
    assert await works.disk(record, "/w/etc/evil") == {"/w/etc/evil": "x"}
    assert "evil" not in os.listdir("/etc")


async def test_a_step_is_built_again_only_when_it_or_one_before_it_changed(works: Yard, tmp_path: Path) -> None:
    async def cached(dockerfile: str, **options: Unpack[BuildOptions]) -> list[bool]:
        log = (await works.log(await works.build(dockerfile, "context", **options))).split("\n")
        steps = [number for number, line in enumerate(log) if " : RUN" in line or " : COPY" in line]
        return [log[number + 1] == "cached" for number in steps]

    text = "FROM x\nARG V\nRUN date +%N > /1\nCOPY a.txt /a\nRUN date +%N > /2"
    assert await cached(text) == [False, False, False]
    assert await cached(text) == [True, True, True]
    assert await cached(f"{text}\nRUN date") == [True, True, True, False]
    assert await cached(text.replace("> /2", "> /3")) == [True, True, False]
    assert await cached(text, build_args={"V": "1"}) == [False, False, False]
    tar(tmp_path / "context", {**CONTEXT, "b.txt": "changed", "secret/key": "changed"})
    assert await cached(text) == [True, True, True]
    tar(tmp_path / "context", {**CONTEXT, "a.txt": "changed"})
    assert await cached(text) == [True, False, False]


async def test_a_failed_build_keeps_its_steps_for_the_next_one(works: Yard) -> None:
    await works.build("FROM x\nRUN echo 1\nRUN false")
    assert "cached" in await works.log(await works.build("FROM x\nRUN echo 1\nRUN true"))


async def test_secrets_reach_commands_and_neither_the_log_nor_the_disk(works: Yard) -> None:
    record = await works.build(
        'FROM x\nRUN echo "it is $S" && [ "$S" = "value of NAME" ] && env > /dev/null', secrets={"S": "NAME"}
    )
    assert record.status == "build_complete"
    log = await works.log(record)
    assert "it is ***" in log
    assert "value of NAME" not in log
    assert record.image.env == {}


async def test_a_step_s_streams_can_be_opened_by_their_names(works: Yard) -> None:
    log = await works.log(await works.build("FROM x\nUSER user\nRUN echo by name >/dev/stdout; echo too >/dev/stderr"))
    assert "by name\ntoo\n" in log


async def test_much_output_is_cut_and_does_not_stop_the_build(works: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_local.engine.build.log.MAX_BYTES", 100_000)
    log = await works.log(await works.build("FROM x\nRUN yes | head -c 3000000; echo the end"))
    assert len(log) < 1_000_000
    assert "Further output is omitted" in log
    assert log.endswith("is built.")


@pytest.mark.parametrize("printed", [b"\n", b"\r\n", b"a\n", b"\x00\n", b"\xff" * 100, b"word " * 50 + b"\n"])
def test_the_log_has_a_limit_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: bytes) -> None:
    """An empty line takes more of the log than of what was printed."""
    monkeypatch.setattr("runloop_local.engine.build.log.MAX_BYTES", 100_000)
    with BuildLog(tmp_path / "log") as log:
        for _ in range(4):
            log.output(printed * (200_000 // len(printed)))
        log.end_output()
    last = json.loads((tmp_path / "log").read_bytes().splitlines()[-1])
    assert "Further output is omitted" in last["message"]
    assert 100_000 < (tmp_path / "log").stat().st_size < 800_000  # one piece may be a line, each byte of it three


@pytest.mark.parametrize("before", range(65_500, 65_560))
def test_a_line_without_an_end_is_not_cut_within_a_secret(tmp_path: Path, before: int) -> None:
    secret = "a-secret-of-twenty-eight-bytes"
    with BuildLog(tmp_path / "log", [secret]) as log:
        log.output(b"x" * before + secret[:10].encode())
        log.output(secret[10:].encode() + b"y" * 70_000 + secret[:9].encode())
        log.end_output()
    said = "".join(json.loads(line)["message"] for line in (tmp_path / "log").read_bytes().splitlines())
    assert said == "x" * before + "***" + "y" * 70_000 + secret[:9]


def test_secrets_without_end_take_no_room(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "log", ["s" * 60_000]) as log:
        for _ in range(20):
            log.output(b"s" * 60_000)
        log.end_output()
    assert json.loads((tmp_path / "log").read_bytes())["message"] == "***" * 20


async def test_a_process_left_behind_ends_with_its_step(works: Yard) -> None:
    record = await works.build(
        "FROM x\nRUN setsid sleep 1000 >/dev/null 2>&1 & echo on\nRUN pgrep -x sleep || echo gone > /w"
    )
    assert await works.disk(record, "/w") == {"/w": "gone\n"}


SMALL = Size(cores=1, memory_gb=1, disk_gb=1)
EXCESSES = {
    "memory": (
        """RUN python3 -c 'import time; held = b"x" * (3 << 29); time.sleep(100)'""",
        "out_of_memory",
        "line 2: {step}: The build needed more than its 1 GB of memory.",
    ),
    "disk in one step": (
        "RUN head -c 1500M /dev/zero > /big; sleep 100",
        "out_of_disk",
        "line 2: {step}: The build wrote more than its 1 GB of disk.",
    ),
    "disk over several steps": (
        "RUN head -c 700M /dev/zero > /1\nRUN head -c 700M /dev/zero > /2",
        "out_of_disk",
        "line 3: RUN head -c 700M /dev/zero > /2: The build wrote more than its 1 GB of disk.",
    ),
    "holes of another stage": (
        "RUN truncate -s 4T /big\nFROM x\nCOPY --from=0 /big /w",
        "build_failed",
        "line 4: COPY --from=0 /big /w: the archive contains more than 1,073,741,824 bytes, which is more than a build "
        "may use.",
    ),
    "a context": (
        "COPY . /w/",
        "build_failed",
        "line 2: {step}: the archive contains more than 1,073,741,824 bytes, which is more than a build may use.",
    ),
}


@pytest.mark.parametrize("case", EXCESSES)
async def test_a_build_that_uses_too_much_is_ended_and_says_so(
    works: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr("runloop_local.engine.build.preparation.BUILD", SMALL)
    monkeypatch.setattr("runloop_local.engine.devbox.limits.DEFAULT", SMALL)
    if case == "a context":
        with gzip.open(tmp_path / "context", "wb") as bomb:
            bomb.write(tarfile.TarInfo("big").tobuf())
            for _ in range(1100):
                bomb.write(bytes(1 << 20))
    lines, reason, sentence = EXCESSES[case]
    record = await works.build(f"FROM x\n{lines}", "context")
    assert (record.status, record.failure_reason) == ("failed", reason)
    assert sentence.format(step=lines.split("\n")[0]) in await works.log(record)
    assert works.isolation.sandboxes() == frozenset()
    assert (await works.build("FROM x\nRUN echo well > /w")).status == "build_complete"
