"""What a devbox starts from besides its disk: a blueprint's settings, which its snapshots keep."""

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
    """Where commands start; the home directory by default."""
    user: str | None = None
    """The account of USER."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()
    """Instructions for what is built on it."""
    blueprint_id: str | None = None
    """The blueprint that it comes from, also where snapshots lie between."""

    @property
    def account(self) -> User:
        """Whose processes a devbox's commands are: devboxes know two accounts."""
        return "root" if (self.user or "").partition(":")[0] in ("root", "0") else "user"
