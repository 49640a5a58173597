"""The settings of a blueprint for devboxes, besides its disk; snapshots keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..storage.records import Record

if TYPE_CHECKING:
    from ...sandbox.base import User


@dataclass(frozen=True, slots=True)
class Image(Record):
    """The settings of a blueprint's last build stage."""

    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    """The working directory of commands; the home directory by default."""
    user: str | None = None
    """The account set by USER."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()
    """The ONBUILD instructions for builds on it."""
    shell: tuple[str, ...] = ()
    """The program of SHELL for builds on it; by default `/bin/sh -c`."""
    blueprint_id: str | None = None
    """The blueprint that it comes from, possibly through snapshots."""

    @property
    def account(self) -> User:
        """The account of a devbox's commands, one of the two that devboxes have."""
        return "root" if (self.user or "").partition(":")[0] in ("root", "0") else "user"
