"""Fixtures for tests in a real kernel."""

from types import ModuleType

import pytest

from tests.jupyter import kernels as _kernels


@pytest.fixture(scope="session")
def kernels() -> ModuleType:
    """`kernels.start(env=..., cwd=...)`: a context manager that yields a running kernel."""
    return _kernels
