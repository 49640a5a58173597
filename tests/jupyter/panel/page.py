"""A panel in this process, and the page that it believes it is shown in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from runloop_jupyter.resource_panel.panel import Panel
from runloop_jupyter.resources.kind import Row
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.session import Session
from tests.waiting import until


class PageComm(BaseComm):
    """Keeps what was sent."""

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        sent = vars(self).setdefault("sent", [])
        sent.append((msg_type, data or {}, buffers or []))


class Page:
    """What a browser would do with one panel: it keeps its tables and notes what it is told."""

    def __init__(self, session: Session) -> None:
        self.panel = Panel(session)
        self._count = 0

    @property
    def raw(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """All messages, in order, with their buffers."""
        sent = vars(self.panel.view.comm)["sent"]
        return [(data["content"], buffers) for _, data, buffers in sent if data.get("method") == "custom"]

    def told(self, op: str) -> list[dict[str, Any]]:
        """All messages of one kind."""
        return [content for content, _ in self.raw if content["op"] == op]

    @property
    def marks(self) -> list[tuple[str, dict[str, str]]]:
        """The id of each row that was marked, and what with, in order."""
        return [(identity, mark) for told in self.told("marks") for _, identity, mark in told["marks"]]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The id of each row on which something failed, and what it says."""
        return [(identity, mark["error"]) for identity, mark in self.marks if "error" in mark]

    @property
    def saved(self) -> str:
        """What a notebook file may keep of the panel's widgets."""
        widgets = (self.panel, self.panel.view)
        return json.dumps([{k: v for k, v in w.get_state().items() if k not in ("_esm", "_css")} for w in widgets])

    def send(self, op: str, _buffers: tuple[bytes, ...] = (), **content: Any) -> None:
        """What the page's script sends."""
        self._count += 1
        buffers = [memoryview(each) for each in _buffers]
        self.panel.view._handle_custom_msg({"op": op, "n": self._count, **content}, buffers)

    def open(self, view: str = "v1", kinds: tuple[str, ...] = ("devbox", "blueprint")) -> None:
        self.send("hello", view=view, visible=True, kinds=list(kinds))

    def rows(self, kind: str = "devbox") -> dict[str, Row]:
        """The rows as the page has them, put together of snapshots and changes as its script does."""
        rows: dict[str, Row] = {}
        seq = None
        for content, buffers in self.raw:
            if content.get("kind") != kind:
                continue
            if content["op"] == "snapshot":
                rows = {row[0]: row for row in json.loads(bytes(buffers[0]))}
                seq = content["seq"]
            elif content["op"] == "patch" and seq is not None and content["seq"] > seq:
                assert content["seq"] == seq + 1, "a change was lost"
                seq = content["seq"]
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
