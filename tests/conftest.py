"""Fixtures for all tests: one embedded service for each worker, and a state folder for each test."""

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.local.serving import Service, serving
from tests.needs import NEEDS, marks_of, nothing_started
from tests.own_state import own_state

# As in the Makefile, where pytest is called by itself.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_numbers = count(1)


_LONGEST_FIRST = ("test_distributions.py", "soak", "browser", "contract", "jupyter", "local", "sdk")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, object] | None, object]:
    """What a test printed may hold bytes that are no text: sent as they are, they would end all workers."""
    return _sendable((yield))


def _sendable(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_sendable, value))
    return value


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what each test needs; begin with the files that take longest, so that no worker waits for one of them."""
    for item in items:
        if isinstance(item, pytest.Function):
            for name in marks_of(item):
                item.add_marker(name)
    rank = {name: number for number, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0].split("/")[1], len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the fixtures of a test to what it is marked with. The last one also ends those of its whole file."""
    with _held(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Hold a test to what it is marked with."""
    with _held(item):
        return (yield)


def _held(item: pytest.Item) -> AbstractContextManager[None]:
    return nullcontext() if NEEDS & {mark.name for mark in item.iter_markers()} else nothing_started()


@pytest.fixture(scope="session", autouse=True)
def _states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of all state folders; what lives longer than a test has one there, too."""
    folder = tmp_path_factory.mktemp("states")
    with own_state(folder / "session"):
        yield folder


@pytest.fixture(autouse=True)
def _own_state(_states: Path) -> Iterator[None]:
    with own_state(_states / str(next(_numbers))):
        yield


# What fails here fails everywhere. `pytest --hypothesis-profile search` looks for more, for as many examples.
_ALWAYS = settings(
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
settings.register_profile("suite", _ALWAYS, derandomize=True, max_examples=100)
settings.register_profile("search", _ALWAYS, max_examples=10_000)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with `.base_url`, `.api_key` and `.isolation`."""
    with serving(tmp_path_factory.mktemp("service") / "data") as running:
        yield running
