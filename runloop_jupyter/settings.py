"""What a user may set for a whole notebook with `%config RunloopMagics.NAME = VALUE`."""

from __future__ import annotations

from dataclasses import dataclass, field

from .durations import spell_duration

SIZES = ("x_small", "small", "medium", "large", "x_large", "xx_large")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one session, each with what it is. Times are in seconds; "" is the service's own choice."""

    keep_alive: float = field(
        default=3600.0, metadata={"help": "how long a new devbox outlives a kernel that was killed: 90s, 30m, 2h"}
    )
    keep: bool = field(default=False, metadata={"help": "whether new devboxes stay when the kernel ends"})
    size: str = field(default="", metadata={"help": "of new devboxes: x_small, small, medium, large, ..."})
    blueprint: str = field(default="", metadata={"help": "that new devboxes start from, a name or an id"})


def spelled(settings: Settings, name: str) -> str:
    """The value of a setting as a person reads it."""
    value = getattr(settings, name)
    return spell_duration(value) if name == "keep_alive" else str(value) or "(the service's own)"
