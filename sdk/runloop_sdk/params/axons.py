"""Parameters of operations on axons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from ._options import LongRequestOptions, RequestOptions
from .lists import ListParams, MetadataFilterParams


class AxonCreateParams(LongRequestOptions, total=False):
    """The axon to create."""

    metadata: Mapping[str, str] | None
    name: str | None


class AxonUpdateParams(LongRequestOptions, total=False):
    """The properties to change."""

    metadata: Mapping[str, str] | None
    """Replaces all of it."""


class AxonListParams(MetadataFilterParams, total=False):
    """Filters of a list of axons."""

    id: str | None
    name: str | None
    """A prefix of the name."""


class AxonPublishParams(LongRequestOptions, total=False):
    """The event to add."""

    event_type: Required[str]
    origin: Required[Literal["EXTERNAL_EVENT", "AGENT_EVENT", "USER_EVENT"]]
    payload: Required[str]
    source: Required[str]


class AxonSubscribeSseParams(RequestOptions, total=False):
    """The position to start from."""

    after_sequence: int | None
    """The sequence number of the last event that was received; all events by default."""


EventListParams = ListParams


class SqlQueryParams(LongRequestOptions, total=False):
    """A statement to run."""

    sql: Required[str]
    params: Sequence[Any] | None
    """The values of its `?` placeholders."""


class SqlStatementParams(TypedDict, total=False):
    """A statement of a batch."""

    sql: Required[str]
    params: Sequence[Any]


class SqlBatchParams(LongRequestOptions, total=False):
    """Statements to run in one transaction."""

    statements: Required[Sequence[SqlStatementParams]]
