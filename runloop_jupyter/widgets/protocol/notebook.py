"""The messages between the kernel and the page of its notebook, where that has the JupyterLab extension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import common
from .message import Event, Protocol, Request


@dataclass(frozen=True, slots=True)
class Hello(common.Hello):
    """As every widget's."""


@dataclass(frozen=True, slots=True)
class ShowPanel(Request):
    """The panel is wanted for the sidebar."""


@dataclass(frozen=True, slots=True)
class CurrentDevbox(Event):
    """The current devbox: its id, empty for none, its name or else the id, and its status, empty while none is told."""

    id: str
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class PanelReady(Event):
    """What shows the panel, by MIME type, as in the output of a cell; and `greeting`, where no cell has said it."""

    data: Mapping[str, Any]
    greeting: str


@dataclass(frozen=True, slots=True)
class PanelFailed(Event):
    """There is no panel; `text` says why, and what to do."""

    text: str


PROTOCOL = Protocol(
    "notebook",
    (Hello, *common.REQUESTS, ShowPanel),
    (*common.EVENTS, CurrentDevbox, PanelReady, PanelFailed),
)
