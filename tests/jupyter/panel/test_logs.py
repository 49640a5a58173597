"""The logs of a devbox, driven as their page drives them, on a real service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import pytest

from runloop_jupyter.errors import RemoteError
from runloop_jupyter.operations.lifecycle import create
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.session import Session
from runloop_jupyter.widgets import logs, poll_interval
from runloop_jupyter.widgets.logs import LogView
from runloop_sdk import AsyncDevbox
from tests.jupyter.panel.tool_page import MakeToolPage, ToolPage, tools

__all__ = ["tools"]


def rows(page: ToolPage) -> list[list[object]]:
    """The lines that the page shows."""
    shown: list[list[object]] = []
    for content, _ in page.raw:
        if content["op"] in ("snapshot", "cleared"):
            shown = []
        shown += content.get("lines", [])
    return shown


def texts(page: ToolPage) -> list[str]:
    return [str(row[4]) for row in rows(page)]


def state(page: ToolPage) -> str:
    return [str(content["state"]) for content, _ in page.raw if "state" in content][-1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the next look."""
    monkeypatch.setattr(poll_interval, "EVERY", 0.05)


@pytest.fixture
async def box(session: Session) -> DevboxInfo:
    return await create(session, {"name": "logged"}, keep_alive=600)


@pytest.fixture
async def devbox(session: Session, box: DevboxInfo) -> AsyncDevbox:
    return (await session.client.sdk()).devbox.from_id(box.id)


@pytest.fixture
async def page(session: Session, box: DevboxInfo, tools: MakeToolPage) -> ToolPage:
    return await tools(LogView, session, box).open()


async def test_what_runs_comes_as_it_is_printed_each_line_once(devbox: AsyncDevbox, page: ToolPage) -> None:
    await page.until(lambda: state(page) == "live", "the first look")
    await devbox.cmd.exec("for n in 1 2 3; do echo out $n; echo err $n >&2; sleep 0.3; done; exit 4")
    await page.until(lambda: "exit code 4" in texts(page), "the end")
    assert texts(page)[0].startswith("$ for n in 1 2 3")
    assert sorted(texts(page)[1:-1]) == ["err 1", "err 2", "err 3", "out 1", "out 2", "out 3"]
    kinds = {str(row[4]): (row[2], row[3]) for row in rows(page)}
    assert kinds["err 2"] == ("line", "error")
    assert kinds["out 2"] == ("line", "info")
    assert kinds["exit code 4"][0] == "exit"
    assert "out 1" not in page.saved  # nothing of it goes into the notebook's file


async def test_a_second_view_gets_all_and_only_what_is_new_travels(devbox: AsyncDevbox, page: ToolPage) -> None:
    await devbox.cmd.exec("seq 50")
    await page.until(lambda: "50" in texts(page) and "exit code 0" in texts(page), "the lines and the end")
    await devbox.cmd.exec("echo one more")
    await page.until(lambda: "one more" in texts(page), "the line")
    assert len(page.told("lines")[-1]["lines"]) <= 3
    second = await ToolPage(page.tool, "v2").open()
    await page.until(lambda: texts(page).count("exit code 0") == 2, "the last line")
    await second.until(lambda: texts(second) == texts(page), "all lines")
    page.send("clear")
    await second.until(lambda: rows(second) == [], "the clearing")


async def test_missing_lines_are_said(devbox: AsyncDevbox, page: ToolPage) -> None:
    slow = asyncio.create_task(devbox.cmd.exec("echo first; until [ -e go ]; do sleep 0.05; done; seq 5000"))
    await page.until(lambda: "first" in texts(page), "its first line")
    await devbox.file.write(file_path="go", contents="")
    await slow
    await page.until(lambda: "5000" in texts(page), "its last line")
    gaps = [row for row in rows(page) if row[2] == "gap"]
    assert gaps, "one, or more where it was looked at in between"
    assert all("missing here" in str(row[4]) for row in gaps)


