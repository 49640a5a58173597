"""`/v1/axons`: channels of events, and their databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta
from starlette.routing import Route

from ..engine.axon_sql import Result, SqlError, Statement
from ..engine.errors import InvalidError
from ..engine.storage.records import shown
from ..engine.storage.store import Query
from .body import Body, read_body
from .event_stream import event_stream
from .snapshots import metadata_filter
from .wire import attempt_of, engine_of, flag, integer, json_response, page_response, path_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

MAX_STATEMENTS = 1000
_LIST_LIMIT = 5000
_Name = Annotated[str, Meta(min_length=1, max_length=255)]
_Word = Annotated[str, Meta(min_length=1, max_length=1024)]


class Create(Body, frozen=True):
    """POST /v1/axons."""

    name: _Name | None = None
    metadata: dict[str, str] | None = None


class Update(Body, frozen=True):
    """POST /v1/axons/{id}."""

    metadata: dict[str, str] | None = None


class Publish(Body, frozen=True):
    """POST /v1/axons/{id}/publish."""

    event_type: _Word
    origin: Literal["EXTERNAL_EVENT", "AGENT_EVENT", "USER_EVENT"]
    payload: str
    source: _Word


class Sql(Body, frozen=True):
    """POST /v1/axons/{id}/sql/query."""

    sql: str
    params: list[Any] | None = None

    def statement(self) -> Statement:
        """The engine's form of the statement."""
        return Statement(self.sql, tuple(self.params or ()))


class Batch(Body, frozen=True):
    """POST /v1/axons/{id}/sql/batch."""

    statements: Annotated[list[Sql], Meta(max_length=MAX_STATEMENTS)]


async def create(request: Request) -> Response:
    """POST /v1/axons."""
    body = await read_body(request, Create)
    record = await engine_of(request).axons.create(body.name, body.metadata or {}, attempt_of(request))
    return json_response(shown(record))


async def list_all(request: Request) -> Response:
    """GET /v1/axons."""
    wanted = request.query_params.get("id")
    query = Query(
        "axon",
        id=wanted or None,
        limit=integer(request, "limit", 20, _LIST_LIMIT),
        starting_after=request.query_params.get("starting_after") or None,
        search=request.query_params.get("search"),
        count=flag(request, "include_total_count", default=True),
        name_part=request.query_params.get("name") or None,
        metadata=metadata_filter(request.query_params.multi_items()),
    )
    return page_response("axons", await engine_of(request).axons.page(query))


async def retrieve(request: Request) -> Response:
    """GET /v1/axons/{id}."""
    return json_response(shown(await engine_of(request).axons.get(path_id(request))))


async def update(request: Request) -> Response:
    """POST /v1/axons/{id}."""
    body = await read_body(request, Update)
    return json_response(shown(await engine_of(request).axons.update(path_id(request), body.metadata)))


async def delete(request: Request) -> Response:
    """DELETE /v1/axons/{id}."""
    return json_response(shown(await engine_of(request).axons.delete(path_id(request))))


async def publish(request: Request) -> Response:
    """POST /v1/axons/{id}/publish."""
    body = await read_body(request, Publish)
    sequence, time_ms = await engine_of(request).axons.publish(path_id(request), body.given(), attempt_of(request))
    return json_response({"sequence": sequence, "timestamp_ms": time_ms})


async def list_events(request: Request) -> Response:
    """GET /v1/axons/{id}/events: newest first; the cursor is an event's sequence."""
    page = await engine_of(request).axons.events(
        path_id(request),
        integer(request, "limit", 20, _LIST_LIMIT),
        integer(request, "starting_after", 0) or None,
        count=flag(request, "include_total_count", default=True),
    )
    return page_response("events", page)


async def subscribe(request: Request) -> Response:
    """GET /v1/axons/{id}/subscribe/sse: events after `after_sequence`, past and future."""
    after = integer(request, "after_sequence", 0)
    events = await engine_of(request).axons.subscribe(path_id(request), after)
    return event_stream(request, _frames(events))


async def _frames(events: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for view in events:
        yield f"data: {view}\n\n".encode()


async def query(request: Request) -> Response:
    """POST /v1/axons/{id}/sql/query."""
    body = await read_body(request, Sql)
    return json_response(
        _result(await engine_of(request).axons.query(path_id(request), body.statement(), attempt_of(request)))
    )


async def batch(request: Request) -> Response:
    """POST /v1/axons/{id}/sql/batch: all or none; a statement that fails is the last result."""
    body = await read_body(request, Batch)
    if not body.statements:
        raise InvalidError("statements is empty.")
    statements = [sql.statement() for sql in body.statements]
    outcomes = await engine_of(request).axons.batch(path_id(request), statements, attempt_of(request))
    return json_response({"results": [_step(outcome) for outcome in outcomes]})


def _step(outcome: Result | SqlError) -> dict[str, Any]:
    if isinstance(outcome, SqlError):
        return {"error": {"message": str(outcome)}, "success": None}
    return {"error": None, "success": _result(outcome)}


def _result(result: Result) -> dict[str, Any]:
    return {
        "columns": [{"name": name, "type": kind} for name, kind in result.columns],
        "rows": result.rows,
        "meta": {
            "changes": result.changes,
            "duration_ms": result.duration_ms,
            "rows_read_limit_reached": result.cut,
        },
    }


ROUTES = [
    Route("/v1/axons", create, methods=["POST"]),
    Route("/v1/axons", list_all, methods=["GET"]),
    Route("/v1/axons/{id}", retrieve, methods=["GET"]),
    Route("/v1/axons/{id}", update, methods=["POST"]),
    Route("/v1/axons/{id}", delete, methods=["DELETE"]),
    Route("/v1/axons/{id}/publish", publish, methods=["POST"]),
    Route("/v1/axons/{id}/events", list_events, methods=["GET"]),
    Route("/v1/axons/{id}/subscribe/sse", subscribe, methods=["GET"]),
    Route("/v1/axons/{id}/sql/query", query, methods=["POST"]),
    Route("/v1/axons/{id}/sql/batch", batch, methods=["POST"]),
]
