"""What operations on executions take."""

from __future__ import annotations

from typing import Literal

from ._options import LongRequestOptions, RequestOptions


class ExecutionRetrieveParams(RequestOptions, total=False):
    """How much output to send."""

    last_n: str | int | None
    """The last lines of each stream; 100 by default."""


class ExecutionKillParams(LongRequestOptions, total=False):
    """Whom to kill."""

    kill_process_group: bool | None
    """Also what the command started."""


class ExecutionSendStdInParams(LongRequestOptions, total=False):
    """What to send: a text or a signal."""

    signal: Literal["EOF", "INTERRUPT"] | None
    text: str | None


class ExecutionStreamUpdatesParams(RequestOptions, total=False):
    """Where to begin."""

    offset: str | int | None
    """Bytes of the stream to leave out; none by default."""


ExecutionStreamStdoutUpdatesParams = ExecutionStreamUpdatesParams
ExecutionStreamStderrUpdatesParams = ExecutionStreamUpdatesParams
