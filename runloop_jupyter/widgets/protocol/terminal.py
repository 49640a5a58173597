"""The messages of a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import common
from .message import Event, Protocol, Request

ShellState = Literal["detached", "connecting", "attached", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class Hello(common.Hello):
    """As every widget's, with the size of the view in characters; 0 where it is not known yet."""

    cols: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class LoadEmulator(Request):
    """Send the terminal emulator, which this page does not have yet."""


@dataclass(frozen=True, slots=True)
class Type(Request):
    """What was typed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Drawn(Request):
    """Everything up to `offset` (bytes since the widget was made) is on the screen: more may be sent."""

    offset: int


@dataclass(frozen=True, slots=True)
class Resize(Request):
    """The view has another size, in characters."""

    cols: int
    rows: int


@dataclass(frozen=True, slots=True)
class Open(Request):
    """Attach again, after the shell ended or was lost."""

    cols: int
    rows: int


@dataclass(frozen=True, slots=True)
class State(Event):
    """The state of the shell; `found` is true if it is one that ran already."""

    state: ShellState
    found: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot(Event):
    """The end of what the shell has printed so far, up to `offset`. A `State` comes before it."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Data(Event):
    """More of what the shell prints, up to `offset`."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Reset(Event):
    """Another shell begins: what the one before it printed is over."""


@dataclass(frozen=True, slots=True)
class Emulator(Event):
    """The terminal emulator: a module and a style sheet, as UTF-8."""

    module: bytes
    style: bytes


PROTOCOL = Protocol(
    "terminal",
    (Hello, *common.REQUESTS, LoadEmulator, Type, Drawn, Resize, Open),
    (*common.EVENTS, Snapshot, State, Data, Reset, Emulator),
)
