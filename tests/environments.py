"""Virtual environments that tests make once, beside the one they run in."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(name: str, *packages: str, stamp: str = "", version: str = sys.executable) -> Path:
    """The Python of an environment in the folder `name` with these packages, made anew where the stamp is another.

    `version` is a Python for uv: its path.
    """
    folder = ROOT / name
    python, uv, ready = folder / "bin" / "python", Path(sys.executable).with_name("uv"), folder / "ready"
    wanted = "\n".join([*packages, stamp, version])
    with _alone(name):
        if not ready.exists() or ready.read_text() != wanted:
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", version, folder], check=True)
            refreshed = ["--refresh-package", "runloop-jupyter"]  # else uv may take what it built before
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *refreshed, *packages], check=True)
            ready.write_text(wanted)
    return python


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """The other workers wait, who would make the same at the same time."""
    with Path(sys.prefix, f"{name.replace('/', '-')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
