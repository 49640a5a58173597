"""The common routes of configuration objects that are only stored: list, retrieve, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..engine.storage.store import Query
from .body import Body
from .wire import attempt_of, engine_of, flag, integer, json_response, page_response, path_id

if TYPE_CHECKING:
    from ..engine.config_collection import ConfigCollection
    from ..engine.engine import Engine

_LIST_LIMIT = 5000
Name = Annotated[str, Meta(min_length=1, max_length=255)]


class NamedBody(Body, frozen=True):
    """The fields that every entry may have."""

    name: Name | None = None
    description: Annotated[str, Meta(max_length=4096)] | None = None

    def names(self) -> dict[str, Any]:
        """The name and description, if given."""
        return {name: text for name, text in self.given().items() if name in ("name", "description")}


@dataclass(frozen=True, slots=True)
class CollectionRoutes:
    """The routes of one collection."""

    kind: str
    key: str
    collection: Callable[[Engine], ConfigCollection]

    def routes(self, path: str) -> list[Route]:
        """The routes to list, retrieve and delete below `path`."""
        return [
            Route(path, self.list_all, methods=["GET"]),
            Route(f"{path}/{{id}}", self.retrieve, methods=["GET"]),
            Route(f"{path}/{{id}}/delete", self.delete, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        """GET: one page of the list."""
        wanted = request.query_params.get("id")
        query = Query(
            self.kind,
            id=wanted or None,
            limit=integer(request, "limit", 20, _LIST_LIMIT),
            starting_after=request.query_params.get("starting_after") or None,
            search=request.query_params.get("search"),
            count=flag(request, "include_total_count", default=True),
            name_part=request.query_params.get("name") or None,
        )
        return page_response(self.key, await self.collection(engine_of(request)).page(query))

    async def retrieve(self, request: Request) -> Response:
        """GET: one entry."""
        return json_response(await self.collection(engine_of(request)).get(path_id(request)))

    async def delete(self, request: Request) -> Response:
        """POST: delete an entry; answers what it was."""
        return json_response(await self.collection(engine_of(request)).delete(path_id(request), attempt_of(request)))
