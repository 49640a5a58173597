"""Parameters of operations on executions."""

from __future__ import annotations

from typing import Literal

from ._options import LongRequestOptions, RequestOptions


class ExecutionRetrieveParams(RequestOptions, total=False):
    """The amount of output to return."""

    last_n: str | int | None
    """The last lines of each stream; 100 by default."""


class ExecutionKillParams(LongRequestOptions, total=False):
    """The processes to kill."""

    kill_process_group: bool | None
    """True to kill the processes that the command has started, too."""


class ExecutionSendStdInParams(LongRequestOptions, total=False):
    """The text or the signal to send."""

    signal: Literal["EOF", "INTERRUPT"] | None
    text: str | None


class ExecutionStreamUpdatesParams(RequestOptions, total=False):
    """The position to start from."""

    offset: str | int | None
    """The byte of the stream to start from; 0 by default."""


ExecutionStreamStdoutUpdatesParams = ExecutionStreamUpdatesParams
ExecutionStreamStderrUpdatesParams = ExecutionStreamUpdatesParams
