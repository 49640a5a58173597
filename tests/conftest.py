"""Fixtures for all tests: one embedded service for the whole session."""

from collections.abc import Iterator

import pytest

from tests.local.serving import Service, serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with `.base_url`, `.api_key` and `.isolation`."""
    with serving(tmp_path_factory.mktemp("service") / "data") as running:
        yield running
