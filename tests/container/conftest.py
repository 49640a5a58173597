"""Fixtures: a Podman of the tests' own, in whose containers the service runs that other tests have on this machine."""

from collections.abc import Iterator

import pytest

from tests.container.podman import Podman, needs_podman, podman, serving_in_container
from tests.local.serving import Service


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs Podman where there is none."""
    for item in items:
        if isinstance(item, pytest.Function) and "engine" in item.fixturenames:
            item.add_marker(needs_podman)


@pytest.fixture(scope="session")
def engine() -> Podman:
    """The engine, with its base image."""
    return podman()


@pytest.fixture(scope="session")
def service(engine: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service in a container, in place of one on this machine."""
    with serving_in_container(engine, tmp_path_factory.mktemp("service") / "home") as running:
        yield running
