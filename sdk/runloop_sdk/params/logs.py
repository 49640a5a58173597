"""What operations on logs take."""

from __future__ import annotations

from ._options import RequestOptions


class LogListParams(RequestOptions, total=False):
    """Which lines to send."""

    execution_id: str | None
    """Those of one command."""
    shell_name: str | None
    """Those of one named shell, from services that have them."""
