from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OLD = "1.29.0"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The interpreter of an environment that has the client's last 1.x release, made once."""
    folder = ROOT / f".venv-{OLD.rpartition('.')[0]}"
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    if not (folder / "ready").exists():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        wanted = f"runloop-api-client=={OLD}"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, wanted], check=True)
        (folder / "ready").touch()
    return python
