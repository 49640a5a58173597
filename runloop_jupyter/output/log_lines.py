"""Finds the lines of a devbox's logs that are new since the last request.

The API has no cursor. An answer is a window: the last lines of the last commands. And a running command's lines may
have other timestamps in the next answer. So the lines are compared stream by stream for each command, and the new ones
are those that follow the end of the previous answer.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runloop_sdk.models.logs import Log

Kind = Literal["command", "exit", "line", "gap"]
_STRUCTURED = re.compile(r"(?:\x1e|^)[0-9a-f]{16}(\{.*)", re.DOTALL)
"""A line that `remote.interpreter` sends to the notebook: a mark, the cell's token, and JSON."""
_GAP = "… lines are missing here: they came faster than logs can be asked for"


class LogLines:
    """Compares each answer with the one before."""

    def __init__(self) -> None:
        self._last: dict[tuple[object, ...], list[Log]] = {}
        self._own: set[str | None] = set()

    def new(self, lines: Sequence[Log]) -> list[Log]:
        """The new lines, in order. A line with the level `gap` stands where some were missed.

        Of a line that was incomplete last time only the added part is returned. Commands that the notebook or the panel
        ran for themselves are left out, with their output.
        """
        from runloop_sdk.own_commands import is_own

        # Remembered, because the line that begins a command may have left the window before its output does.
        self._own.update(line.cmd_id for line in lines if line.cmd and line.cmd_id and is_own(line.cmd))
        lines = [line for line in lines if line.cmd_id not in self._own]
        streams: dict[tuple[object, ...], list[Log]] = defaultdict(list)
        for line in lines:
            streams[line.cmd_id, line.source, line.level, kind_of(line)].append(line)
        fresh: dict[int, list[Log]] = {}  # by the id() of a line: the lines to show for it
        for stream, found in streams.items():
            fresh.update(_added(self._last.get(stream, []), found))
        self._last = dict(streams)
        return [shown for line in lines for shown in fresh.get(id(line), ()) if not _is_structured(shown)]


def _added(before: Sequence[Log], after: Sequence[Log]) -> dict[int, list[Log]]:
    """The lines of `after` that follow the end of `before`, by the id() of the line that they are shown for."""
    known = _overlap([_text(line) for line in before], [_text(line) for line in after])
    if known or not before:
        return {id(line): [line] for line in after[known:]}
    # No overlap: the last line may have been incomplete and have grown since. Compare again without it.
    known = _overlap([_text(line) for line in before[:-1]], [_text(line) for line in after])
    begun, grown = before[-1].message or "", after[known].message if known < len(after) else None
    if begun and grown and grown.startswith(begun) and (known or len(before) == 1):
        rest = after[known].model_copy(update={"message": f"…{grown[len(begun) :]}"})
        return {id(after[known]): [rest], **{id(line): [line] for line in after[known + 1 :]}}
    gap = after[0].model_copy(update={"level": "gap", "message": _GAP, "cmd": None})
    return {id(after[0]): [gap, after[0]], **{id(line): [line] for line in after[1:]}}


def _text(line: Log) -> tuple[str | None, str | None, int | None]:
    return line.cmd, line.message, line.exit_code


def kind_of(line: Log) -> Kind:
    """The kind of a line: the beginning of a command, its end, a line that it printed, or a gap."""
    if line.level == "gap":
        return "gap"
    if line.cmd:
        return "command"
    return "exit" if line.exit_code is not None and not line.message else "line"


def display_text(line: Log) -> str:
    """A line as a person reads it."""
    kind = kind_of(line)
    if kind == "command":
        return f"$ {_command(line.cmd or '')}".rstrip()
    return f"exit code {line.exit_code}" if kind == "exit" else _STRUCTURED.sub(_displayed, line.message or "")


def _command(sent: str) -> str:
    """A command as it was typed, without the wrapping that the SDK and the magics add to run it."""
    from runloop_sdk.resources import shell

    from ..executions import command_spec
    from ..remote import code_of, is_cell

    command = command_spec.typed(shell.typed(sent))
    return f"%%devbox python\n{code_of(command)}" if is_cell(command) else command


def _is_structured(line: Log) -> bool:
    """True if a line is nothing but a message from a Python session to the notebook."""
    message = line.message or ""
    return bool(_STRUCTURED.search(message)) and not _STRUCTURED.sub(_displayed, message)


def _displayed(found: re.Match[str]) -> str:
    """The plain text of a displayed value; empty for any other message of a session."""
    try:
        frame = json.loads(found[1])
        return str(frame["data"]["text/plain"]) if frame["kind"] == "display" else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _overlap(before: Sequence[object], after: Sequence[object]) -> int:
    """The length of the longest beginning of `after` that is an end of `before` (Knuth-Morris-Pratt).

    Linear in time, because a command may print megabytes of equal lines.
    """
    shorter = [0] * len(after)
    length = 0
    for index in range(1, len(after)):
        length = _longer(after, shorter, length, after[index])
        shorter[index] = length
    length = 0
    for item in before:
        length = _longer(after, shorter, length if length < len(after) else shorter[length - 1], item)
    return length


def _longer(wanted: Sequence[object], shorter: Sequence[int], length: int, item: object) -> int:
    while length and wanted[length] != item:
        length = shorter[length - 1]
    return length + 1 if wanted[length] == item else length
