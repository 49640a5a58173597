"""Clients of the service that a notebook is connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from .connection import Connection

_EMBEDDED_RETRIES = 2  # a service on this machine that refuses connections has ended: no reason to wait long


def client(to: Connection) -> AsyncRunloopSDK:
    """A client of a service."""
    from runloop_sdk import AsyncRunloopSDK

    if to.embedded:
        return AsyncRunloopSDK(bearer_token=to.api_key, base_url=to.base_url, max_retries=_EMBEDDED_RETRIES)
    return AsyncRunloopSDK(bearer_token=to.api_key, base_url=to.base_url)
