"""An image as it is kept on this machine: its layers and its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from runloop_local.images.reference import Reference


class ImageConfig(msgspec.Struct, frozen=True):
    """What an image says about the programs that run in it."""

    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    user: str = ""
    """An account and perhaps a group, by name or number, as in `USER`; empty for root."""
    working_dir: str = ""
    shell: tuple[str, ...] = ()
    """The program of `SHELL`; empty for `/bin/sh -c`."""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    architecture: str = ""
    os: str = ""
    onbuild: tuple[str, ...] = ()


class Image(msgspec.Struct, frozen=True):
    """An image whose layers are all on this machine."""

    reference: Reference
    digest: str
    """Of its manifest, which for one that was chosen from an index is the chosen one's: `sha256:...`."""
    layers: tuple[str, ...]
    """The names of its layers' folders, lowest first."""
    config: ImageConfig
    size: int
    """The bytes of the files in its layers, those that it shares with other images included."""
