"""The settings for registries of images. Apart from `images/`, as the start reads them before it imports that."""

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


def parse_registries(mirrors: str, insecure: str) -> RegistrySettings:
    """Read `docker.io=mirror.example.com ...` and `registry:5000 ...`; raises `ValueError` with a sentence."""
    found: dict[str, tuple[str, ...]] = {}
    for word in mirrors.split():
        registry, _, address = word.partition("=")
        if not registry or not address:
            raise ValueError(f"{word!r} is no mirror: write it like docker.io=mirror.example.com.")
        found[registry] = (*found.get(registry, ()), address)
    return RegistrySettings(found, frozenset(insecure.split()))
