"""The check of a call's arguments beside the same by a pydantic `TypeAdapter`, which here only says yes or no."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import typing_extensions
from pydantic import ConfigDict, TypeAdapter

from benchmarks.imports import median_of_processes
from benchmarks.measure import Row
from runloop_sdk._arguments import resolve_signature
from runloop_sdk.resources.command import AsyncCommandInterface
from runloop_sdk.resources.devbox import AsyncDevbox, AsyncDevboxOps

Check = Callable[[Sequence[Any], Mapping[str, Any]], object]
_JSON_TYPES = (int, float, str, bool, NoneType)
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "get_info()": (AsyncDevbox.get_info, (None,), {}),
    'exec("true", timeout=3.0)': (AsyncCommandInterface.exec, (None, "true"), {"timeout": 3.0}),
    "create(...) with 12 values": (
        AsyncDevboxOps.create,
        (None,),
        {
            "name": "worker",
            "environment_variables": {"LANG": "C.UTF-8", "TZ": "UTC"},
            "metadata": {"team": "data", "owner": "me"},
            "launch_parameters": {
                "launch_commands": ["apt-get update", "pip install ."],
                "keep_alive_time_seconds": 3600,
                "resource_size_request": "SMALL",
                "after_idle": {"idle_time_seconds": 300, "on_idle": "suspend"},
            },
        },
    ),
}
IMPORT = """
import time
import pydantic, runloop_sdk._arguments
if not {checked}:
    runloop_sdk._arguments.check_arguments = lambda cls: cls
start = time.perf_counter()
import runloop_sdk.api.devboxes, runloop_sdk.resources.devbox
print((time.perf_counter() - start) * 1000)
"""
# Another schema is built before: what pydantic loads for its first one is needed for the SDK's models in any case.
FIRST = """
import time
from benchmarks import arguments
arguments.TypeAdapter(dict[str, int | None])
method, args, keywords = arguments.CALLS[{name!r}]
start = time.perf_counter()
arguments.{make_check}(method)(args, keywords)
print((time.perf_counter() - start) * 1000)
"""


async def run() -> list[Row]:
    """What it costs at import, at the first call of a method, and at each call after that."""
    checked, unchecked = [await median_of_processes(IMPORT.format(checked=checked)) for checked in (True, False)]
    rows = [Row("import the methods of devboxes", checked, "ms", unchecked, "unchecked", "<= x1.10")]
    for name in CALLS:
        ours, peer = [await first_ms(name, make_check) for make_check in ("our_check", "pydantic_check")]
        rows.append(Row(f"first {name}", ours, "ms", peer, "pydantic", "<= x0.50"))
    return rows + [each_call(name) for name in CALLS]


async def first_ms(name: str, make_check: str) -> float:
    return await median_of_processes(FIRST.format(name=name, make_check=make_check))


def each_call(name: str) -> Row:
    """The fastest of turns."""
    method, positional, keywords = CALLS[name]
    timers = [timeit.Timer(partial(make(method), positional, keywords)) for make in (our_check, pydantic_check)]
    turns = [[timer.timeit(2000) / 2000 * 1e6 for timer in timers] for _ in range(15)]
    ours, peer = map(min, zip(*turns, strict=True))
    return Row(f"each {name}", ours, "us", peer, "pydantic")


def our_check(method: Callable[..., Any]) -> Check:
    return resolve_signature(method).check


def pydantic_check(method: Callable[..., Any]) -> Check:
    """As little as can be done: no sentence about what is wrong, and no check of positional arguments."""
    signature = resolve_signature(method)
    fields = {name: hint for name, hint in signature.types.items() if name in signature.accepted}
    adapter: TypeAdapter[Any] = TypeAdapter(as_typed_dict("Params", fields, extra="forbid"))
    return lambda _args, keywords: adapter.validate_python(keywords)


def as_typed_dict(name: str, fields: Mapping[str, Any], *, extra: Literal["forbid", "ignore"]) -> Any:
    """On Python 3.11 pydantic refuses a `TypedDict` that is not from `typing_extensions`."""
    types = {field: as_lenient(hint) for field, hint in fields.items()}
    make: Any = typing_extensions.TypedDict
    made = make(name, types, total=False)
    made.__pydantic_config__ = ConfigDict(strict=True, extra=extra)
    return made


def as_lenient(hint: Any) -> Any:
    """A type that takes what our check takes: any string for a `Literal`, anything for types that are not JSON's."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        return as_typed_dict(hint.__name__, get_type_hints(hint), extra="ignore")
    if origin in (Union, UnionType):
        return Union[tuple(as_lenient(each) for each in inner)]  # noqa: UP007 - known only when it runs
    if origin is Literal:
        return Union[tuple({type(each) for each in inner})]  # noqa: UP007
    if origin is Sequence:
        return Sequence[as_lenient(inner[0])]  # type: ignore[misc]
    if origin is Mapping:
        return Mapping[inner[0], as_lenient(inner[1])]  # type: ignore[misc, valid-type]
    return hint if hint in _JSON_TYPES else Any
