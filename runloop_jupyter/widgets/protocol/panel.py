"""The messages of the resource panel. Kinds are known by their names, resources by kind and id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

from ...resources.specs import Cell, Fact, Field, LogLine, Pair, Step
from . import common
from .message import Event, Protocol, Request

Row = Sequence[Any]
"""A resource's id, then a value for each column of its kind."""


class Health(TypedDict):
    """The health of looking at a kind; `retry` is when it is tried again, in milliseconds since 1970."""

    loading: bool
    error: str
    retry: int | None


class Mark(NamedTuple):
    """The words on a row: what is being done to it, or what went wrong. Without either the mark is gone."""

    kind: str
    id: str
    doing: str
    error: str


class OpenTool(NamedTuple):
    """A tool that is open below the table."""

    key: str
    title: str


class Doomed(NamedTuple):
    """A resource that a question is about."""

    name: str
    id: str
    status: str


# From the page


@dataclass(frozen=True, slots=True)
class Hello(common.Hello):
    """As every widget's, with the kinds that the view shows now."""

    kinds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Want(Request):
    """The view shows these kinds now."""

    kinds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Retry(Request):
    """Try again now, and start the embedded service where it has ended."""


@dataclass(frozen=True, slots=True)
class Act(Request):
    """Do this to these resources: an action of their kind. It may ask, or open a form or a tool."""

    kind: str
    action: str
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Prune(Request):
    """Ask whether to delete what is of no more use."""

    kind: str


@dataclass(frozen=True, slots=True)
class Answer(Request):
    """The answer to a question."""

    token: str
    yes: bool


@dataclass(frozen=True, slots=True)
class OpenForm(Request):
    """Open the form for a new resource of a kind."""

    kind: str


@dataclass(frozen=True, slots=True)
class CheckForm(Request):
    """Check what was typed into a form: its values by field."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SubmitForm(Request):
    """Do what a form asks for."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Follow(Request):
    """Show the details of a resource in this view, and keep them up to date."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Unfollow(Request):
    """Show no details in this view any more."""


@dataclass(frozen=True, slots=True)
class Dismiss(Request):
    """Take away the mark of a row."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class ShowTool(Request):
    """Show this tool; an empty key shows none."""

    key: str


@dataclass(frozen=True, slots=True)
class CloseTool(Request):
    """Close this tool."""

    key: str


@dataclass(frozen=True, slots=True)
class Upload(Request):
    """A file is to become a storage object; the page calls it `key`."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class UploadPart(Request):
    """The next piece of a file."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class UploadEnd(Request):
    """All of a file was sent, or no more of it comes."""

    key: str
    whole: bool


# To the page


@dataclass(frozen=True, slots=True)
class Snapshot(Event):
    """The state of the panel; the parts of a `Table` for each kind follow.

    `now` is the time of the service's clock in milliseconds since 1970, `current` the id of the notebook's devbox,
    `service` the name of what it is connected to, `tool` the key of the tool that is shown, `model` the id of the
    widget that the panel's cell shows.
    """

    now: int
    kinds: Sequence[str]
    current: str
    health: Mapping[str, Health]
    marks: Sequence[Mark]
    service: str
    tools: Sequence[OpenTool]
    tool: str
    model: str


@dataclass(frozen=True, slots=True)
class Table(Event):
    """A part of the rows of a kind, newest first: `rows` is the JSON of a list of them, as UTF-8.

    With the `last` part it is whole: a row that was in none of them since the `first` one is gone.
    """

    kind: str
    rows: bytes
    first: bool
    last: bool


@dataclass(frozen=True, slots=True)
class RowsChanged(Event):
    """Rows that are new or different, and the ids of those that are gone."""

    kind: str
    rows: Sequence[Row]
    gone: Sequence[str]


@dataclass(frozen=True, slots=True)
class HealthChanged(Event):
    """Looking at a kind goes better or worse."""

    kind: str
    health: Health


@dataclass(frozen=True, slots=True)
class MarksChanged(Event):
    """Marks that are new, different or gone."""

    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class KindsChanged(Event):
    """These kinds have a tab now."""

    kinds: Sequence[str]


@dataclass(frozen=True, slots=True)
class CurrentChanged(Event):
    """The notebook's current devbox is another one; an empty id for none."""

    id: str


@dataclass(frozen=True, slots=True)
class ToolsChanged(Event):
    """Other tools are open, or another one is shown."""

    tools: Sequence[OpenTool]
    tool: str


@dataclass(frozen=True, slots=True)
class ClockChanged(Event):
    """The service's clock shows another time than was believed."""

    now: int


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A sentence for the user about something that was done, or that failed."""

    text: str
    error: bool


@dataclass(frozen=True, slots=True)
class Confirm(Event):
    """A question: `items` is what it is about, and `more` how many others; `yes` is the word on the button."""

    token: str
    title: str
    text: str
    items: Sequence[Doomed]
    more: int
    yes: str


@dataclass(frozen=True, slots=True)
class FormOpened(Event):
    """A form, for the resource with the name `about`, or for a new one. `submit` is the word on the button."""

    name: str
    title: str
    submit: str
    about: str
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class FormChecked(Event):
    """A sentence for each field that cannot stay so, and the line of a cell that does the same."""

    name: str
    problems: Mapping[str, str]
    magic: str


@dataclass(frozen=True, slots=True)
class FormRefused(Event):
    """What a form asks for was not done; `text` says why, where no field does."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class FormAccepted(Event):
    """The service does what a form asks for."""

    name: str


@dataclass(frozen=True, slots=True)
class LinkReady(Event):
    """A link that was asked for, and the token that opens it, where one is needed."""

    title: str
    url: str
    token: str


@dataclass(frozen=True, slots=True)
class DetailsWanted(Event):
    """The view is to show the details of this resource."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Details(Event):
    """The details of a resource, without its secrets: `raw` is its JSON."""

    kind: str
    id: str
    facts: Sequence[Fact]
    metadata: Sequence[Pair]
    history: Sequence[Step]
    cells: Sequence[Cell]
    raw: str


@dataclass(frozen=True, slots=True)
class DetailsFailed(Event):
    """The details cannot be had now; it is tried again."""

    kind: str
    id: str
    error: str


@dataclass(frozen=True, slots=True)
class LogAdded(Event):
    """Lines of a build's log, from line `start` on; 0 begins anew."""

    id: str
    start: int
    lines: Sequence[LogLine]


@dataclass(frozen=True, slots=True)
class UploadProgress(Event):
    """The bytes of a file that came so far; `done` when it needs no more of the page."""

    key: str
    received: int
    done: bool = False


PROTOCOL = Protocol(
    "panel",
    (
        Hello,
        *common.REQUESTS,
        Want,
        Retry,
        Act,
        Prune,
        Answer,
        OpenForm,
        CheckForm,
        SubmitForm,
        Follow,
        Unfollow,
        Dismiss,
        ShowTool,
        CloseTool,
        Upload,
        UploadPart,
        UploadEnd,
    ),
    (
        *common.EVENTS,
        Snapshot,
        Table,
        RowsChanged,
        HealthChanged,
        MarksChanged,
        KindsChanged,
        CurrentChanged,
        ToolsChanged,
        ClockChanged,
        Notice,
        Confirm,
        FormOpened,
        FormChecked,
        FormRefused,
        FormAccepted,
        LinkReady,
        DetailsWanted,
        Details,
        DetailsFailed,
        LogAdded,
        UploadProgress,
    ),
)
