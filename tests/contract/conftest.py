from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.environments import environment

OLD = ("1.29.0", "1.32.0")
"""Releases of the client's 1.x series: which openai-agents may have, and the last."""


@dataclass(frozen=True)
class OldClient:
    """An environment that has another release of the client than this one."""

    version: str
    python: Path


@pytest.fixture(scope="session", params=OLD)
def old_client(request: pytest.FixtureRequest) -> OldClient:
    """Each old release, in an environment that is made once."""
    series = request.param.rpartition(".")[0]
    python = environment(f".venv-{series}", f"runloop-api-client=={request.param}")
    return OldClient(request.param, python)
