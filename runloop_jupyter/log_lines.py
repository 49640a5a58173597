"""What is new in a devbox's logs since the last look.

The API has no cursor, and what it answers is a window: of each command the last lines, of the commands the last ones. A
running command's lines may also change their times from answer to answer. So each stream of each command is told apart,
and what is new in it is what comes after the end of what was there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from runloop_sdk.models.logs import Log

Kind = Literal["command", "exit", "line", "gap"]
_GAP = "… lines are missing here: they came faster than logs can be asked for"


class LogLines:
    """Remembers what was there at the last look."""

    def __init__(self) -> None:
        self._last: dict[tuple[Any, ...], list[Any]] = {}

    def new(self, lines: Sequence[Log]) -> list[Log]:
        """Those that were not there, in their order; a line with the level `gap` stands where some were missed."""
        streams: dict[tuple[Any, ...], list[Log]] = defaultdict(list)
        for line in lines:
            streams[line.cmd_id, line.source, line.level, kind_of(line)].append(line)
        fresh: dict[int, Log | None] = {}  # by place in memory; what stands before it, where that is a gap
        last: dict[tuple[Any, ...], list[Any]] = {}
        for stream, found in streams.items():
            last[stream] = [(line.cmd, line.message, line.exit_code) for line in found]
            before = self._last.get(stream, [])
            known = len(before) if before == last[stream] else _overlap(before, last[stream])
            for line in found[known:]:
                fresh[id(line)] = None
            if before and not known:
                fresh[id(found[0])] = found[0].model_copy(update={"level": "gap", "message": _GAP, "cmd": None})
        self._last = last
        made: list[Log] = []
        for line in lines:
            if id(line) in fresh:
                gap = fresh[id(line)]
                made += [gap, line] if gap is not None else [line]
        return made


def kind_of(line: Log) -> Kind:
    """What a line is: the beginning of a command, its end, or something that was printed."""
    if line.level == "gap":
        return "gap"
    if line.cmd:
        return "command"
    return "exit" if line.exit_code is not None and not line.message else "line"


def said(line: Log) -> str:
    """What a line tells."""
    kind = kind_of(line)
    if kind == "command":
        return f"$ {line.cmd}".rstrip()
    return f"exit code {line.exit_code}" if kind == "exit" else line.message or ""


def _overlap(before: Sequence[Any], after: Sequence[Any]) -> int:
    """How many of the first of `after` are the last of `before`: as many as can be (Knuth, Morris and Pratt)."""
    shorter = [0] * len(after)
    length = 0
    for index in range(1, len(after)):
        length = _longer(after, shorter, length, after[index])
        shorter[index] = length
    length = 0
    for item in before:
        length = _longer(after, shorter, length if length < len(after) else shorter[length - 1], item)
    return length


def _longer(wanted: Sequence[Any], shorter: Sequence[int], length: int, item: Any) -> int:
    while length and wanted[length] != item:
        length = shorter[length - 1]
    return length + 1 if wanted[length] == item else length
