"""The browser of a devbox's files, driven as its page drives it, on a real service."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runloop_jupyter.operations.lifecycle import create
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.session import Session
from runloop_jupyter.widgets.files import FileBrowser
from runloop_jupyter.widgets.uploads import Upload
from runloop_sdk import AsyncDevbox
from tests.jupyter.panel.tool_page import MakeToolPage, ToolPage, tools

__all__ = ["tools"]

EVIL = "<img src=x onerror=alert(1)>\n$(touch owned)'\"; rm -rf .txt"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
SETUP = r"""mkdir -p 'with space/deeper' locked empty && printf 'hello ünï' > 'with space/a.txt'
ln -s 'with space' link
printf 'first\nsecond\n' > note.txt && ln -s note.txt to-note && ln -s nowhere dangling && touch .hidden && mkfifo pipe
printf 'a\000b' > blob.bin && head -c 400000 /dev/zero | tr '\000' x > long.txt && chmod 000 locked"""


def listing(page: ToolPage) -> dict[str, Any]:
    """The folder that the page shows."""
    return [content for content, _ in page.raw if content["op"] == "listing"][-1]


def names(page: ToolPage) -> list[str]:
    """What is in it."""
    return [entry[0] for entry in listing(page)["entries"]]


def shown(page: ToolPage) -> dict[str, Any]:
    """The file that is open beside it."""
    return next(reversed(page.told("preview")), {})


async def goes(page: ToolPage, path: str, to: str) -> None:
    page.send("open_folder", path=path)
    await page.until(lambda: listing(page)["path"] == to, to)


async def opens(page: ToolPage, name: str) -> dict[str, Any]:
    page.send("open_entry", name=name)
    await page.until(lambda: shown(page).get("name") == name, name)
    return shown(page)


async def refuses(page: ToolPage, words: str) -> None:
    await page.until(lambda: words in page.problem, words)


async def sends(page: ToolPage, name: str, *pieces: bytes, **more: Any) -> None:
    """Upload a file as the page does; a second time with an answer, where it is asked."""
    page.send("upload", key="k", name=name, size=sum(map(len, pieces)), **more)
    await page.until(lambda: page.told("upload_wanted") and page.told("transfers")[-1]["transfers"], "the beginning")
    for piece in pieces:
        page.send("upload_part", piece, key="k")
    page.send("upload_end", key="k")
    await page.until(lambda: page.told("told") or page.problem, "the end")


@pytest.fixture
async def box(session: Session) -> DevboxInfo:
    return await create(session, {"name": "filed"}, keep_alive=600)


@pytest.fixture
async def handle(session: Session, box: DevboxInfo) -> AsyncDevbox:
    return (await session.client.sdk()).devbox.from_id(box.id)


@pytest.fixture
async def page(session: Session, box: DevboxInfo, handle: AsyncDevbox, tools: MakeToolPage) -> ToolPage:
    result = await handle.cmd.exec(SETUP)
    assert result.success, await result.stderr()
    opened = await tools(FileBrowser, session, box).open()
    await opened.until(lambda: listing(opened)["path"], "the home folder")
    return opened


async def test_the_home_folder_opens_with_all_its_entries(page: ToolPage) -> None:
    assert listing(page)["path"] == "/home/user"
    by_name = {name: entry for name, *entry in listing(page)["entries"]}
    assert by_name["note.txt"][:2] == ["file", 13]
    assert by_name["with space"][0] == "directory"
    assert (by_name["link"][0], by_name["link"][3]) == ("symlink", "with space")
    assert by_name["pipe"][0] == "other"
    assert ".hidden" in by_name
    assert abs(by_name["note.txt"][2] / 1000 - time.time()) < 600


async def test_one_walks_through_folders_links_and_typed_paths(page: ToolPage) -> None:
    page.send("open_entry", name="link")
    await page.until(lambda: names(page) == ["a.txt", "deeper"], "the link's folder")
    await goes(page, "..", "/home/user")
    await goes(page, "with space/deeper", "/home/user/with space/deeper")
    await goes(page, "~/empty", "/home/user/empty")
    assert names(page) == []
    await goes(page, "/", "/")
    await goes(page, "..", "/")
    assert page.problem == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/no/such", "There is no folder '/no/such' on filed"),
        ("note.txt", "There is no folder '/home/user/note.txt'"),
        ("locked", "may not be read"),
    ],
)
async def test_a_folder_that_cannot_be_shown_is_said_and_the_last_one_stays(
    page: ToolPage, path: str, words: str
) -> None:
    page.send("open_folder", path=path)
    await refuses(page, words)
    assert listing(page)["path"] == "/home/user"
    assert page.told("busy")[-1]["on"] is False
    await goes(page, "empty", "/home/user/empty")
    assert page.problem == ""


async def test_texts_images_and_other_files_are_looked_at(page: ToolPage, handle: AsyncDevbox) -> None:
    await handle.file.upload(path="pic.dat", file=PNG)
    await handle.file.upload(path="drawn.svg", file=b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    await handle.file.upload(path="vast.png", file=PNG + bytes(9 << 20))
    text = await opens(page, "note.txt")
    assert (text["kind"], text["text"], text["remark"]) == ("text", "first\nsecond\n", "")
    assert (await opens(page, "to-note"))["text"] == "first\nsecond\n"
    assert (await opens(page, "blob.bin"))["remark"] == "A binary file of 3 B: no text to show."
    assert (await opens(page, ".hidden"))["remark"] == "An empty file."
    long = await opens(page, "long.txt")
    assert (len(long["text"]), long["remark"]) == (256 * 1024, "The first 262 KB of 400 KB.")
    assert (await opens(page, "pic.dat"))["mime"] == "image/png"
    assert any(bytes(b) == PNG for _, buffers in page.raw for b in buffers)
    assert (await opens(page, "drawn.svg"))["mime"] == "image/svg+xml"
    vast = await opens(page, "vast.png")
    assert (vast["kind"], vast["remark"]) == ("none", "An image of 9.4 MB: download it to look at it.")
    before = len(page.raw)
    page.send("close_preview")
    await page.until(lambda: any(content["op"] == "preview_closed" for content, _ in page.raw[before:]), "nothing")


@pytest.mark.parametrize(
    ("name", "words"), [("pipe", "device, a pipe"), ("dangling", "leads nowhere"), ("gone.txt", "There is no file")]
)
async def test_what_cannot_be_looked_at_is_said(page: ToolPage, name: str, words: str) -> None:
    page.send("open_entry", name=name)
    await refuses(page, words)


async def test_a_file_goes_up_in_pieces_whose_order_is_kept(page: ToolPage, handle: AsyncDevbox) -> None:
    pieces = [bytes([n]) * 100_000 for n in range(20)]
    await sends(page, EVIL, *pieces)
    assert page.told("told")[-1]["text"] == f"Uploaded {EVIL}."
    await page.until(lambda: EVIL in names(page), "its row")
    assert await handle.file.download(path=f"/home/user/{EVIL}") == b"".join(pieces)
    assert page.told("transfers")[-1]["transfers"] == []
    assert max(t["received"] for told in page.told("transfers") for t in told["transfers"]) == 2_000_000
    assert "owned" not in names(page)


async def test_a_file_that_is_there_is_replaced_only_after_a_yes(page: ToolPage, handle: AsyncDevbox) -> None:
    page.send("upload", key="k", name="note.txt", size=3)
    await page.until(lambda: page.told("upload_exists"), "the question")
    assert await handle.file.read(file_path="note.txt") == "first\nsecond\n"
    await sends(page, "note.txt", b"new", replace=True)
    assert await handle.file.read(file_path="note.txt") == "new"
    page.send("upload", key="f", name="empty", size=3, replace=True)
    await refuses(page, "a folder has this name")


async def test_an_upload_that_is_cancelled_or_whose_page_leaves_puts_nothing_there(
    page: ToolPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.send("upload", key="k", name="half", size=10)
    await page.until(lambda: page.told("upload_wanted"), "the beginning")
    page.send("upload_part", b"12345", key="k")
    page.send("cancel", key="k")
    await page.until(lambda: page.told("transfers")[-1]["transfers"] == [], "its end")
    page.send("upload", key="k", name="half", size=10)
    await page.until(lambda: len(page.told("upload_wanted")) == 2, "the beginning")
    page.send("upload_end", key="k")
    await refuses(page, "changed on its way")
    page.send("upload", key="k", name="half", size=10)
    await page.until(lambda: len(page.told("upload_wanted")) == 3, "the beginning")
    monkeypatch.setattr("runloop_jupyter.widgets.channel.GRACE", 0.01)
    page.send("bye")
    await page.until(lambda: not page.tool._transfers, "its end")
    again = await ToolPage(page.tool, "v2").open()
    assert "half" not in names(again)


async def test_pieces_are_written_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    upload = Upload("many")
    await asyncio.gather(*(upload.put(b"%03d" % n) for n in range(300)))
    assert (await upload.content()).read() == b"".join(b"%03d" % n for n in range(300))
    upload.close()


async def test_files_and_folders_come_down_beside_the_notebook(page: ToolPage, tmp_path: Path) -> None:
    page.send("download", key="d", name="to-note")
    await page.until(lambda: page.told("told"), "the file")
    page.send("download", key="d", name="with space")
    await page.until(lambda: len(page.told("told")) == 2, "the folder")
    page.send("download", key="d", name="to-note")
    await page.until(lambda: len(page.told("told")) == 3, "the file once more")
    assert [told["text"] for told in page.told("told")] == [
        "Saved to-note beside the notebook.",
        "Saved with space beside the notebook.",
        "Saved to-note (1) beside the notebook.",
    ]
    assert (tmp_path / "to-note").read_text() == "first\nsecond\n"
    assert (tmp_path / "with space" / "a.txt").read_text() == "hello ünï"


def _is_gone(page: ToolPage, name: str) -> bool:
    return name not in names(page)


async def test_folders_are_made_and_things_deleted(page: ToolPage) -> None:
    page.send("make_folder", name="new one")
    await page.until(lambda: "new one" in names(page), "the folder")
    assert page.told("folder_made")[-1]["name"] == "new one"
    for name in ("new one", "with space", "link", "dangling"):
        page.send("remove", name=name)
        await page.until(partial(_is_gone, page, name), name)
    assert page.problem == ""


@pytest.mark.parametrize(
    ("op", "name", "words"),
    [
        ("make_folder", "note.txt", "There is already 'note.txt'"),
        ("make_folder", "a/b", "cannot be a name"),
        ("make_folder", "", "cannot be a name"),
        ("make_folder", "x" * 256, "256 bytes of at most 255"),
        ("remove", "..", "cannot be a name"),
        ("remove", "gone", "No such file"),
    ],
)
async def test_what_cannot_be_done_is_said(page: ToolPage, op: str, name: str, words: str) -> None:
    page.send(op, name=name)
    await refuses(page, words)


async def test_where_the_user_may_not_write_it_is_said(page: ToolPage) -> None:
    await goes(page, "/usr", "/usr")
    page.send("make_folder", name="mine")
    await refuses(page, "The folder 'mine' was not made: Permission denied.")
    page.send("remove", name="share")
    await refuses(page, "'share' was not deleted, or not all of it: Permission denied.")
    assert "share" in names(page)


async def test_a_second_view_has_the_same_and_nothing_is_saved(page: ToolPage) -> None:
    await opens(page, "note.txt")
    second = await ToolPage(page.tool, "v2").open()
    await second.until(lambda: second.told("preview"), "the file")
    assert names(second) == names(page)
    assert shown(second)["text"] == "first\nsecond\n"
    assert "note.txt" not in page.saved


@pytest.mark.parametrize(("verb", "words"), [("suspend", "suspended"), ("shutdown", "shut down")])
async def test_a_devbox_that_is_suspended_or_gone_is_said(
    page: ToolPage, handle: AsyncDevbox, verb: str, words: str
) -> None:
    await getattr(handle, verb)()
    if verb == "suspend":
        await handle.await_suspended()
    page.send("open_folder", path=".")
    await refuses(page, words)
    assert "note.txt" in names(page)