async def test_after_an_error_it_says_so_and_goes_on_by_itself(
    devbox: AsyncDevbox, page: ToolPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page.until(lambda: state(page) == "live", "the first look")
    ask = page.tool._ask

    async def fails() -> NoReturn:
        raise RemoteError("The service is away.")

    monkeypatch.setattr(page.tool, "_ask", fails)
    await page.until(lambda: state(page) == "waiting", "the error")
    assert page.problem == "The service is away. Trying again."
    monkeypatch.setattr(page.tool, "_ask", ask)
    await devbox.cmd.exec("echo back")
    await page.until(lambda: state(page) == "live" and "back" in texts(page), "it to go on")
    assert page.problem == ""


async def test_a_devbox_that_ends_is_told_and_its_lines_stay(devbox: AsyncDevbox, page: ToolPage) -> None:
    await devbox.cmd.exec("echo last words")
    await devbox.shutdown()
    await page.until(lambda: state(page) == "ended", "its end")
    assert "last words" in texts(page)
    assert page.problem == ""


async def test_lines_are_saved_beside_the_notebook(devbox: AsyncDevbox, page: ToolPage) -> None:
    page.send("save")
    await page.until(lambda: "no lines to save" in str(page.told("problem")), "the sentence")
    await devbox.cmd.exec("printf '\\033[31mred\\033[0m\\n'")
    await page.until(lambda: "red" in texts(page), "the line, without its colour")
    page.send("save")
    await page.until(lambda: page.told("saved"), "the file")
    assert page.told("saved")[0]["text"] == "Saved logged-logs.txt beside the notebook."
    saved = await asyncio.to_thread(Path("logged-logs.txt").read_text)
    assert saved.splitlines()[1].endswith(" exec           red")


async def test_nobody_asks_when_nobody_looks(
    devbox: AsyncDevbox, page: ToolPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.widgets.channel.GRACE", 0.01)
    await page.until(lambda: state(page) == "live", "the first look")
    page.send("bye")
    await page.until(lambda: page.tool._following.done(), "the end of looking")
    await devbox.cmd.exec("echo meanwhile")
    again = await ToolPage(page.tool, "v3").open()
    await again.until(lambda: "meanwhile" in texts(again), "what was missed")


async def test_a_page_that_was_silent_for_long_goes_on(
    session: Session, box: DevboxInfo, devbox: AsyncDevbox, tools: MakeToolPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.widgets.channel.GRACE", 0.01)
    page = await tools(LogView, session, box).open()
    monkeypatch.setattr("runloop_jupyter.widgets.views.SILENCE", 0.0)
    await page.until(lambda: page.tool._following.done(), "the end of looking")
    monkeypatch.setattr("runloop_jupyter.widgets.views.SILENCE", 150.0)
    await devbox.cmd.exec("echo meanwhile")
    page.send("alive", visible=True)
    await page.until(lambda: page.told("hello_wanted"), "the wish for a hello")
    again = await ToolPage(page.tool, "v1-awake").open()
    await again.until(lambda: "meanwhile" in texts(again), "what was missed")


async def test_many_and_long_lines_come_in_messages_of_some_size(
    session: Session, devbox: AsyncDevbox, page: ToolPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_MESSAGE", 20_000)
    await devbox.cmd.exec(
        "for n in $(seq 60); do head -c 1000 /dev/zero | tr '\\0' x; echo $n; done; "
        "head -c 300000 /dev/zero | tr '\\0' y"
    )
    await page.until(lambda: any("characters)" in text for text in texts(page)), "the longest")
    assert max(sum(len(row[4]) for row in told["lines"]) for told in page.told("lines")) < 40_000
    numbers = "".join(texts(page)[1:]).replace("…", "").replace("x", " ").split("y")[0].split()
    assert numbers == [str(n) for n in range(1, 61)]  # a line that was looked at too early came in two parts
