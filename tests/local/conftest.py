"""Fixtures: a checking client of the session's service, and a devbox."""

from collections.abc import AsyncIterator

import pytest

from tests.local.api import Api, connect
from tests.local.serving import Service


@pytest.fixture
async def api(service: Service) -> AsyncIterator[Api]:
    async with connect(service) as client:
        yield client


@pytest.fixture
async def devbox(api: Api) -> AsyncIterator[str]:
    devbox_id = await api.create()
    yield devbox_id
    await api.json(f"/v1/devboxes/{devbox_id}/shutdown", {})
