"""Commands in devboxes, and their output."""

from __future__ import annotations

from typing import Literal

from ._view import View

ExecutionStatus = Literal["queued", "running", "completed"] | str


class DevboxAsyncExecutionDetailView(View):
    """A command; its exit status and (the end of) its output once it is completed."""

    devbox_id: str
    execution_id: str
    status: ExecutionStatus
    exit_status: int | None = None
    stderr: str | None = None
    stderr_truncated: bool | None = None
    stdout: str | None = None
    stdout_truncated: bool | None = None


class DevboxExecutionDetailView(View):
    """A command that has ended, with its output."""

    devbox_id: str
    exit_status: int
    stderr: str
    stdout: str


class DevboxSendStdInResult(View):
    """The result of writing to a command's standard input; `success` is True if it was accepted."""

    devbox_id: str
    execution_id: str
    success: bool


class ExecutionUpdateChunk(View):
    """A piece of one output stream.

    `offset` is its position in that stream, in bytes. `span` is its range of bytes in stdout and stderr merged; not
    all services send it.
    """

    output: str
    offset: int | None = None
    span: tuple[int, int] | None = None
