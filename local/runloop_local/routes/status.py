"""`/local/status` and `/local/prune`: the state of the embedded service; an extension of the cloud's API."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta
from starlette.routing import Route

from .. import __version__
from .body import Body, read_body
from .wire import LARGEST, engine_of, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class Prune(Body, frozen=True):
    """POST /local/prune."""

    kinds: list[Literal["logs", "records", "builds", "cache", "images"]]
    older_than_ms: Annotated[int, Meta(ge=0, le=LARGEST)] = 0
    live: bool = False


async def status(request: Request) -> Response:
    """GET /local/status: from memory, without reading the disk."""
    engine = engine_of(request)
    return json_response(
        {
            "version": __version__,
            "pid": os.getpid(),
            "isolation": engine.isolation.name,
            "limits": dict(engine.isolation.limits),
            "notes": list(engine.notes),
            "weaknesses": list(engine.isolation.weaknesses),
            "devboxes": engine.devboxes.counts(),
            "image": engine.standard_image.name if engine.standard_image is not None else None,
            "images": len(engine.images.list()),
            "kept": {kind: asdict(usage) for kind, usage in engine.retention.usage().items()},
        }
    )


async def prune(request: Request) -> Response:
    """POST /local/prune: delete data that is no longer needed; answers the bytes freed, by kind."""
    body = await read_body(request, Prune)
    return json_response({"freed": await engine_of(request).prune(body.kinds, body.older_than_ms, live=body.live)})


ROUTES = [
    Route("/local/status", status, methods=["GET"]),
    Route("/local/prune", prune, methods=["POST"]),
]
