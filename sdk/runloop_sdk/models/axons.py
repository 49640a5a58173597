"""Axons: ordered streams of events, each with a SQL database. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Any, Literal

from ._view import View

EventOrigin = Literal["EXTERNAL_EVENT", "AGENT_EVENT", "USER_EVENT", "SYSTEM_EVENT"] | str


class AxonView(View):
    """An axon."""

    id: str
    created_at_ms: int
    metadata: dict[str, str] = {}
    deleted_at_ms: int | None = None
    name: str | None = None


class AxonEventView(View):
    """An event; `sequence` counts up within its axon."""

    axon_id: str
    event_type: str
    origin: EventOrigin
    payload: str
    sequence: int
    source: str
    timestamp_ms: int


class PublishResultView(View):
    """The position of a new event in its axon."""

    sequence: int
    timestamp_ms: int


class SqlColumnMetaView(View):
    """A column of a result."""

    name: str
    type: str


class SqlResultMetaView(View):
    """The number of rows changed, the duration in milliseconds, and whether rows were left out."""

    changes: int
    duration_ms: float
    rows_read_limit_reached: bool


class SqlQueryResultView(View):
    """The rows that a statement gave, each a list of values in the order of `columns`."""

    meta: SqlResultMetaView
    columns: list[SqlColumnMetaView] = []
    rows: list[Any] = []


class SqlStepErrorView(View):
    """The error of a statement."""

    message: str


class SqlStepResultView(View):
    """One statement of a batch: its result or its error."""

    error: SqlStepErrorView | None = None
    success: SqlQueryResultView | None = None


class SqlBatchResultView(View):
    """The statements of a batch, in their order."""

    results: list[SqlStepResultView] = []
