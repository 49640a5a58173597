"""The settings for registries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """How registries are reached, and what an image may take."""

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By registry (`docker.io`), the addresses that are asked before it: `mirror.example.com` or `http://host:5000/x`."""
    insecure: frozenset[str] = frozenset()
    """Registries (`host` or `host:port`) whose certificate is not checked, and that may speak plain HTTP.

    Those on this machine's loopback addresses need not be named.
    """
    max_bytes: int = 64 << 30
    """The limit for the unpacked files of one image."""
    max_members: int = 5_000_000
    """The limit for their number."""
