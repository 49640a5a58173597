"""A tool in this process, and the page that it believes it is shown in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest

from tests.jupyter.panel.page import PageComm
from tests.waiting import until


class ToolPage:
    """What a browser would do with one view of a tool: it notes what it is told."""

    def __init__(self, tool: Any, view: str = "v1") -> None:
        self.tool = tool
        self.view = view

    @property
    def raw(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """All messages that reached this view, in order, with their buffers."""
        sent = vars(self.tool.comm).get("sent", [])
        custom = [(data["content"], buffers) for _, data, buffers in sent if data.get("method") == "custom"]
        return [message for message in custom if message[0].get("view", self.view) == self.view]

    def told(self, op: str) -> list[dict[str, Any]]:
        """All messages of one kind."""
        return [content for content, _ in self.raw if content["op"] == op]

    @property
    def problem(self) -> str:
        """The sentence that stands in the tool."""
        return next((content["text"] for content in reversed(self.told("problem"))), "")

    @property
    def saved(self) -> str:
        """What a notebook file may keep of the widget."""
        return json.dumps({k: v for k, v in self.tool.get_state().items() if k not in ("_esm", "_css")})

    def send(self, op: str, *buffers: bytes, **content: Any) -> None:
        """What the page's script sends."""
        self.tool._handle_custom_msg({"op": op, "view": self.view, **content}, [memoryview(each) for each in buffers])

    async def open(self, **hello: Any) -> ToolPage:
        """Say hello, and wait for the snapshot."""
        before = len(self.told("snapshot"))
        self.send("hello", visible=True, **hello)
        await self.until(lambda: len(self.told("snapshot")) > before, "the snapshot")
        return self

    async def until(self, condition: Callable[[], Any], what: str = "it") -> Any:
        """Wait until something is true, and return it."""
        return await until(condition, lambda: f"{what}; the page was told {self.raw[-5:]}")


MakeToolPage = Callable[..., ToolPage]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeToolPage]:
    """Makes pages of tools, which are closed in the end."""
    monkeypatch.setattr(comm, "create_comm", PageComm)
    made: list[ToolPage] = []

    def make(tool: Callable[..., Any], *arguments: Any) -> ToolPage:
        made.append(ToolPage(tool(*arguments)))
        return made[-1]

    yield make
    for page in made:
        page.tool.close()
