"""The messages that every widget has."""

from __future__ import annotations

from dataclasses import dataclass

from .message import Event, Request


@dataclass(frozen=True, slots=True)
class Hello(Request):
    """A view has opened, or has missed something: it wants all there is. `protocol` is the version that it speaks."""

    protocol: int
    visible: bool


@dataclass(frozen=True, slots=True)
class Alive(Request):
    """The view is there; `visible` tells whether anybody can see it. Sent every 15 seconds, and when that changes."""

    visible: bool


@dataclass(frozen=True, slots=True)
class Bye(Request):
    """The view was closed."""


@dataclass(frozen=True, slots=True)
class Ack(Event):
    """The kernel has received all of this view's messages up to number `n`."""

    n: int


@dataclass(frozen=True, slots=True)
class HelloWanted(Event):
    """The kernel does not know this view, as after a computer's sleep: it is to say hello again."""


@dataclass(frozen=True, slots=True)
class Problem(Event):
    """A sentence that stands in the view until the next one; an empty one takes it away."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """Nothing more will come; `text` says why, and what to do."""

    text: str


REQUESTS: tuple[type[Request], ...] = (Alive, Bye)
"""Beside a `Hello` of the widget's own."""
EVENTS: tuple[type[Event], ...] = (Ack, HelloWanted, Problem, Ended)
