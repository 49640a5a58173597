"""Files on the real embedded service."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runloop_sdk import (
    APIConnectionError,
    APIStatusError,
    AsyncDevbox,
    CommandError,
    LocalFileError,
    StreamError,
    gitignored,
)
from runloop_sdk._downloads import resumed, skip_bytes


async def test_text_written_is_read_again(devbox: AsyncDevbox) -> None:
    await devbox.file.write(file_path="a/b c/ü.txt", contents="grün\n")
    assert await devbox.file.read(file_path="~/a/b c/ü.txt") == "grün\n"
    assert await devbox.file.read(file_path="/home/user/a/b c/ü.txt") == "grün\n"


@pytest.mark.parametrize("form", ["bytes", "path", "open file"])
async def test_bytes_uploaded_are_downloaded_again(devbox: AsyncDevbox, tmp_path: Path, form: str) -> None:
    data = os.urandom(3_000_001)
    source = tmp_path / "data.bin"
    source.write_bytes(data)
    if form == "open file":
        with source.open("rb") as file:
            await devbox.file.upload(path="up/data.bin", file=file)
    else:
        await devbox.file.upload(path="up/data.bin", file=data if form == "bytes" else source)
    assert await devbox.file.download(path="up/data.bin") == data


async def test_empty_file_is_a_file(devbox: AsyncDevbox) -> None:
    await devbox.file.upload(path="empty", file=b"")
    assert await devbox.file.download(path="empty") == b""
    assert await devbox.file.read(file_path="empty") == ""


async def test_missing_file_is_named(devbox: AsyncDevbox) -> None:
    with pytest.raises(APIStatusError, match=r"nothing\.txt"):
        await devbox.file.read(file_path="nothing.txt")
    with pytest.raises(APIStatusError, match=r"nothing\.bin"):
        await devbox.file.download(path="nothing.bin")


async def test_a_file_in_a_folder_that_cannot_be_read_is_not_taken_for_missing(devbox: AsyncDevbox) -> None:
    await devbox.cmd.exec("mkdir shut && echo x > shut/file && chmod 000 shut")
    with pytest.raises(APIStatusError, match=r"'shut/file': permission denied") as raised:
        await devbox.file.read(file_path="shut/file")
    assert raised.value.status_code == 400


async def test_folder_can_be_made_listed_moved_and_removed(devbox: AsyncDevbox) -> None:
    await devbox.file.mkdir("work/deep")
    await devbox.file.write(file_path="work/a file", contents="12345")
    await devbox.cmd.exec("cd work && ln -s deep link && chmod 640 'a file'")
    listed = {info.name: info for info in await devbox.file.list("work")}
    assert {name: info.kind for name, info in listed.items()} == {
        "a file": "file",
        "deep": "directory",
        "link": "symlink",
    }
    assert (listed["a file"].size, listed["a file"].mode, listed["link"].target) == (5, 0o640, "deep")
    await devbox.file.move("work/a file", "work/-b")
    assert (await devbox.file.stat("~/work/-b")).path == "/home/user/work/-b"
    await devbox.file.remove("work/-b")
    await devbox.file.remove("work", recursive=True)
    with pytest.raises(CommandError, match="No such file"):
        await devbox.file.stat("work")


async def with_first_in_path(devbox: AsyncDevbox, program: str, script: str) -> None:
    await devbox.file.write(file_path=f"bin/{program}", contents=script)
    profile = "echo 'PATH=$HOME/bin:$PATH' >> .profile; cp .profile .bash_profile"
    assert (await devbox.cmd.exec(f"chmod +x bin/{program}; {profile}")).success


AS_BUSYBOX = """#!/bin/sh
case "$*" in *-printf*) echo "find: unrecognized: -printf" >&2; exit 1;; esac
exec /usr/bin/find "$@"
"""


async def test_a_find_that_cannot_print_lists_the_same(devbox: AsyncDevbox) -> None:
    made = "mkdir -p d/sub && cd d && touch -- 'two words' \"$(printf 'a\\nb')\" && mkfifo p"
    links = "ln -s sub to && ln -s -- nowhere -l && printf 12345 > -dash && chmod 640 -- -dash"
    assert (await devbox.cmd.exec(f"{made} && {links}")).success
    listed, found = await devbox.file.list("d"), await devbox.file.stat("d/-dash")
    followed = [await devbox.file.stat(f"d/{name}", follow_symlinks=True) for name in ("to", "-l", "-dash")]
    assert [each.kind for each in followed] == ["directory", "symlink", "file"]
    assert {"two words", "a\nb", "-dash", "sub", "to", "-l", "p"} == {each.name for each in listed}
    await with_first_in_path(devbox, "find", AS_BUSYBOX)
    again = await devbox.file.list("d")
    assert [(each.path, each.kind, each.size, each.mode, each.target) for each in again] == [
        (each.path, each.kind, each.size, each.mode, each.target) for each in listed
    ]
    assert [each.modified for each in again] == [each.modified.replace(microsecond=0) for each in listed]
    assert (await devbox.file.stat("d/-dash")).size == found.size == 5
    followed = [await devbox.file.stat(f"d/{name}", follow_symlinks=True) for name in ("to", "-l", "-dash")]
    assert [each.kind for each in followed] == ["directory", "symlink", "file"]
    with pytest.raises(CommandError, match=r"find failed: .*No such file or directory"):
        await devbox.file.stat("nothing")


async def test_folders_name_the_programs_that_they_need(devbox: AsyncDevbox, tmp_path: Path) -> None:
    await with_first_in_path(devbox, "find", AS_BUSYBOX)
    (tmp_path / "a").write_text("a")
    with pytest.raises(CommandError, match=r"in 'd': its image has no GNU find and tar.*apk add findutils tar"):
        await devbox.file.upload_dir(tmp_path, "d")
    with pytest.raises(CommandError, match=r"in 'd': its image has no GNU find and tar"):
        await devbox.file.download_dir("d", tmp_path)


async def test_paths_begin_in_the_home_directory_wherever_commands_do(devbox: AsyncDevbox, tmp_path: Path) -> None:
    assert (await devbox.cmd.exec("echo 'cd /tmp' >> .profile; cp .profile .bash_profile")).success
    assert await (await devbox.cmd.exec("pwd")).stdout() == "/tmp\n"
    await devbox.file.write(file_path="d/a", contents="a")
    (tmp_path / "b").write_text("b")
    await devbox.file.upload_dir(tmp_path, "d")
    await devbox.file.move("d/a", "d/c")
    assert [each.path for each in await devbox.file.list("d")] == ["d/b", "d/c"]
    await devbox.file.remove("d/c")
    await devbox.file.mkdir("d/e")
    await devbox.file.remove("d/e")
    assert await (await devbox.cmd.exec("ls ~/d")).stdout() == "b\n"


async def test_file_that_is_no_folder_is_not_listed(devbox: AsyncDevbox) -> None:
    await devbox.file.write(file_path="plain", contents="")
    with pytest.raises(CommandError):
        await devbox.file.list("plain")


async def test_folder_with_something_in_it_needs_recursive(devbox: AsyncDevbox) -> None:
    await devbox.file.write(file_path="full/x", contents="")
    with pytest.raises(CommandError, match="not empty"):
        await devbox.file.remove("full")


async def test_folder_goes_up_and_down_without_what_git_ignores(devbox: AsyncDevbox, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    for name in ("keep.py", "junk.log", "sub/keep.txt", "sub/local.tmp", ".git/config", "build/out"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / ".gitignore").write_text("*.log\nbuild/\n")
    (source / "sub" / ".gitignore").write_text("*.tmp\n")
    await devbox.file.upload_dir(source, "up/there", ignore=gitignored(source))
    await devbox.file.download_dir("up/there", back)
    assert sorted(str(path.relative_to(back)) for path in back.rglob("*") if path.is_file()) == [
        ".gitignore",
        "keep.py",
        "sub/.gitignore",
        "sub/keep.txt",
    ]
    assert await (await devbox.cmd.exec("ls /tmp/runloop-* | wc -l")).stdout() == "0\n"


async def test_download_to_a_file_tells_its_progress(devbox: AsyncDevbox, tmp_path: Path) -> None:
    seen: list[int] = []
    sent: list[int] = []
    await devbox.file.upload(path="big", file=b"x" * 3_000_000, progress=sent.append)
    await devbox.file.download_to(tmp_path / "big", path="big", progress=seen.append)
    assert (tmp_path / "big").read_bytes() == b"x" * 3_000_000
    assert seen[-1] == sent[-1] == 3_000_000
    assert seen == sorted(seen)


async def test_a_file_that_becomes_shorter_while_it_is_sent_is_named(devbox: AsyncDevbox, tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.write_bytes(bytes(8_000_000))
    with pytest.raises(LocalFileError, match="log: it became shorter while it was read"):
        await devbox.file.upload(path="log", file=source, progress=lambda _: os.truncate(source, 10))


async def test_a_folder_goes_up_and_what_cannot_is_told(devbox: AsyncDevbox, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    (source / "folder/in").write_text("in")
    (source / "file").write_text("f")
    os.mkfifo(source / "pipe")
    await devbox.cmd.exec("mkdir -p up/file && ln -s /etc up/folder")
    left_out = await devbox.file.upload_dir(source, "up")
    assert {each.name for each in left_out} == {"folder", "file", "pipe"}
    assert await (await devbox.cmd.exec("ls -A up; readlink up/folder; ls /tmp/runloop-* | wc -l")).stdout() == (
        "file\nfolder\n/etc\n0\n"
    )


@pytest.mark.parametrize(
    ("again", "came"),
    [
        ([b"abcdef"], b"abcdef"),
        ([b"a", b"bcd", b"ef"], b"abcdef"),
        ([b"abc"], b"abc"),
        ([b"ab"], None),
        ([], None),
    ],
    ids=["at once", "in pieces", "nothing more", "shorter", "empty"],
)
async def test_a_file_that_is_read_again_after_a_cut_has_not_become_shorter(
    again: list[bytes], came: bytes | None
) -> None:
    answers: Iterator[list[bytes]] = iter([[b"abc"], again])

    async def pieces(answer: list[bytes]) -> AsyncIterator[bytes]:
        for piece in answer:
            yield piece
        if answer is not again:
            raise APIConnectionError("cut", method="POST", path="/")

    @asynccontextmanager
    async def open_at(offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        yield skip_bytes(pieces(next(answers)), offset)

    reading = resumed(open_at, 1, len)
    if came is None:
        with pytest.raises(StreamError, match="became shorter while it was read: 3 bytes"):
            [piece async for piece in reading]
    else:
        assert b"".join([piece async for piece in reading]) == came
