"""A disk that builds start from."""

from __future__ import annotations

import msgspec


class Base(msgspec.Struct, frozen=True):
    """A disk to build on."""

    layers: tuple[str, ...] = ()
    """Top first; none is this machine's own userland."""
    key: str = ""
    """A digest of how it was made: disks with equal keys are equal."""
