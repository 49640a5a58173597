"""Parameters of operations on network policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Required, TypedDict

from ._options import LongRequestOptions
from .lists import SearchParams


class PortRule(TypedDict, total=False):
    """A port, or those from `port` to `end_port`; both protocols unless one is given."""

    port: Required[int]
    end_port: int | None
    protocol: Literal["TCP", "UDP"] | None


class AllowedCidr(TypedDict, total=False):
    """A range of addresses; all ports unless some are given."""

    cidr: Required[str]
    ports: Sequence[PortRule] | None


class EgressParams(LongRequestOptions, total=False):
    """The connections to allow; all others are blocked."""

    allow_agent_gateway: bool | None
    allow_all: bool | None
    allow_devbox_to_devbox: bool | None
    allow_mcp_gateway: bool | None
    allow_runloop_mirrors: bool | None
    allowed_cidrs: Sequence[AllowedCidr] | None
    allowed_hostnames: Sequence[str] | None
    """Host names or patterns, like `*.example.com`."""
    description: str | None


class NetworkPolicyCreateParams(EgressParams, total=False):
    """The network policy to create."""

    name: Required[str]


class NetworkPolicyUpdateParams(EgressParams, total=False):
    """The properties to change."""

    name: str | None


class NetworkPolicyListParams(SearchParams, total=False):
    """Filters of a list of network policies."""

    id: str | None
    name: str | None
    """Part of the name."""
