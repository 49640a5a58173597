"""The parts of kinds, forms and details that the page gets as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypedDict


class Column(NamedTuple):
    """A column: how its values are shown (`form`), its width in pixels, and its rank: high ones are hidden first.

    One without a label is not shown: it holds what others need.
    """

    key: str
    label: str = ""
    form: Literal["text", "id", "source", "status", "time", "ending", "span", "bytes", "until"] = "text"
    width: int = 120
    rank: int = 0


class Action(TypedDict):
    """An action on resources; `states` are those that allow it, null for all, `many` if it works on several."""

    name: str
    label: str
    states: Sequence[str] | None
    many: bool
    destructive: bool


class Kind(TypedDict):
    """A kind of resource: `needs` are the kinds whose names its table shows, `create` the label of its button."""

    name: str
    title: str
    singular: str
    plural: str
    empty: str
    settled: Sequence[str]
    ended: Sequence[str]
    create: str
    uploads: bool
    prunes: bool
    columns: Sequence[Column]
    actions: Sequence[Action]
    needs: Sequence[str]


class Option(NamedTuple):
    """A choice or a suggestion of a field."""

    value: str
    label: str


class Field(TypedDict):
    """A field of a form; `more` if it is folded away at first."""

    name: str
    label: str
    form: Literal["text", "lines", "choice", "switch", "hidden"]
    hint: str
    options: Sequence[Option]
    more: bool
    value: str


class Fact(NamedTuple):
    """A fact in the details."""

    label: str
    value: Any
    form: Literal["text", "id", "time", "bytes", "seconds"]


class Step(NamedTuple):
    """A state that a resource entered, at `time` (milliseconds since 1970, null if unknown), and why."""

    status: str
    time: int | None
    reason: str


class Pair(NamedTuple):
    """A key and a value."""

    key: str
    value: str


class Cell(NamedTuple):
    """A cell that does what the panel does."""

    label: str
    code: str


class LogLine(NamedTuple):
    """A line of a build's log."""

    level: str
    text: str
