"""`/local/images`: the images on this machine; an extension of the cloud's API."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse
from starlette.routing import Route

from ..engine.errors import EngineError
from ..sandbox import SandboxError
from .body import Body, read_body
from .wire import engine_of, json_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.images import Images
    from ..images import Image


class Pull(Body, frozen=True):
    """POST /local/images/pull."""

    image: str


async def list_all(request: Request) -> Response:
    """GET /local/images: those that are here as a whole, by name."""
    return json_response({"images": [_view(image) for image in engine_of(request).images.list()]})


async def pull(request: Request) -> Response:
    """POST /local/images/pull: bring an image here, or up to date.

    Answers a JSON object in each line: `step` says what is being done, the last one has the `image` or an `error`.
    """
    body = await read_body(request, Pull)
    return StreamingResponse(_lines(engine_of(request).images, body.image), media_type="application/x-ndjson")


async def _lines(images: Images, reference: str) -> AsyncIterator[bytes]:
    steps: asyncio.Queue[str | None] = asyncio.Queue()
    pulling = asyncio.create_task(images.pull(reference, steps.put_nowait))
    pulling.add_done_callback(lambda _: steps.put_nowait(None))
    try:
        while (step := await steps.get()) is not None:
            yield _line({"step": step})
        yield _line({"image": _view(pulling.result())})
    except (EngineError, SandboxError) as error:
        yield _line({"error": str(error)})
    finally:
        pulling.cancel()  # the client has gone; what is here already stays


def _line(content: dict[str, Any]) -> bytes:
    return f"{json.dumps(content)}\n".encode()


def _view(image: Image) -> dict[str, Any]:
    return {
        "reference": str(image.reference),
        "digest": image.digest,
        "layers": len(image.layers),
        "bytes": image.size,
    }


ROUTES = [
    Route("/local/images", list_all, methods=["GET"]),
    Route("/local/images/pull", pull, methods=["POST"]),
]
