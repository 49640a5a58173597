"""Gateway configurations: APIs that devboxes call without knowing the credential."""

from __future__ import annotations

from ._view import View
from .auth import AuthMechanism, CustomHeader


class GatewayConfigView(View):
    """A gateway to `endpoint`; the time is milliseconds since 1970."""

    id: str
    auth_mechanism: AuthMechanism
    create_time_ms: int
    endpoint: str
    name: str
    account_id: str | None = None
    custom_headers: list[CustomHeader] | None = None
    description: str | None = None
