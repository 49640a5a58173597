"""The messages of a console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from . import common
from .message import Event, Protocol, Request


class Piece(NamedTuple):
    """A text that is shown. `back` takes output back: so many ends of line, and all after the one before them."""

    kind: Literal["stdout", "stderr", "command", "input", "good", "bad", "quiet", "back"]
    text: str


@dataclass(frozen=True, slots=True)
class Hello(common.Hello):
    """As every widget's."""


@dataclass(frozen=True, slots=True)
class Run(Request):
    """Run a command; refused while another one runs."""

    command: str


@dataclass(frozen=True, slots=True)
class Input(Request):
    """A line for the command that runs."""

    text: str


@dataclass(frozen=True, slots=True)
class EndInput(Request):
    """Close the input of the command that runs."""


@dataclass(frozen=True, slots=True)
class Stop(Request):
    """Kill the command that runs; asked again, wait for it no more."""


@dataclass(frozen=True, slots=True)
class Clear(Request):
    """Forget what is shown."""


@dataclass(frozen=True, slots=True)
class Save(Request):
    """Save the whole output of the last command beside the notebook."""


@dataclass(frozen=True, slots=True)
class State(Event):
    """The state of the command: `seconds` since its start, while it runs."""

    running: bool
    stopping: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot(Event):
    """All that is shown, and the commands that were typed before, oldest first. A `State` follows."""

    pieces: Sequence[Piece]
    history: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pieces(Event):
    """More output."""

    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Cleared(Event):
    """Nothing is shown any more."""


PROTOCOL = Protocol(
    "console",
    (Hello, *common.REQUESTS, Run, Input, EndInput, Stop, Clear, Save),
    (*common.EVENTS, Snapshot, State, Pieces, Cleared),
)
