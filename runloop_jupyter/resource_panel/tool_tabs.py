"""The tools that are open below the table: consoles, terminals, logs, files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..widgets.protocol.panel import OpenTool

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..session import Session

TOOLS = {
    "console": ("Console", "console", "Console"),
    "terminal": ("Terminal", "terminal", "Terminal"),
    "logs": ("Logs", "logs", "LogView"),
    "files": ("Files", "files", "FileBrowser"),
}
"""By the action that opens it: its title, its module and its class."""

_SEVERAL = frozenset({"terminal"})
"""Of these one devbox can have more than one, each opened by the same action; tabs lead back to those that are open."""


def load(action: str) -> Callable[..., Any]:
    """The class of a tool, imported when first opened."""
    _, module, name = TOOLS[action]
    made: Callable[..., Any] = getattr(import_module(f"..widgets.{module}", __package__), name)
    return made


@dataclass(frozen=True, slots=True)
class Tab:
    """A tool that is open. `key` names it."""

    key: str
    title: str
    widget: Any


class ToolTabs:
    """The open tools, of which one is shown. `changed` is called when that is another one, or there are others."""

    def __init__(
        self, session: Session, changed: Callable[[], None], load: Callable[[str], Callable[..., Any]] = load
    ) -> None:
        self.tools: list[Tab] = []
        self.active = ""
        self._session = session
        self._changed = changed
        self._load = load

    def open(self, action: str, devbox: DevboxInfo) -> None:
        """Show this tool of the devbox: the one that is open already, or another one where there may be several."""
        key, number = f"{action}:{devbox.id}", 1
        while action in _SEVERAL and any(tool.key == key for tool in self.tools):
            number += 1
            key = f"{action}:{devbox.id}:{number}"
        if all(tool.key != key for tool in self.tools):
            widget = self._load(action)(self._session, devbox)
            title = TOOLS[action][0] if number == 1 else f"{TOOLS[action][0]} {number}"
            self.tools.append(Tab(key, f"{title} · {devbox.short}", widget))
        self.show(key)

    def show(self, key: str) -> None:
        """Show this one; nothing for none."""
        self.active = key
        for tool in self.tools:
            tool.widget.layout.display = "" if tool.key == key else "none"
        self._changed()

    def close(self, key: str) -> str:
        """End one, and return what the user should know of what it leaves behind."""
        close_message = ""
        for tool in [tool for tool in self.tools if tool.key == key]:
            close_message = tool.widget.close_message
            self.tools.remove(tool)
            tool.widget.close()
        self.show(self.tools[-1].key if self.tools and self.active == key else self.active)
        return close_message

    def close_all(self) -> None:
        """End all."""
        for tool in self.tools:
            tool.widget.close()
        self.tools.clear()
        self.active = ""

    @property
    def open_tools(self) -> list[OpenTool]:
        """Key and title of each, as the page gets them."""
        return [OpenTool(tool.key, tool.title) for tool in self.tools]
