"""Where tests keep what the extension and the service keep for an account: never where this account keeps its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def kept_in(folder: Path) -> dict[str, str]:
    """An environment in which all of it is kept in `folder`, and that names no service."""
    return {
        "RUNLOOP_LOCAL_HOME": str(folder),
        "RUNLOOP_JUPYTER_HOME": str(folder / "runloop-jupyter"),
        "XDG_STATE_HOME": str(folder),
        "RUNLOOP_API_KEY": "",
        "RUNLOOP_BASE_URL": "",
    }


def open_to_all(folder: Path) -> None:
    """Let every account into a folder of a test; pytest makes those above it for this account alone."""
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            return
        each.chmod(0o755)


@contextmanager
def own_state(folder: Path) -> Iterator[None]:
    """This process, and all that it starts, keep it in `folder`; fails where a service was started there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kept_in(folder).items():
            if value:
                patch.setenv(name, value)
            else:
                patch.delenv(name, raising=False)
        yield
        if (folder / "service.lock").exists():
            subprocess.run([sys.executable, "-m", "runloop_local", "stop"], check=True)
            pytest.fail("A service was started that nobody would have stopped: use the environment of a `home`.")
