"""Fixtures: a session on the tests' embedded service, and pages with panels on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runloop_jupyter.session import Session
from tests.jupyter.panel.page import pages
from tests.local.serving import Service

__all__ = ["pages"]


@pytest.fixture
async def session(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Session]:
    monkeypatch.chdir(tmp_path)
    made = Session({"RUNLOOP_API_KEY": service.api_key, "RUNLOOP_BASE_URL": service.base_url}, say=lambda text: None)
    yield made
    await made.close()
