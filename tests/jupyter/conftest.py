"""Fixtures for tests in a real kernel, against a service of the module's own."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.jupyter import kernels as _kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.jupyter.kernels import Kernel


@pytest.fixture(scope="session")
def kernels() -> ModuleType:
    """`kernels.start(env=..., cwd=...)`: a context manager that yields a running kernel."""
    return _kernels


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The folder of a service, which the first kernel that needs it starts."""
    with embedded_home(tmp_path_factory.mktemp("home")) as folder:
        yield folder


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    """A kernel with the magics and the devbox `main`."""
    with _kernels.start(home.env) as started:
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        yield started
