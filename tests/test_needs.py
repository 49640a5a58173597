"""What a test needs is found in its code, however the code comes to it; and what is not marked cannot start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.jupyter import embedded, kernels
from tests.local.serving import serving
from tests.needs import marks_of_code, nothing_started


def by_itself() -> None:
    with serving(Path()):
        pass


def by_a_function_in_it() -> None:
    def start() -> None:
        by_itself()

    start()


@contextmanager
def by_modules() -> Iterator[None]:
    with embedded.embedded_home(Path()) as home, kernels.start(home.env):
        yield


class Starter:
    def start(self) -> None:
        by_itself()


def by_a_class() -> None:
    Starter().start()


TABLE = {"one": [partial(by_itself)]}


def by_a_table() -> None:
    TABLE["one"][0]()


def by_none() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)
    by_none()


@pytest.mark.parametrize("code", [by_itself, by_a_function_in_it, by_a_class, by_a_table])
def test_what_starts_a_service_is_found(code: Callable[[], object]) -> None:
    assert marks_of_code(code) == {"service"}


def test_all_that_is_started_is_found() -> None:
    assert marks_of_code(by_modules) == {"service", "kernel"}


def test_what_starts_nothing_of_it_has_no_mark() -> None:
    assert marks_of_code(by_none) == set()


def test_what_is_started_without_a_mark_fails() -> None:
    with nothing_started(), pytest.raises(pytest.fail.Exception, match="starts"):
        subprocess.run([sys.executable, "-m", "runloop_local", "status"], check=False)
