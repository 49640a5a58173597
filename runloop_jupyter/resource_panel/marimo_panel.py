"""The panel in marimo, which shows one widget of a cell, and none that is made after that cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from .panel import Panel
from .tool_tabs import TOOLS


class MarimoPanel(Panel):
    """The panel without its tools. It is made by the thread that runs the cell: marimo asks which cell that is."""

    def _display_(self) -> object:
        import marimo

        return marimo.ui.anywidget(self.view)

    @staticmethod
    def load_tool(action: str) -> Callable[..., Any]:
        """Say what to do instead."""
        title = TOOLS[action][0]
        raise UsageError(
            f"{title} opens in Jupyter and VS Code only. In marimo `await runloop_jupyter.exec(command, devbox=name)` "
            "runs a command, and `await runloop_jupyter.sdk()` does the rest."
        )
