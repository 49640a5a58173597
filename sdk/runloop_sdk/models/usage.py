"""The resources that devboxes use. All times are in milliseconds since 1970, UTC."""

from __future__ import annotations

from ._view import View


class DevboxResourceUsageView(View):
    """The resources that a devbox has used so far."""

    id: str
    disk_gb_seconds: int
    memory_gb_seconds: int
    start_time_ms: int
    status: str
    total_active_seconds: int
    total_elapsed_seconds: int
    vcpu_seconds: int
    end_time_ms: int | None = None


class DevboxEvictionEventView(View):
    """A devbox that will be evicted from its host, and when."""

    devbox_id: str
    eviction_deadline_ms: int
