from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

OLD = ("1.29.0", "1.32.0")
"""Releases of the client's 1.x series: which openai-agents may have, and the last."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class OldClient:
    """An environment that has another release of the client than this one."""

    version: str
    python: Path


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """The other workers wait, who would make the same at the same time."""
    with Path(sys.prefix, f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session", params=OLD)
def old_client(request: pytest.FixtureRequest) -> OldClient:
    """Each old release, in an environment that is made once."""
    folder = ROOT / f".venv-{request.param.rpartition('.')[0]}"
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    with _alone(folder.name):
        if not (folder / "ready").exists():
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
            wanted = f"runloop-api-client=={request.param}"
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, wanted], check=True)
            (folder / "ready").touch()
    return OldClient(request.param, python)
