"""Options of calls, besides the parameters of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from .._polling import PollingConfig


class RequestOptions(TypedDict, total=False):
    """Options of a call that only reads."""

    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    timeout: float | None
    """Seconds between two pieces of the answer; the client's own by default."""


class LongRequestOptions(RequestOptions, total=False):
    """Options of a call that changes something."""

    idempotency_key: str | None
    """Sent as `x-request-id`, the same on every retry; a random one by default."""


class PollingRequestOptions(RequestOptions, total=False):
    """Options of a call that waits."""

    polling_config: PollingConfig | None


class LongPollingRequestOptions(LongRequestOptions, PollingRequestOptions, total=False):
    """Options of a call that changes something and waits for it."""


OPTION_NAMES = LongPollingRequestOptions.__annotations__.keys() | RequestOptions.__annotations__.keys()
