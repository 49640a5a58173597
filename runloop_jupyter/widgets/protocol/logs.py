"""The messages of a log view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from . import common
from .message import Event, Protocol, Request

FollowingState = Literal["loading", "live", "waiting", "ended"]
"""`waiting` after an error, until it is tried again."""


class Line(NamedTuple):
    """One line; `time` is in milliseconds since 1970, `level` is empty where the service tells none."""

    time: int
    source: str
    kind: Literal["command", "exit", "line", "gap"]
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Hello(common.Hello):
    """As every widget's."""


@dataclass(frozen=True, slots=True)
class Refresh(Request):
    """Look now."""


@dataclass(frozen=True, slots=True)
class Clear(Request):
    """Forget the lines that are shown."""


@dataclass(frozen=True, slots=True)
class Save(Request):
    """Save all lines that are kept as a file beside the notebook."""


@dataclass(frozen=True, slots=True)
class State(Event):
    """The state of following: `waiting` after an error, until it is tried again."""

    state: FollowingState


@dataclass(frozen=True, slots=True)
class Snapshot(Event):
    """No lines yet: those that there are follow. The page keeps the last `limit` of them. A `State` comes before it."""

    limit: int


@dataclass(frozen=True, slots=True)
class Lines(Event):
    """More lines."""

    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Cleared(Event):
    """Nothing is shown any more."""


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """The file was saved; `text` says where."""

    text: str


PROTOCOL = Protocol(
    "logs",
    (Hello, *common.REQUESTS, Refresh, Clear, Save),
    (*common.EVENTS, Snapshot, State, Lines, Cleared, Saved),
)
