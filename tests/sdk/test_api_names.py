"""Names and keywords of `.api` beside those of the official client, found by introspection."""

import inspect
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import pytest
from runloop_api_client import AsyncRunloop
from runloop_api_client._resource import AsyncAPIResource

from runloop_sdk._config import resolve_config
from runloop_sdk._transport import Transport
from runloop_sdk.api._client import AsyncRunloopAPI
from tests.sdk.test_api_operations import params_of

# Loops over other operations. Here they are methods of the resources: `sdk.devbox.create`, `devbox.await_running`, ...
CONVENIENCES = {
    "blueprints.await_build_complete",
    "blueprints.create_and_await_build_complete",
    "devboxes.await_running",
    "devboxes.await_suspended",
    "devboxes.disk_snapshots.await_completed",
    "devboxes.execute_and_await_completion",
    "devboxes.executions.await_completed",
}
# `create_and_await_running` is one request here; whoever waits on asks `sdk.devbox.create`.
WAITING_KEYWORDS = {"polling_config"}


def official_methods(resource: object, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(type(resource)):
        value = None if name.startswith(("_", "with_")) else getattr(resource, name)
        if isinstance(value, AsyncAPIResource):
            yield from official_methods(value, f"{prefix}{name}.")
        elif callable(value) and isinstance(resource, AsyncAPIResource):
            yield prefix + name, value


OFFICIAL = dict(official_methods(AsyncRunloop(bearer_token="key")))
OPERATIONS = sorted(OFFICIAL.keys() - CONVENIENCES)


@pytest.fixture
def api() -> AsyncRunloopAPI:
    return AsyncRunloopAPI(Transport(resolve_config(bearer_token="key", environ={})))


def has(api: AsyncRunloopAPI, name: str) -> bool:
    try:
        return callable(attrgetter(name)(api))
    except AttributeError:
        return False


def test_no_operation_of_the_official_client_is_missing(api: AsyncRunloopAPI) -> None:
    assert len(OPERATIONS) >= 90
    assert OFFICIAL.keys() >= CONVENIENCES
    assert [name for name in OPERATIONS if not has(api, name)] == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_are_called_as_in_the_official_client(api: AsyncRunloopAPI, name: str) -> None:
    theirs = inspect.signature(OFFICIAL[name]).parameters.values()
    method = attrgetter(name)(api)
    ours = [p for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD]
    keywords = params_of(method).keys() | {p.name for p in ours if p.kind is p.KEYWORD_ONLY}
    assert [p.name for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert {p.name for p in theirs if p.kind is p.KEYWORD_ONLY} - keywords - WAITING_KEYWORDS == set()
