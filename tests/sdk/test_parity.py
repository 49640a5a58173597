"""Nothing of the official client's async surface is missing here: classes, members, parameters, what they give."""

import importlib
import inspect
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import runloop_api_client.sdk as official_sdk

import runloop_sdk
from runloop_sdk import AsyncRunloopSDK, ConfigurationError

RENAMED_TYPES = {"AsyncStream": "EventStream"}
Method = Callable[..., Any]


def official_classes() -> dict[str, type]:
    """The async classes of the official sdk package, by name."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(official_sdk.__path__):
        if module.name.startswith("async_"):
            loaded = importlib.import_module(f"{official_sdk.__name__}.{module.name}")
            own = [c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__]
            found |= {c.__name__: c for c in own if not c.__name__.startswith("_")}
    return found


def missing_members(name: str, official: type) -> list[str]:
    """What a user of the official class would look for in vain in ours of the same name."""
    ours = getattr(runloop_sdk, name, None)
    if ours is None:
        return [name]
    public = [member for member in dir(official) if not member.startswith("_")]
    return [f"{name}.{member}" for member in public if not hasattr(ours, member)]


CLASSES = official_classes()
METHODS = {
    f"{kind.__name__}.{name}": method
    for kind in CLASSES.values()
    for name, method in inspect.getmembers(kind, inspect.isfunction)
    if not name.startswith("_")
}
every_method = pytest.mark.parametrize("name", METHODS)


def ours(name: str) -> Method:
    """Our method of this name."""
    kind, _, member = name.partition(".")
    return typing.cast("Method", getattr(getattr(runloop_sdk, kind), member))


def positional(method: Method) -> list[str]:
    return [p.name for p in inspect.signature(method).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]


def needed(method: Method) -> list[str]:
    """The parameters without a default."""
    named = [p for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return [p.name for p in named if p.default is p.empty and p.name != "self"]


def keywords(method: Method) -> Iterator[str]:
    """What a caller may pass by name, those of a TypedDict too."""
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named = str(parameter.annotation).removeprefix("Unpack[").removesuffix("]")
            yield from typing.get_type_hints(vars(sys.modules[method.__module__])[named])
        elif parameter.name != "self":
            yield parameter.name


def test_no_class_and_no_member_of_the_official_sdk_is_missing() -> None:
    assert [each for name, kind in CLASSES.items() for each in missing_members(name, kind)] == []
    assert len(CLASSES) >= 20
    assert len(METHODS) >= 100


def test_what_were_missing_would_be_listed() -> None:
    tomorrow = type("AsyncDevbox", (), {"hibernate": lambda self: self, "id": ""})
    assert missing_members("AsyncDevbox", tomorrow) == ["AsyncDevbox.hibernate"]
    assert missing_members("AsyncFleet", tomorrow) == ["AsyncFleet"]


@every_method
def test_arguments_without_a_name_come_in_the_official_order(name: str) -> None:
    theirs = positional(METHODS[name])
    assert positional(ours(name))[: len(theirs)] == theirs


@every_method
def test_every_official_method_gives_the_same(name: str) -> None:
    """Lists give the same when awaited; they can be walked besides."""
    theirs = inspect.signature(METHODS[name]).return_annotation.strip("\"'")
    mine = inspect.signature(ours(name)).return_annotation
    for official, renamed in RENAMED_TYPES.items():
        theirs = theirs.replace(official, renamed)
    if theirs.startswith("list["):
        assert mine.startswith("ResourceListing[")
        assert mine.endswith(theirs.removeprefix("list["))
    else:
        assert mine == theirs
        assert inspect.iscoroutinefunction(ours(name)) == inspect.iscoroutinefunction(METHODS[name])


class SentError(Exception):
    """The call went as far as the network."""


def refuse(request: httpx.Request) -> httpx.Response:
    raise SentError


@pytest.fixture
async def holders() -> dict[str, object]:
    """One of each class, by name."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    sdk = AsyncRunloopSDK(bearer_token="key", base_url="http://127.0.0.1:9", http_client=client)
    managers = [value for name in dir(sdk) if type(value := getattr(sdk, name)).__name__.endswith("Ops")]
    resources = [manager.from_id("x") for manager in managers]
    devbox, axon = sdk.devbox.from_id("x"), sdk.axon.from_id("x")
    parts = [axon.sql, devbox.cmd, devbox.file, devbox.net, devbox.execution("x"), sdk.secret.from_name("x")]
    return {type(each).__name__: each for each in [sdk, *managers, *resources, *parts]}


async def is_taken(method: Method, required: list[str], keyword: str) -> bool:
    """Whether a method takes a keyword: one it does not know is refused before anything else happens."""
    given = {name: "x" for name in required if name != keyword}
    try:
        answer = method(**given, **{keyword: None})
        if inspect.isawaitable(answer):
            await answer
    except (TypeError, ConfigurationError) as error:
        return re.search(f"(no parameter|unexpected keyword argument) '{keyword}'", str(error)) is None
    except (SentError, OSError):
        return True
    return True


@every_method
async def test_every_official_keyword_is_taken(holders: dict[str, object], name: str) -> None:
    kind, _, member = name.partition(".")
    holder = holders.get(kind)
    if holder is None:  # its methods need a command that has ended
        assert set(keywords(METHODS[name])) <= set(keywords(ours(name)))
        return
    method, required = getattr(holder, member), needed(ours(name))
    assert [each for each in keywords(METHODS[name]) if not await is_taken(method, required, each)] == []
    assert not await is_taken(method, required, "of_tomorrow")


def test_managers_hang_on_the_sdk_by_the_official_names() -> None:
    official = official_sdk.AsyncRunloopSDK(bearer_token="x", base_url="http://127.0.0.1:1")
    sdk = AsyncRunloopSDK(bearer_token="x", base_url="http://127.0.0.1:1")
    names = [name for name in vars(official) if not name.startswith("_")]
    assert {"api", "devbox", "blueprint", "snapshot", "storage_object"} <= set(names)
    assert [name for name in names if not hasattr(sdk, name)] == []


@pytest.mark.parametrize(
    "name", ["bearer_token", "base_url", "timeout", "max_retries", "default_headers", "default_query"]
)
def test_the_entry_point_takes_the_official_options(name: str) -> None:
    assert name in inspect.signature(AsyncRunloopSDK).parameters
