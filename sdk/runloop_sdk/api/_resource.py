"""The base of all REST resources: turns parameters into a request, and its answer into a view.

An operation names its view by a function, as `lambda: models.DevboxView`: pydantic and the models are imported, and the
schema is built, while the service works on the first answer that needs them. That takes longer than most answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from .._arguments import check_arguments
from .._errors import APIResponseError, ConfigurationError, RunloopError
from .._transport import Request, Transport
from ..params._options import OPTION_NAMES, LongPollingRequestOptions

if TYPE_CHECKING:
    from .._event_stream import EventResponse
    from .._pagination import Listing, Page
    from ..models import View

V = TypeVar("V", bound="View")


class APIResource:
    """The operations on one kind of resource."""

    def __init_subclass__(cls) -> None:
        check_arguments(cls)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _get(self, path: str, params: Mapping[str, Any], view: Callable[[], type[V]]) -> V:
        return await self._view(_without_body("GET", path, params), view)

    async def _post_empty(self, path: str, params: Mapping[str, Any], view: Callable[[], type[V]]) -> V:
        """Send a POST without a body."""
        return await self._view(_without_body("POST", path, params), view)

    async def _send_for_nothing(self, path: str, params: Mapping[str, Any], *, method: str = "POST") -> object:
        return await self._send_untyped(_without_body(method, path, params))

    async def _send_untyped(self, request: Request) -> object:
        """The answer of an operation that specifies none: any JSON, in most cases `{}`, or text."""
        response = await self._transport.send(request)
        with suppress(ValueError, RecursionError):
            return cast("object", json.loads(response.content))
        return response.text

    async def _post(
        self,
        path: str,
        params: Mapping[str, Any],
        view: Callable[[], type[V]],
        *,
        in_query: Iterable[str] = (),
        timeout: float | None = None,
        surface: tuple[type[RunloopError], ...] = (),
    ) -> V:
        body, options = split_options(params)
        query = {name: body.pop(name) for name in in_query if name in body}
        request = build_request("POST", path, options, query=query, json=body, timeout=timeout, surface=surface)
        return await self._view(request, view)

    async def _events(self, path: str, params: Mapping[str, Any], view: Callable[[], type[V]]) -> EventResponse[V]:
        from .._event_stream import EventResponse  # with pydantic

        query, options = split_options(params)
        timeout = self._transport.config.stream_timeout
        headers = {"accept": "text/event-stream"}
        request = build_request("GET", path, options, query=query, headers=headers, timeout=timeout)
        return EventResponse(self._transport, request, view())

    async def _view(self, request: Request, view: Callable[[], type[V]]) -> V:
        response = await self._transport.send(request._replace(meanwhile=lambda: view().build_now()))
        kind = view()
        with _validating(request, kind.__name__):
            return kind.model_validate_json(response.content or b"{}")

    def _list(
        self, path: str, params: Mapping[str, Any], view: Callable[[], type[V]], *, items: str, key: str = "id"
    ) -> Listing[V]:
        from .._pagination import Listing

        query, options = split_options(params)
        starting_after = query.pop("starting_after", None)
        request = build_request("GET", path, options, query=query)
        fetch = partial(self._page, request, view, items, key)
        return Listing(fetch, key=lambda item: str(getattr(item, key)), starting_after=starting_after)

    async def _page(
        self, request: Request, view: Callable[[], type[V]], items: str, key: str, starting_after: str | None
    ) -> Page[V]:
        from .._pagination import Page

        if starting_after:
            request = request._replace(query={**request.query, "starting_after": starting_after})
        response = await self._transport.send(request._replace(meanwhile=lambda: view().build_now()))
        kind = view()
        with _validating(request, f"list of {items}"):
            answer = _from_json(response.content)
            found = tuple(kind.model_validate(item) for item in answer.get(items) or ())
            if starting_after and found and str(getattr(found[-1], key)) == starting_after:
                return Page(())  # the service ignores `starting_after`: without this, its pages would never end
            return Page(found, bool(answer.get("has_more")), answer.get("total_count"))


@contextmanager
def _validating(request: Request, what: str) -> Iterator[None]:
    """Raise `APIResponseError` for invalid answers, which names the fields, but never their values: some are secret."""
    try:
        yield
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        problems = _problems(error)
    else:
        return
    message = f"The answer to {request.method} {request.path} is no {what} ({problems})"
    raise APIResponseError(message, method=request.method, path=request.path) from None


def _problems(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
    return "not the JSON that was expected"


async def get_json(transport: Transport, path: str, query: Mapping[str, Any], timeout: float | None) -> Any:
    """The JSON answer of a route to a GET; raises `APIResponseError` if it is not JSON."""
    request = Request("GET", path, query=_query(query), timeout=timeout)
    response = await transport.send(request)
    with _validating(request, "JSON"):
        return _from_json(response.content)


async def post_json(transport: Transport, path: str, body: Mapping[str, Any]) -> Any:
    """The JSON answer of a route to a POST; raises `APIResponseError` if it is not JSON."""
    request = Request("POST", path, json=body)
    response = await transport.send(request)
    with _validating(request, "JSON"):
        return json.loads(response.content)  # pydantic's parser would be imported before the first command's devbox


def _from_json(content: bytes) -> Any:
    from pydantic_core import from_json  # refuses text that is no Unicode, as names may be

    return from_json(content)


def path_of(template: str, *parts: str) -> str:
    """A route with quoted parts for its `{}`; raises `ConfigurationError` for one that would change the route."""
    for part in parts:
        if not _is_name(part):
            raise ConfigurationError(f"{template} needs an id or a name, not {part!r}.")
    return template.format(*(quote(part, safe="") for part in parts))


def _is_name(part: object) -> bool:
    return isinstance(part, str) and part not in ("", ".", "..")


def split_options(params: Mapping[str, Any]) -> tuple[dict[str, Any], LongPollingRequestOptions]:
    """Split keywords into the parameters of the API, without those that are None, and the options of the call."""
    given = {name: value for name, value in params.items() if value is not None}
    options = {name: given.pop(name) for name in OPTION_NAMES & given.keys()}
    return given, cast("LongPollingRequestOptions", options)


def _without_body(method: str, path: str, params: Mapping[str, Any]) -> Request:
    query, options = split_options(params)
    return build_request(method, path, options, query=query)


def build_request(
    method: str,
    path: str,
    options: LongPollingRequestOptions,
    *,
    query: Mapping[str, Any] | None = None,
    json: Mapping[str, Any] | None = None,
    content: AsyncIterator[bytes] | Callable[[], AsyncIterator[bytes]] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    surface: tuple[type[RunloopError], ...] = (),
) -> Request:
    """The request of an operation; the `timeout` in the caller's options overrides the operation's own."""
    return Request(
        method,
        path,
        query={**_query(query or {}), **(options.get("extra_query") or {})},
        json=_merged(json, options.get("extra_body")),
        content=content,
        headers={**(headers or {}), **(options.get("extra_headers") or {})},
        idempotency_key=options.get("idempotency_key"),
        timeout=options.get("timeout", timeout),
        surface=surface,
    )


def _merged(body: Mapping[str, Any] | None, extra: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if body is None and not extra else {**(body or {}), **(extra or {})}


_ALIASES = {"metadata_key": "metadata[key]", "metadata_key_in": "metadata[key][in]"}


def _query(values: Mapping[str, Any]) -> dict[str, Any]:
    """Encode query parameters for the API: booleans as `true` and `false`, the items of a mapping as `name[key]`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_filter(name, key, wanted) for key, wanted in value.items())
        elif isinstance(value, bool):
            flat[name] = "true" if value else "false"
        else:
            flat[_ALIASES.get(name, name)] = value
    return flat


def _filter(name: str, key: str, wanted: str | Sequence[str]) -> tuple[str, str]:
    if isinstance(wanted, str):
        return f"{name}[{key}]", wanted
    return f"{name}[{key}][in]", ",".join(wanted)
