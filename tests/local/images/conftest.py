"""A registry, and a store of images on this machine's best isolation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from runloop_local.images import RegistrySettings
from runloop_local.images.store import ImageStore
from runloop_local.sandbox.base import ImageLayers
from runloop_local.sandbox.namespaces import NamespacesIsolation
from tests.local.images.registry import Registry, serving
from tests.local.sandbox.conftest import NAMESPACES, driver_named

MakeStore = Callable[..., ImageStore]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def isolation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NamespacesIsolation]:
    if not NAMESPACES:
        pytest.skip("this machine offers no namespaces")
    isolation = NamespacesIsolation(tmp_path_factory.mktemp("images"), driver_named(NAMESPACES[0]))
    yield isolation
    await isolation.aclose()


@pytest.fixture
def layers(isolation: NamespacesIsolation) -> ImageLayers:
    assert isolation.image_layers is not None
    return isolation.image_layers


@pytest_asyncio.fixture(loop_scope="session")
async def registry() -> AsyncIterator[Registry]:
    async with serving(Registry()) as served:
        yield served


@pytest.fixture
def make_store(layers: ImageLayers, tmp_path: Path) -> MakeStore:
    def make(settings: RegistrySettings | None = None, **environment: str) -> ImageStore:
        home = {"HOME": str(tmp_path), "PATH": str(tmp_path), **environment}
        return ImageStore(tmp_path / "records", layers, settings, environment=home, backoff=0)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> ImageStore:
    return make_store()
