"""The channel between a widget and its views: what is answered, in which order, and to whom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.session import Session
from runloop_jupyter.widgets import channel as channels
from runloop_jupyter.widgets import views
from runloop_jupyter.widgets.channel import Channel
from runloop_jupyter.widgets.console import Console
from runloop_jupyter.widgets.files import FileBrowser
from runloop_jupyter.widgets.logs import LogView
from runloop_jupyter.widgets.protocol import VERSION, Request
from runloop_jupyter.widgets.protocol import console as messages
from runloop_jupyter.widgets.terminal import Terminal
from tests.jupyter.panel.faulty_service import faulty_service
from tests.jupyter.panel.page import MakePage, Page, sent_by
from tests.jupyter.panel.tool_page import MakeToolPage, tools
from tests.waiting import until

__all__ = ["tools"]

T = TypeVar("T")


class Widget:
    """A widget that notes what happens to it, and all that it sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.happened: list[str] = []
        self.channel = Channel(messages.PROTOCOL, self, lambda content, buffers: self.sent.append(content))
        self.channel.on(messages.Run, self.run)

    async def run(self, view: str, message: messages.Run) -> None:
        self.happened.append(f"{view} runs {message.command}")

    async def greeted(self, view: str, hello: Request) -> None:
        self.happened.append(f"{view} opened")
        self.channel.post(messages.State(running=False), view=view)

    def seen(self) -> None:
        self.happened.append("seen")

    def left(self, view: str) -> None:
        self.happened.append(f"{view} left")

    async def abandoned(self) -> None:
        self.happened.append("abandoned")

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        return await work

    def failed(self, error: Exception) -> None:
        self.happened.append(f"{type(error).__name__}: {error}")

    def receive(self, op: str, n: int, view: str = "v", **content: Any) -> None:
        if op == "hello":
            content = {"protocol": VERSION, "visible": True, **content}
        self.channel.receive({"op": op, "n": n, "view": view, **content}, [])

    def told(self, op: str) -> list[dict[str, Any]]:
        return [content for content in self.sent if content["op"] == op]

    async def last(self, what: str) -> None:
        """Wait until this was the last thing that happened."""
        await self.until(lambda: self.happened[-1:] == [what])

    async def until(self, condition: Callable[[], Any]) -> Any:
        return await until(condition, lambda: f"it; it happened: {self.happened}; sent: {self.sent}")


@pytest.fixture
async def widget(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Widget]:
    monkeypatch.setattr(channels, "GRACE", 0.02)
    made = Widget()
    yield made
    made.channel.close()


async def test_messages_are_handled_in_the_order_in_which_they_were_sent(widget: Widget) -> None:
    for number in (2, 1, 3):
        widget.receive("run", number, command=str(number))
    widget.receive("hello", 0)
    await widget.until(lambda: len(widget.happened) == 4)
    assert widget.happened == ["v opened", "v runs 1", "v runs 2", "v runs 3"]


async def test_those_of_one_moment_are_acknowledged_by_one_message(widget: Widget) -> None:
    widget.receive("hello", 0)
    for number in range(1, 100):
        widget.receive("run", number, command=str(number))
    await widget.until(lambda: len(widget.happened) == 100)
    assert widget.told("ack") == [{"op": "ack", "n": 99, "view": "v"}]


