"""What a test needs beside this process: read from the code that it and its fixtures run, and checked as they run."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

MARKS = {
    "jupyter_client.manager.KernelManager": "kernel",
    "nbclient.client.NotebookClient": "kernel",
    "pexpect.pty_spawn.spawn": "kernel",
    "playwright.sync_api.sync_playwright": "browser",
    "runloop_local.engine.engine.Engine": "service",
    "runloop_local.sandbox.namespaces.NamespacesIsolation": "service",
    "runloop_local.sandbox.probe.open_isolation": "service",
    "runloop_local.sandbox.process.ProcessIsolation": "service",
    "tests.browser.lab.serve_lab": "browser",
    "tests.container.podman.engine_home": "service",
    "tests.container.podman.serving_in_container": "service",
    "tests.jupyter.embedded.embedded_home": "service",
    "tests.jupyter.kernels": "kernel",
    "tests.local.serving.serving": "service",
}
"""The mark of a test whose code names one of these. A file whose tests start something else has it in `pytestmark`."""

NEEDS = frozenset({*MARKS.values(), "exhaustion"})
_OWN = ("tests.", "soak.")
_STARTED = re.compile(
    r"runloop_local|ipykernel\w*|IPython|jupyter\w*|marimo|papermill|nbconvert|.*/(runloop_local|chrom\w+)"
)


def marks_of(item: pytest.Function) -> frozenset[str]:
    """The marks of all that a test needs."""
    fixtures = [definitions[-1].func for definitions in item._fixtureinfo.name2fixturedefs.values()]
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return frozenset().union(*map(marks_of_code, filter(callable, (item.function, *fixtures, *parameters))))


@cache
def marks_of_code(function: object) -> frozenset[str]:
    """The marks of what a function's code names, and the code that it names, and so on."""
    found: set[str] = set()
    named, seen = [*_parts(function)], set()
    while named:
        value = named.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        name = _name(value)
        if name in MARKS:
            found.add(MARKS[name])
        elif isinstance(value, type):
            named += [part for each in vars(value).values() for part in _parts(each)]
        else:
            named += _globals_of(value)
    return frozenset(found)


def _parts(value: object) -> Iterator[object]:
    """What may lead to a mark: the value itself, or all such that it holds."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _parts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _parts(each)
    elif isinstance(value, partial):
        yield from _parts(value.func)
    elif (name := _name(value)) in MARKS or name.startswith(_OWN):
        yield value


def _name(value: object) -> str:
    """The full name of a module, a class or a function."""
    if isinstance(value, ModuleType):
        return value.__name__
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


def _globals_of(function: Any) -> tuple[object, ...]:
    """The values of the names in a function's code: its globals, what it takes from modules, and what it imports."""
    function = inspect.unwrap(function)
    return _parts_of_globals(function) if isinstance(function, FunctionType) else ()


@cache  # thousands of tests share their code
def _parts_of_globals(function: FunctionType) -> tuple[object, ...]:
    return tuple(part for value in _all_globals_of(function) for part in _parts(value))


def _all_globals_of(function: FunctionType) -> Iterator[object]:
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    imported = [sys.modules[name] for name in names & sys.modules.keys() if name.startswith(_OWN)]
    for value in (*(function.__globals__[name] for name in names & function.__globals__.keys()), *imported):
        yield from _values(value, names)


def _values(value: object, names: set[str]) -> Iterator[object]:
    """The value itself; of a module what is named of it, or all if it is handed on, as by a fixture that returns it."""
    if not isinstance(value, ModuleType):
        yield value
        return
    used = [vars(value)[name] for name in names & vars(value).keys()]
    if not value.__name__.startswith(_OWN):
        yield from used
        return
    if not used:
        yield from vars(value).values()
    for each in used:
        yield from _values(each, names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@contextmanager
def nothing_started() -> Iterator[None]:
    """Fails what starts a service, a kernel or a browser meanwhile."""
    begin = subprocess.Popen.__init__

    def checked(process: subprocess.Popen[Any], args: Any, *rest: Any, **options: Any) -> None:
        words = [args] if isinstance(args, str) else [str(word) for word in args]
        if any(_STARTED.fullmatch(word) for word in words):
            pytest.fail(
                f"A test that is marked as one that needs nothing starts {words}: see tests/needs.py.", pytrace=False
            )
        begin(process, args, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", checked)
        yield
