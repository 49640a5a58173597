"""The terminal's widget, driven as its page drives it, on a real service."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runloop_jupyter.operations.lifecycle import create
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.session import Session
from runloop_jupyter.widgets import assets
from runloop_jupyter.widgets.terminal import Terminal
from tests.jupyter.panel.tool_page import MakeToolPage, ToolPage, tools

__all__ = ["tools"]


def state(page: ToolPage) -> str:
    """The last that the page was told."""
    told = [content["state"] for content, _ in page.raw if content["op"] == "state"]
    return told[-1] if told else ""


def screen(page: ToolPage) -> str:
    """What was printed since the last that cleared it; the page reads at once."""
    shown = b""
    for content, buffers in page.raw:
        if content["op"] in ("snapshot", "reset"):
            shown = b""
        if content["op"] in ("snapshot", "data"):
            shown += b"".join(map(bytes, buffers))
    return shown.decode(errors="replace")


def read_all(page: ToolPage) -> None:
    """Tell it that the page has drawn everything so far."""
    offsets = page.told("data")
    page.send("drawn", offset=offsets[-1]["offset"] if offsets else 0)


async def types(page: ToolPage, text: str, shows: str) -> None:
    page.send("type", text.encode())

    def is_shown() -> bool:
        read_all(page)
        return shows in screen(page)

    await page.until(is_shown, shows)


@pytest.fixture
async def box(session: Session) -> DevboxInfo:
    return await create(session, {"name": "shelled"}, keep_alive=600)


OpenTerminal = Callable[..., Awaitable[ToolPage]]


@pytest.fixture
def opened(session: Session, box: DevboxInfo, tools: MakeToolPage) -> OpenTerminal:
    """Opens terminals on the devbox."""

    async def opening(**hello: int) -> ToolPage:
        page = tools(Terminal, session, box)
        await page.open(**{"cols": 90, "rows": 30, **hello})
        await page.until(lambda: state(page) == "attached", "the shell")
        return page

    return opening


async def test_a_shell_answers_has_the_views_size_and_follows_it(opened: OpenTerminal) -> None:
    page = await opened(cols=101, rows=33)
    await types(page, "stty size; echo $((6*7))\n", "33 101")
    await types(page, "", "42")
    page.send("resize", cols=77, rows=22)
    await types(page, "until stty size | grep $((11*2)).77; do sleep 0.1; done\n", "22 77")
    assert page.problem == ""


async def test_ctrl_c_ends_a_flood_that_the_page_does_not_read(opened: OpenTerminal) -> None:
    page = await opened()
    page.send("type", b"yes\n")
    await page.until(lambda: "y\r\ny\r\n" in screen(page), "the flood")
    await asyncio.sleep(0.5)
    sent = len(screen(page))
    assert sent < 400_000  # it waits for the page
    page.send("type", b"\x03")
    await types(page, "echo over-$((1+1))\n", "over-2")


async def test_closing_detaches_and_the_next_terminal_of_the_notebook_finds_the_shell_again(
    opened: OpenTerminal,
) -> None:
    page = await opened()
    await types(page, "mark=here; echo $mark-1\n", "here-1")
    assert "runs on" in page.tool.close_message
    page.tool.close()
    again = await opened()
    assert again.told("state")[-1]["found"] is True
    await again.until(lambda: "here-1" in screen(again), "what it printed before")
    await types(again, "echo $mark-2\n", "here-2")


async def test_two_terminals_are_two_shells(opened: OpenTerminal) -> None:
    one, two = await opened(), await opened()
    await types(one, "echo $$-one\n", "-one\r\n")
    await types(two, "echo $$-two\n", "-two\r\n")
    assert one.tool._pty.session != two.tool._pty.session
    await types(one, "me=1; echo me-$me\n", "me-1")
    await types(two, "echo me-$me-\n", "me--")


async def test_a_second_view_gets_what_the_first_shows(opened: OpenTerminal) -> None:
    page = await opened()
    await types(page, "echo shown-$((1+1))\n", "shown-2")
    second = await ToolPage(page.tool, "v2").open(cols=90, rows=30)
    assert "shown-2" in screen(second)
    await types(second, "echo both\n", "both\r\n")
    assert screen(page).count("both") == screen(second).count("both")


async def test_an_ended_shell_says_so_and_another_one_can_be_had(opened: OpenTerminal) -> None:
    page = await opened()
    await types(page, "echo before; exit\n", "before")
    await page.until(lambda: state(page) == "ended", "its end")
    assert page.tool.close_message == ""
    page.send("open", cols=90, rows=30)
    await page.until(lambda: state(page) == "attached", "a new shell")
    assert page.told("state")[-1]["found"] is False
    await types(page, "echo new\n", "new\r\n")
    assert "before" not in screen(page)


async def test_a_devbox_that_ends_is_named_and_so_it_is_when_asked_again(
    session: Session, box: DevboxInfo, opened: OpenTerminal
) -> None:
    page = await opened()
    await (await session.client.sdk()).devbox.from_id(box.id).shutdown()
    await page.until(lambda: state(page) in ("ended", "lost"), "its end")
    await page.until(lambda: "shut down" in page.problem, "why")
    page.send("open", cols=90, rows=30)
    await page.until(lambda: page.told("state")[-2]["state"] == "connecting" and state(page) == "lost", "the refusal")
    assert "shut down" in page.problem


async def test_a_lost_connection_is_said_and_connecting_again_goes_on_in_the_same_shell(opened: OpenTerminal) -> None:
    page = await opened()
    await types(page, "mark=kept; echo x-$mark\n", "x-kept")
    page.tool._pty._socket.transport.abort()
    await page.until(lambda: state(page) == "lost" and "connection" in page.problem, "the loss")
    page.send("open", cols=90, rows=30)
    await page.until(lambda: state(page) == "attached", "the shell")
    await types(page, "echo y-$mark\n", "y-kept")
    assert "x-kept" in screen(page)
    assert page.problem == ""


async def test_nothing_of_it_is_saved_and_closing_ends_its_tasks(opened: OpenTerminal) -> None:
    page = await opened()
    await types(page, "echo secret-$((1+1))\n", "secret-2")
    assert "secret-2" not in page.saved
    works = set(page.tool.channel._works)
    page.tool.close()
    await page.until(lambda: all(work.done() for work in works), "the end of its tasks")
    await page.until(lambda: page.tool._pty._socket is None, "the end of its connection")


async def test_the_drawing_library_comes_only_when_asked_for(opened: OpenTerminal) -> None:
    page = await opened()
    assert len(page.tool._esm) < 60_000
    assert page.told("emulator") == []
    page.send("load_emulator")
    await page.until(lambda: page.told("emulator"), "the library")
    (parts,) = [buffers for content, buffers in page.raw if content["op"] == "emulator"]
    assert parts == [assets.script("xterm").encode(), assets.style("xterm").encode()]
