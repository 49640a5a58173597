"""What all routes share: reading requests, finding the engine, answering JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import Response

from ..engine.errors import InvalidError, TooLargeError, WaitExpiredError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..engine.engine import Engine
    from ..engine.store import Page

MAX_JSON_BYTES = 8 * 1024 * 1024
REQUEST_ID = "x-request-id"

B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """A request's JSON. Unknown fields are let pass, as clients of other versions send them."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def engine_of(request: Request) -> Engine:
    """The engine behind the application."""
    engine: Engine = request.app.state.engine
    return engine


def path_id(request: Request, name: str = "id") -> str:
    """An id out of the path."""
    return str(request.path_params[name])


def request_id(request: Request) -> str | None:
    """What stays the same when a client sends a request again."""
    return request.headers.get(REQUEST_ID)


async def read_body(request: Request, model: type[B], limit: int = MAX_JSON_BYTES) -> B:
    """The request's JSON as `model`; an empty body is an empty object."""
    try:
        return model.model_validate_json(await read_bytes(request, limit) or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InvalidError(f"{place}: {first['msg']}.") from error


async def read_bytes(request: Request, limit: int) -> bytes:
    """The request's body, if it is no longer than `limit` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > limit:
            raise _too_large(limit)
    return bytes(found)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The request's body is over {limit:,} bytes.")


def integer(request: Request, name: str, default: int, most: int | None = None, *, given: str | None = None) -> int:
    """A whole number out of the query, or else `given` in the body, from 0 to `most`."""
    text = request.query_params.get(name) or given
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or (most is not None and int(text) > most):
        raise InvalidError(
            f"{name} must be a whole number from 0{'' if most is None else f' to {most}'}, not {text[:40]!r}."
        )
    return int(text)


def flag(request: Request, name: str, *, default: bool, given: str | None = None) -> bool:
    """A true or false out of the query, or else `given` in the body."""
    text = (request.query_params.get(name) or given or "").lower()
    return default if not text else text in ("true", "1")


def hold(asked: float | None, most: float) -> float:
    """How long a wait is held: what was asked for, as far as the server goes."""
    return most if asked is None else max(0.0, min(asked, most))


def expired(what: str, statuses: list[str]) -> WaitExpiredError:
    """The answer of a wait that ran out."""
    return WaitExpiredError(f"{what} is not yet {' or '.join(statuses)}; ask again.")


def page_answer(key: str, page: Page) -> Response:
    """One page of a list, whose items are called `key`."""
    total = "" if page.total_count is None else f',"total_count":{page.total_count}'
    more = "true" if page.has_more else "false"
    return raw_answer(f'{{"{key}":[{",".join(page.views)}],"has_more":{more}{total}}}')


def answer(content: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return raw_answer(json.dumps(content, ensure_ascii=False, separators=(",", ":")), status)


def raw_answer(text: str, status: int = 200) -> Response:
    """An answer that is JSON text already."""
    # A lone surrogate cannot be sent; it can only come from a client that sent one.
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")