async def test_a_message_that_never_comes_holds_the_others_up_for_a_moment_only(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_GAP", 0.05)
    widget.receive("hello", 0)
    widget.receive("run", 2, command="after the gap")
    await widget.until(lambda: "v runs after the gap" in widget.happened)
    await widget.until(lambda: widget.told("ack")[-1]["n"] == 2)


async def test_events_for_all_are_numbered_and_those_for_one_say_after_which_they_come(widget: Widget) -> None:
    widget.channel.post(messages.Cleared())
    widget.channel.post(messages.Cleared())
    widget.channel.post(messages.State(running=True), view="v")
    widget.channel.post_ahead(messages.Cleared())
    assert widget.sent == [
        {"op": "cleared", "seq": 1},
        {"op": "cleared", "seq": 2},
        {"op": "state", "running": True, "stopping": False, "seconds": 0.0, "view": "v", "at": 2},
        {"op": "cleared", "at": 2},
    ]


async def test_a_view_that_is_not_known_is_asked_for_a_hello_and_nothing_of_it_is_done(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_GAP", 0.05)
    widget.receive("run", 57, command="as if nothing had been")
    await widget.until(lambda: widget.told("hello_wanted"))
    assert widget.told("hello_wanted") == [{"op": "hello_wanted", "view": "v", "at": 0}]
    assert widget.happened == []
    assert widget.told("ack") == []
    widget.receive("hello", 0, view="w")
    widget.receive("run", 1, view="w", command="as if nothing had been")
    await widget.until(lambda: widget.happened == ["w opened", "w runs as if nothing had been"])


async def test_a_widget_is_told_when_it_comes_into_sight_again(widget: Widget) -> None:
    sight = (("v", False), ("w", False), ("w", True), ("v", True), ("w", False), ("v", False), ("v", True))
    widget.receive("hello", 0)
    widget.receive("hello", 0, view="w")
    numbers = {"v": 0, "w": 0}
    for view, visible in sight:
        numbers[view] += 1
        widget.receive("alive", numbers[view], view=view, visible=visible)
        widget.receive("run", numbers[view] + 1, view=view, command=str(visible))
        numbers[view] += 1
        await widget.last(f"{view} runs {visible}")
    seen = [widget.happened[at + 1] for at, what in enumerate(widget.happened) if what == "seen"]
    assert seen == ["w runs True", "v runs True"]


async def test_a_view_that_is_silent_for_long_is_forgotten(widget: Widget, monkeypatch: pytest.MonkeyPatch) -> None:
    widget.receive("hello", 0)
    await widget.until(lambda: widget.channel.visible)
    monkeypatch.setattr(views, "SILENCE", 0.0)
    await widget.until(lambda: "abandoned" in widget.happened)
    assert widget.happened == ["v opened", "v left", "abandoned"]
    assert not widget.channel.visible


async def test_a_widget_is_left_only_once_its_last_view_has_been_closed_for_a_moment(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "GRACE", 0.3)
    widget.receive("hello", 0)
    widget.receive("bye", 1)
    await widget.until(lambda: widget.happened == ["v opened", "v left"])
    widget.receive("hello", 0, view="moved")  # within the grace
    await asyncio.sleep(0.6)
    assert "abandoned" not in widget.happened
    widget.receive("bye", 1, view="moved")
    await widget.until(lambda: widget.happened[-1] == "abandoned")


async def test_a_page_of_another_version_is_told_and_nothing_of_it_is_done(widget: Widget) -> None:
    widget.receive("hello", 0, protocol=VERSION + 1)
    widget.receive("run", 1, command="x")
    (ended,) = await widget.until(lambda: widget.told("ended"))
    assert "another version" in ended["text"]
    assert ended["view"] == "v"
    await widget.until(lambda: widget.told("ack")[-1]["n"] == 1)
    assert widget.happened == []
    assert not widget.channel.is_open


async def test_what_has_ended_says_so_to_all_and_to_each_that_opens_later(widget: Widget) -> None:
    widget.receive("hello", 0)
    await widget.until(lambda: widget.happened)
    widget.channel.end("It was unloaded.")
    widget.receive("hello", 0, view="late")
    await widget.until(lambda: len(widget.told("ended")) == 2)
    assert [event.get("view") for event in widget.told("ended")] == [None, "late"]
    assert widget.happened == ["v opened"]


# What no page of ours sends

HUGE = 10**400
NO_VIEW: dict[str, Any] = {"op": "alive", "n": 0, "visible": True}
ENVELOPES: dict[str, Any] = {
    "no object": ["hello"],
    "nothing": None,
    "an empty object": {},
    "no view": NO_VIEW,
    "a view that is no text": {**NO_VIEW, "view": ["v"]},
    "an empty view": {**NO_VIEW, "view": ""},
    "half a character as a view": {**NO_VIEW, "view": "\ud800"},
    "a long view": {**NO_VIEW, "view": "v" * 10_000},
    "no number": {"op": "alive", "view": "v"},
    "a number below zero": {"op": "alive", "view": "v", "n": -1},
    "a number that is none": {"op": "alive", "view": "v", "n": "1"},
    "yes for a number": {"op": "alive", "view": "v", "n": True},
    "half a number": {"op": "alive", "view": "v", "n": 0.5},
}


@pytest.mark.parametrize("content", ENVELOPES.values(), ids=ENVELOPES)
async def test_what_is_no_message_of_a_view_is_refused_in_one_sentence(
    widget: Widget, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    widget.channel.receive(content, [])
    (sentence,) = await widget.until(lambda: widget.happened)
    assert sentence == "MagicError: The page sent something that is no message of a view: run the cell again."
    assert widget.sent == []
    assert caplog.records == []


async def test_a_huge_number_is_a_gap_as_any_other(widget: Widget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_GAP", 0.05)
    widget.receive("hello", 0)
    widget.receive("run", HUGE, command="far ahead")
    await widget.until(lambda: "v runs far ahead" in widget.happened)


NONSENSE: dict[str, tuple[type[Any] | None, dict[str, Any], str]] = {
    "panel: an unknown message": (None, {"op": "levitate"}, "'levitate'"),
    "panel: no name": (None, {}, "None"),
    "panel: a name that is none": (None, {"op": {"a": [1]}}, "is not known here"),
    "panel: a long name": (None, {"op": "x" * 10_000}, "is not known here"),
    "panel: kinds that are none": (None, {"op": "want", "kinds": 7}, "no valid kinds"),
    "panel: a text for a list": (None, {"op": "want", "kinds": "devbox"}, "no valid kinds"),
    "panel: an unknown kind": (
        None,
        {"op": "act", "kind": "x", "action": "y", "ids": ["z"]},
        "no kind of resource 'x'",
    ),
    "panel: an unknown action": (None, {"op": "act", "kind": "devbox", "action": "y", "ids": ["z"]}, "no 'y'"),
    "panel: nothing to act on": (
        None,
        {"op": "act", "kind": "devbox", "action": "suspend", "ids": []},
        "choose at least one devbox",
    ),
    "panel: ids that are none": (
        None,
        {"op": "act", "kind": "devbox", "action": "suspend", "ids": [7]},
        "no valid ids",
    ),
    "panel: no rule for pruning": (None, {"op": "prune", "kind": "secret"}, "no rule for pruning"),
    "panel: no form": (None, {"op": "open_form", "kind": "snapshot"}, "no form for a new snapshot"),
    "panel: values that are none": (None, {"op": "check_form", "name": "devbox", "values": {"name": 7}}, "no valid"),
    "panel: a question that nobody asked": (None, {"op": "answer", "token": "q99", "yes": True}, "nothing was done"),
    "panel: details of an unknown kind": (None, {"op": "follow", "kind": "x", "id": "y"}, "no kind of resource 'x'"),
    "panel: a piece of no file": (None, {"op": "upload_part", "key": "k"}, "no valid data"),
    "panel: the end of no file": (None, {"op": "upload_end", "key": "k", "whole": True}, "upload it again"),
    "panel: a huge version": (None, {"op": "hello", "protocol": HUGE, "visible": True, "kinds": []}, "another version"),
    "console: no command": (Console, {"op": "run"}, "no valid command"),
    "console: a command that is none": (Console, {"op": "run", "command": ["ls"]}, "no valid command"),
    "console: another widget's message": (Console, {"op": "open_folder", "path": "/"}, "'open_folder'"),
    "terminal: no bytes": (Terminal, {"op": "type"}, "no valid data"),
    "terminal: bytes as a text": (Terminal, {"op": "type", "data": [1, 2]}, "no valid data"),
    "terminal: half a column": (Terminal, {"op": "resize", "cols": 80.5, "rows": 24}, "no valid cols"),
    "terminal: an endless size": (Terminal, {"op": "resize", "cols": float("inf"), "rows": 24}, "no valid cols"),
    "logs: an unknown message": (LogView, {"op": "act"}, "'act'"),
    "files: a folder that is none": (FileBrowser, {"op": "open_folder", "path": None}, "no valid path"),
    "files: half a size": (FileBrowser, {"op": "upload", "key": "k", "name": "n", "size": "many"}, "no valid size"),
    "files: half a character": (FileBrowser, {"op": "make_folder", "name": "\ud800/"}, "cannot be a name"),
}


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with faulty_service() as service:
        made = Session({"RUNLOOP_API_KEY": "key", "RUNLOOP_BASE_URL": service.base_url}, say=lambda text: None)
        yield made
        await made.disconnect()


async def opened(session: Session, pages: MakePage) -> Page:
    """A panel whose first look at the service is over."""
    page = pages(session)
    page.open()
    await page.until(lambda: any(not told["health"]["loading"] for told in page.told("health_changed")), "a look")
    return page


@pytest.mark.parametrize("case", NONSENSE)
async def test_a_pages_nonsense_is_refused_in_one_clear_sentence(
    case: str, session: Session, pages: MakePage, tools: MakeToolPage, caplog: pytest.LogCaptureFixture
) -> None:
    kind, content, words = NONSENSE[case]
    caplog.set_level(logging.ERROR)
    if kind is None:
        page = await opened(session, pages)
        shown: Any = page.panel.view
    else:
        shown = tools(kind, session, DevboxInfo("dbx_1", "one", "running", 0)).tool
        hello = {"op": "hello", "protocol": VERSION, "visible": True}
        shown.channel._views.heard("v1", 0).is_open = True
        shown.channel._views.heard("v1", 0).arrived.take(0, hello)
    before = len(sent_by(shown))
    shown._handle_custom_msg({"view": "v1", "n": 1, **content}, [])

    def sentences() -> list[str]:
        told = [each for each, _ in sent_by(shown)[before:] if each["op"] in ("notice", "problem", "ended")]
        return [each["text"] for each in told if each["text"]]

    await until(sentences, lambda: f"a sentence; the page was told {sent_by(shown)[before:]}")
    (sentence,) = sentences()
    assert words in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 250
    assert "Error" not in sentence
    assert caplog.records == []


@pytest.mark.parametrize("op", ["check_form", "submit_form"])
async def test_a_form_that_is_not_known_any_more_is_refused_where_it_stands(
    op: str, session: Session, pages: MakePage
) -> None:
    page = await opened(session, pages)
    page.send(op, name="devbox", values={})
    refused = (await page.until(lambda: page.told("form_refused"), "the refusal"))[-1]
    assert refused["view"] == "v1"
    assert refused["text"] == "This form was opened too long ago: close it and open it again."


async def test_forms_and_questions_belong_to_the_view_that_asked(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    page.open("v2")
    page.send("open_form", kind="devbox")
    page.send("open_form", view="v2", kind="secret")
    await page.until(lambda: len(page.told("form_opened")) == 2, "both forms")
    assert {(form["view"], form["name"]) for form in page.told("form_opened")} == {("v1", "devbox"), ("v2", "secret")}
    page.send("check_form", view="v2", name="secret", values={"name": "1"})
    checked = (await page.until(lambda: page.told("form_checked"), "the check"))[-1]
    assert (checked["view"], list(checked["problems"])) == ("v2", ["name", "value"])
    page.send("check_form", view="v1", name="secret", values={})
    await page.until(lambda: page.told("form_refused"), "the refusal in the view that has no such form")
    page.send("bye")
    await page.until(lambda: [view for view, _ in page.panel._forms._forms] == ["v2"], "the first form to be forgotten")
