"""Parameters of operations on logs."""

from __future__ import annotations

from ._options import RequestOptions


class LogListParams(RequestOptions, total=False):
    """Filters of log lines."""

    execution_id: str | None
    """Only lines of this command."""
    shell_name: str | None
    """Only lines of this named shell; not all services have these."""
