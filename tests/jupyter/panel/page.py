"""A panel in this process, and the page that it believes it is shown in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from runloop_jupyter.resource_panel.panel import Panel
from runloop_jupyter.resources.kind import Row
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.session import Session
from runloop_jupyter.widgets.protocol import VERSION
from tests.waiting import until


class PageComm(BaseComm):
    """Keeps what was sent."""

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        sent = vars(self).setdefault("sent", [])
        sent.append((msg_type, data or {}, buffers or []))


class Lines:
    """The lines from the views of a widget to the kernel: each numbers what it sends."""

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._sent: Counter[str] = Counter()

    def send(self, view: str, op: str, *buffers: bytes, **content: Any) -> None:
        """Send a message of a view."""
        message = {"op": op, "view": view, "n": self._sent[view], **content}
        self._sent[view] += 1
        self._widget._handle_custom_msg(message, [memoryview(each) for each in buffers])


def sent_by(widget: Any) -> list[tuple[dict[str, Any], list[bytes]]]:
    """All messages of a widget, in order, with their buffers."""
    sent = vars(widget.comm).get("sent", [])
    return [(data["content"], buffers) for _, data, buffers in sent if data.get("method") == "custom"]


class Page:
    """What browsers would do with the views of one panel: it keeps the tables and notes what they are told."""

    def __init__(self, session: Session) -> None:
        self.panel = Panel(session)
        self._lines = Lines(self.panel.view)

    @property
    def raw(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """All messages, in order, with their buffers."""
        return sent_by(self.panel.view)

    def told(self, op: str) -> list[dict[str, Any]]:
        """All messages of one kind."""
        return [content for content, _ in self.raw if content["op"] == op]

    @property
    def marks(self) -> list[tuple[str, dict[str, str]]]:
        """The id of each row that was marked, and what with, in order."""
        marks = [mark for told in self.told("marks_changed") for mark in told["marks"]]
        return [
            (identity, {key: text for key, text in (("doing", doing), ("error", error)) if text})
            for _, identity, doing, error in marks
        ]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The id of each row on which something failed, and what it says."""
        return [(identity, mark["error"]) for identity, mark in self.marks if "error" in mark]

    @property
    def saved(self) -> str:
        """What a notebook file may keep of the panel's widgets."""
        widgets = (self.panel, self.panel.view)
        left_out = ("_esm", "style_sheet")
        return json.dumps([{k: v for k, v in w.get_state().items() if k not in left_out} for w in widgets])

    def send(self, op: str, *buffers: bytes, view: str = "v1", **content: Any) -> None:
        """What the page's script sends for a view."""
        self._lines.send(view, op, *buffers, **content)

    def open(self, view: str = "v1", kinds: tuple[str, ...] = ("devbox", "blueprint")) -> None:
        self.send("hello", view=view, protocol=VERSION, visible=True, kinds=list(kinds))

    def rows(self, kind: str = "devbox") -> dict[str, Row]:
        """The rows as the page has them, put together of tables and changes as its script does."""
        rows: dict[str, Row] = {}
        seq = None
        for content, buffers in self.raw:
            if "at" in content:
                seq = max(seq or 0, content["at"])
            elif "seq" in content and seq is not None:
                assert content["seq"] == seq + 1, "an event was lost"
                seq = content["seq"]
            if content.get("kind") != kind or seq is None:
                continue
            if content["op"] == "table":
                rows = {} if content["first"] else rows
                rows.update({row[0]: row for row in json.loads(bytes(buffers[0]))})
            elif content["op"] == "rows_changed":
                rows.update({row[0]: list(row) for row in content["rows"]})
                for identity in content["gone"]:
                    del rows[identity]
        return rows

    def status(self, name: str, kind: str = "devbox") -> str:
        """The state of a resource as the page shows it; empty where there is no such row."""
        return next((KINDS[kind].status(row) for row in self.rows(kind).values() if row[1] == name), "")

    async def until(self, condition: Callable[[], Any], what: str = "it") -> Any:
        """Wait until something is true, and return it."""
        return await until(condition, lambda: f"{what}; the page was told {self.raw[-5:]}")


MakePage = Callable[[Session], Page]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePage]:
    """Makes pages, whose panels are closed in the end."""
    monkeypatch.setattr(comm, "create_comm", PageComm)
    made: list[Page] = []

    def make(session: Session) -> Page:
        made.append(Page(session))
        return made[-1]

    yield make
    for page in made:
        page.panel._stop()
