"""The settings of a notebook, which the user changes with `%config RunloopMagics.NAME = VALUE`."""

from __future__ import annotations

from dataclasses import dataclass, field

from .text.durations import spell_duration


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one session, with their help. Times are in seconds; "" or None means not set."""

    keep_alive: float | None = field(
        default=None,
        metadata={
            "help": "how long a devbox outlives the kernel, if its service cannot watch the kernel or keep is set: "
            "90s, 2h; by default 10m, with keep 1h"
        },
    )
    keep: bool = field(default=False, metadata={"help": "whether new devboxes stay when the kernel ends"})
    size: str = field(default="", metadata={"help": "the size of new devboxes: x_small, small, medium, large, ..."})
    blueprint: str = field(
        default="", metadata={"help": "the name or id of the blueprint that new devboxes start from"}
    )
    start_timeout: float | None = field(
        default=None,
        metadata={
            "help": "how long a cell waits for the embedded service to start: 90s, 5m; "
            "by default RUNLOOP_LOCAL_START_TIMEOUT seconds, or 60"
        },
    )
    frame_network: bool = field(
        default=False,
        metadata={"help": "whether plots and other output with scripts may load libraries, maps, ... from the network"},
    )
    columns: int = field(
        default=0,
        metadata={
            "help": "the width of a cell in characters, as commands see it, 20 to 500; by default 100, or the width of "
            "the terminal"
        },
    )
    refused: tuple[str, ...] = ()
    """The values that were refused, as a sentence for each."""


def format_setting(settings: Settings, name: str) -> str:
    """The value of a setting as text."""
    value = getattr(settings, name)
    if isinstance(value, float):
        return spell_duration(value)
    if value is None:
        return "(not set)"
    return str(value) or "(the service's own)"
