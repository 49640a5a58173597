"""Fixtures: the SDK on the session's embedded service, and a devbox to run commands in."""

from collections.abc import AsyncIterator

import pytest

from runloop_sdk import AsyncDevbox, AsyncRunloopSDK
from tests.local.serving import Service


@pytest.fixture
async def sdk(service: Service) -> AsyncIterator[AsyncRunloopSDK]:
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as client:
        yield client


@pytest.fixture
async def devbox(sdk: AsyncRunloopSDK) -> AsyncIterator[AsyncDevbox]:
    async with await sdk.devbox.create(name="sdk-tests") as box:
        yield box


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 0.0)
