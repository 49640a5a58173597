"""Builds the REST API's views of the engine's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .devbox.lifecycle import durations
from .devbox.limits import size_of
from .errors import PrunedError
from .ids import now_ms
from .storage.records import shown

if TYPE_CHECKING:
    from .devbox.execution import ExecutionRecord
    from .devbox.lifecycle import DevboxRecord, Transition
    from .devbox.output_log import OutputLog, Stream
    from .tunnel.tunnel import Tunnel


def devbox_view(record: DevboxRecord) -> dict[str, Any]:
    """`DevboxView`."""
    return {
        "id": record.id,
        "name": record.name,
        "status": record.status,
        "capabilities": [],
        "create_time_ms": record.create_time_ms,
        "end_time_ms": record.end_time_ms,
        "launch_parameters": dict(record.launch_parameters),
        "metadata": dict(record.metadata),
        "state_transitions": [_transition_view(transition) for transition in record.transitions],
        "failure_reason": record.failure_reason,
        "shutdown_reason": record.shutdown_reason,
        "blueprint_id": record.blueprint_id,
        "snapshot_id": record.snapshot_id,
        "initiator_type": "api",
        "initiator_id": None,
        "tunnel": None if record.tunnel is None else tunnel_view(record.tunnel),
    }


def tunnel_view(tunnel: Tunnel) -> dict[str, Any] | None:
    """`TunnelView`; None if the tunnel's key could not be decrypted."""
    view = shown(tunnel)
    del view["sealed"]
    return view if tunnel.tunnel_key else None


def _transition_view(transition: Transition) -> dict[str, Any]:
    view = {"status": transition.status, "transition_time_ms": transition.time_ms}
    return view if transition.reason is None else {**view, "failure_reason": transition.reason}


def usage_view(record: DevboxRecord, current_ms: int | None) -> dict[str, Any]:
    """`DevboxResourceUsageView`, computed from the requested size; `current_ms` as for `durations`."""
    spans = durations(record, now_ms(), current_ms)
    elapsed = sum(ms for _, ms in spans) // 1000
    active = sum(ms for status, ms in spans if status == "running") // 1000
    size = size_of(record.launch_parameters)
    return {
        "id": record.id,
        "status": record.status,
        "start_time_ms": record.create_time_ms,
        "end_time_ms": record.end_time_ms,
        "total_elapsed_seconds": elapsed,
        "total_active_seconds": active,
        "vcpu_seconds": int(active * size.cores),
        "memory_gb_seconds": active * size.memory_gb,
        "disk_gb_seconds": elapsed * size.disk_gb,
    }


def execution_view(record: ExecutionRecord, log: OutputLog, lines: int) -> dict[str, Any]:
    """`DevboxAsyncExecutionDetailView`; with the last `lines` lines of output once it has completed."""
    view: dict[str, Any] = {
        "devbox_id": record.devbox_id,
        "execution_id": record.id,
        "status": record.status,
    }
    if record.status != "completed":
        return view
    stdout, stdout_cut = _tail(log, "stdout", lines)
    stderr, stderr_cut = _tail(log, "stderr", lines)
    return {
        **view,
        "exit_status": record.exit_status,
        "stdout": stdout,
        "stdout_truncated": stdout_cut,
        "stderr": stderr + (record.failure or ""),
        "stderr_truncated": stderr_cut,
    }


def _tail(log: OutputLog, stream: Stream, lines: int) -> tuple[str, bool]:
    try:
        return log.tail(stream, lines)
    except PrunedError:
        return "", True  # the output stream answers with the error


def whole_execution_view(record: ExecutionRecord, log: OutputLog, limit: int) -> dict[str, Any]:
    """`DevboxExecutionDetailView`: all output, or its last `limit` bytes."""
    return {
        "devbox_id": record.devbox_id,
        "exit_status": record.exit_status,
        "stdout": log.tail("stdout", limit, limit)[0],
        "stderr": log.tail("stderr", limit, limit)[0] + (record.failure or ""),
    }


def _lines(text: str) -> list[str]:
    """Split output at line feeds only: `str.splitlines` also splits at characters that programs print within lines."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def log_views(record: ExecutionRecord, log: OutputLog, lines: int, most: int) -> list[dict[str, Any]]:
    """The `Log` entries of one execution: its command, its last lines of output (up to `most` bytes), its exit code."""
    base = {"source": record.source, "cmd_id": record.id}
    start, end = record.start_time_ms, record.end_time_ms or now_ms(record.start_time_ms)
    logs: list[dict[str, Any]] = [{**base, "level": "info", "timestamp_ms": start, "cmd": record.command}]
    try:
        texts = [("info", log.tail("stdout", lines, most)[0]), ("error", log.tail("stderr", lines, most)[0])]
    except PrunedError as error:
        texts = [("warn", str(error))]
    for level, text in texts:
        logs += [{**base, "level": level, "timestamp_ms": end, "message": line} for line in _lines(text)]
    if record.failure is not None:
        logs.append({**base, "level": "error", "timestamp_ms": end, "message": record.failure})
    if record.status == "completed":
        logs.append({**base, "level": "info", "timestamp_ms": end, "exit_code": record.exit_status})
    return logs
