"""What a user may set for a whole notebook with `%config RunloopMagics.NAME = VALUE`."""

from __future__ import annotations

from dataclasses import dataclass

from .elision import DisplayLimits


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one session. Times are in seconds."""

    keep_alive: float = 3600.0
    """How long a new devbox outlives a kernel that was killed."""
    keep: bool = False
    """Whether new devboxes stay when the kernel ends."""
    size: str = ""
    """Of new devboxes; empty for the service's own choice."""
    blueprint: str = ""
    """That new devboxes start from, a name or an id."""
    output_lines: int = DisplayLimits().head_lines
    """Of one command's output, shown before the middle is left out."""

    @property
    def limits(self) -> DisplayLimits:
        """How much a cell shows of a command's output."""
        return DisplayLimits(head_lines=self.output_lines)
