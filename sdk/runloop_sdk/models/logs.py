"""Logs of devboxes."""

from __future__ import annotations

from typing import Literal

from ._view import View

LogSource = Literal["setup_commands", "entrypoint", "exec", "files", "stats", "kmsg"] | str


class Log(View):
    """One line; `cmd`, `cmd_id` and `exit_code` are those of a command. `timestamp_ms` counts from 1970."""

    level: str
    source: LogSource
    timestamp_ms: int
    cmd: str | None = None
    cmd_id: str | None = None
    exit_code: int | None = None
    message: str | None = None


class DevboxLogsListView(View):
    """A devbox's logs, oldest first."""

    logs: list[Log] = []
