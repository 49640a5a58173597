"""The settings of a service, as its command line gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .engine.storage.retention_limits import Limit
    from .registry_settings import RegistrySettings
    from .sandbox import Requested


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `runloop-local serve`."""

    host: str
    port: int
    data_dir: Path
    api_key: str
    isolation: Requested
    idle_timeout: float
    pty_idle_ttl: float
    limits: Mapping[str, Limit]
    """The retention limits, by kind."""
    heartbeat: float
    image: str = ""
    """The image of devboxes that name none; by default this machine's own userland."""
    registries: RegistrySettings | None = None
    """How registries of images are reached."""
