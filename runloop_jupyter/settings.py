"""What a user may set for a whole notebook with `%config RunloopMagics.NAME = VALUE`."""

from __future__ import annotations

from dataclasses import dataclass, field

from .text.durations import spell_duration

SIZES = ("x_small", "small", "medium", "large", "x_large", "xx_large")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one session, each with what it is. Times are in seconds; "" or None is no choice."""

    keep_alive: float | None = field(
        default=None,
        metadata={
            "help": "how long a devbox outlives a kernel that its service cannot see, with keep any: 90s, 2h; "
            "unless set, 10m, with keep 1h"
        },
    )
    keep: bool = field(default=False, metadata={"help": "whether new devboxes stay when the kernel ends"})
    size: str = field(default="", metadata={"help": "of new devboxes: x_small, small, medium, large, ..."})
    blueprint: str = field(default="", metadata={"help": "that new devboxes start from, a name or an id"})
    start_timeout: float | None = field(
        default=None,
        metadata={
            "help": "how long a cell waits for the embedded service to start: 90s, 5m; "
            "unless set, RUNLOOP_LOCAL_START_TIMEOUT seconds, else 60"
        },
    )
    frame_network: bool = field(
        default=False,
        metadata={"help": "whether plots and other output with scripts may load what is elsewhere: libraries, maps"},
    )
    columns: int = field(
        default=0,
        metadata={
            "help": "how many characters wide commands take the cell to be, 20 to 500; unless set, 100, in a terminal "
            "as wide as that is"
        },
    )
    refused: tuple[str, ...] = ()
    """What was set and does not fit, a sentence for each."""


def format_setting(settings: Settings, name: str) -> str:
    """The value of a setting as a person reads it."""
    value = getattr(settings, name)
    if isinstance(value, float):
        return spell_duration(value)
    if value is None:
        return "(not set)"
    return str(value) or "(the service's own)"
