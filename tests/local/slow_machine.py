"""A machine on which services take their time to start: as long as a test wants it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Python runs a file of this name before any program.
_SITE = """
import os, sys, time
if "serve" in sys.orig_argv:
    with open(os.environ["GATE"] + ".starts", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.01)
"""


@dataclass(frozen=True)
class SlowMachine:
    """Services that are started with its environment do not begin before the gate is opened."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of whoever starts services."""
        python = self.folder / "python"
        python.mkdir(exist_ok=True)
        (python / "sitecustomize.py").write_text(_SITE)
        return {"PYTHONPATH": str(python), "GATE": str(self.folder / "gate")}

    def open(self) -> None:
        """Let them begin."""
        (self.folder / "gate").touch()

    @property
    def starts(self) -> list[int]:
        """The process of each service that was started."""
        file = self.folder / "gate.starts"
        return [int(line) for line in file.read_text().split()] if file.exists() else []
