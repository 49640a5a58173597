"""Calls that check their arguments beside the same calls checked by a pydantic `TypeAdapter`; nothing is sent."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from inspect import unwrap
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Required, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

import typing_extensions
from pydantic import ConfigDict, TypeAdapter

import runloop_sdk
from benchmarks.imports import median_of_processes
from benchmarks.measure import Row
from runloop_sdk import AsyncDevbox, AsyncNetworkPolicyOps, AsyncSecret

Method = Callable[..., Coroutine[Any, Any, object]]
_JSON_TYPES = (int, float, str, bool, NoneType)
IMPORT = """
import time
from benchmarks import arguments
arguments.TypeAdapter(dict[str, int | None])
start = time.perf_counter()
arguments.import_resources(build_adapters={build_adapters})
print((time.perf_counter() - start) * 1000)
"""
# Another schema is built before: what pydantic loads for its first one is needed for the SDK's models in any case.
FIRST = """
import time
from benchmarks import arguments
arguments.TypeAdapter(dict[str, int | None])
method, args, keywords = arguments.CALLS[{name!r}]
start = time.perf_counter()
arguments.finish(arguments.{wrap}(method), args, keywords)
print((time.perf_counter() - start) * 1000)
"""


async def answer(*_args: object, **_keywords: object) -> object:
    return SimpleNamespace(id="id")


API: Any = SimpleNamespace(
    devboxes=SimpleNamespace(retrieve=answer),
    secrets=SimpleNamespace(update=answer),
    network_policies=SimpleNamespace(create=answer),
)
CALLS: dict[str, tuple[Method, tuple[Any, ...], dict[str, Any]]] = {
    "devbox.get_info()": (AsyncDevbox.get_info, (AsyncDevbox(API, "dbx_1"),), {}),
    'secret.update("value", timeout=3.0)': (AsyncSecret.update, (AsyncSecret(API, "name"), "value"), {"timeout": 3.0}),
    "network_policy.create(...) with 12 values": (
        AsyncNetworkPolicyOps.create,
        (AsyncNetworkPolicyOps(API),),
        {
            "name": "policy",
            "allow_all": False,
            "allow_mcp_gateway": True,
            "allowed_hostnames": ["example.com", "*.example.com", "example.org"],
            "allowed_cidrs": [{"cidr": "10.0.0.0/8", "ports": [{"port": 80, "end_port": 90, "protocol": "TCP"}]}],
            "description": "what the tests need",
            "timeout": 3.0,
        },
    ),
}


async def run() -> list[Row]:
    """What it costs at import, at the first call of a method, and at each call after that."""
    ours, peer = [await median_of_processes(IMPORT.format(build_adapters=build)) for build in (False, True)]
    rows = [Row("import the resources", ours, "ms", peer, "pydantic", "<= x0.50")]
    for name in CALLS:
        ours, peer = [await first_ms(name, wrap) for wrap in ("as_is", "by_pydantic")]
        rows.append(Row(f"first {name}", ours, "ms", peer, "pydantic", "<= x0.50"))
    return rows + [each_call(name) for name in CALLS]


async def first_ms(name: str, wrap: str) -> float:
    return await median_of_processes(FIRST.format(name=name, wrap=wrap))


def import_resources(*, build_adapters: bool) -> None:
    """Pydantic's own decorator, `validate_call`, builds its schemas here; ours resolves nothing before a call."""
    names = [name for name in runloop_sdk.__all__ if name.startswith("Async")]
    methods = [method for name in names for method in vars(getattr(runloop_sdk, name)).values()]
    for method in methods if build_adapters else ():
        if hasattr(method, "__wrapped__"):
            adapter_of(method)


def each_call(name: str) -> Row:
    """The fastest of turns."""
    method, args, keywords = CALLS[name]
    timers = [timeit.Timer(partial(finish, wrap(method), args, keywords)) for wrap in (as_is, by_pydantic)]
    turns = [[timer.timeit(2000) / 2000 * 1e6 for timer in timers] for _ in range(15)]
    ours, peer = map(min, zip(*turns, strict=True))
    return Row(f"each {name}", ours, "us", peer, "pydantic", "<= x1.50")


def finish(method: Method, args: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    """Run a call that waits for nothing to its end."""
    with suppress(StopIteration):
        method(*args, **keywords).send(None)


def as_is(method: Method) -> Method:
    return method


def by_pydantic(method: Method) -> Method:
    """As little as can be done: no sentence about what is wrong, and no check of positional arguments."""
    adapter, unchecked = adapter_of(method), unwrap(method)

    async def call(*args: Any, **keywords: Any) -> object:
        adapter.validate_python(keywords)
        return await unchecked(*args, **keywords)

    return call


def adapter_of(method: Method) -> TypeAdapter[Any]:
    """The adapter for the keywords of a method's `**params`, or for none if it has no such."""
    function = unwrap(method)
    unpacked = next((hint for hint in function.__annotations__.values() if hint.startswith("Unpack[")), None)
    typed_dict = get_args(eval(unpacked, function.__globals__))[0] if unpacked else NoParams
    return TypeAdapter(as_typed_dict(typed_dict, extra="forbid"))


class NoParams(TypedDict):
    """The keywords of a method without `**params`."""


def as_typed_dict(typed_dict: Any, *, extra: Literal["forbid", "ignore"]) -> Any:
    """On Python 3.11 pydantic refuses a `TypedDict` that is not from `typing_extensions`."""
    types = {name: as_lenient(hint) for name, hint in get_type_hints(typed_dict, include_extras=True).items()}
    make: Any = typing_extensions.TypedDict
    made = make(typed_dict.__name__, types, total=False)
    made.__pydantic_config__ = ConfigDict(strict=True, extra=extra)
    return made


def as_lenient(hint: Any) -> Any:
    """A type that accepts what our check accepts: any string for a `Literal`, anything for types that JSON lacks."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return as_typed_dict(hint, extra="ignore")
    if origin in (Union, UnionType):
        return Union[tuple(as_lenient(each) for each in inner)]  # noqa: UP007 - known only when it runs
    if origin is Literal:
        return Union[tuple({type(each) for each in inner})]  # noqa: UP007
    if origin is Required:
        return Required[as_lenient(inner[0])]
    if origin is Sequence:
        return Sequence[as_lenient(inner[0])]  # type: ignore[misc]
    if origin is Mapping:
        return Mapping[inner[0], as_lenient(inner[1])]  # type: ignore[misc, valid-type]
    return hint if hint in _JSON_TYPES else Any
