"""A tool in this process, and the page that it believes it is shown in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest

from runloop_jupyter.widgets.protocol import VERSION
from tests.jupyter.panel.page import Lines, PageComm, sent_by
from tests.waiting import until


class ToolPage:
    """What a browser would do with one view of a tool: it notes what it is told."""

    def __init__(self, tool: Any, view: str = "v1") -> None:
        self.tool = tool
        self.view = view
        self._lines = Lines(tool)

    @property
    def raw(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """All messages that reached this view, in order, with their buffers."""
        return [message for message in sent_by(self.tool) if message[0].get("view", self.view) == self.view]

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
        return json.dumps({k: v for k, v in self.tool.get_state().items() if k not in ("_esm", "style_sheet")})

    def send(self, op: str, *buffers: bytes, **content: Any) -> None:
        """What the page's script sends."""
        self._lines.send(self.view, op, *buffers, **content)

    async def open(self, **hello: Any) -> ToolPage:
        """Say hello, and wait for all there is: a problem, or that there is none, comes at its end."""
        before = len(self._own("problem"))
        self.send("hello", protocol=VERSION, visible=True, **hello)
        await self.until(lambda: len(self._own("problem")) > before, "the snapshot")
        return self

    def _own(self, op: str) -> list[dict[str, Any]]:
        return [content for content in self.told(op) if "view" in content]

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
