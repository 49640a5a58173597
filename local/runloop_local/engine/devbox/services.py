"""The parts of the service that devboxes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .pty import IDLE_TTL_S

if TYPE_CHECKING:
    from ...sandbox.base import Isolation
    from ..build.standard_image import StandardImage
    from ..fair_queue import FairQueue
    from ..kernel.kernels import Kernels
    from ..storage.layers import Layers
    from ..storage.store import Store
    from ..storage.vault import Vault
    from .history import History
    from .limits import Machine
    from .provisioner import Provisioner


class DevboxServices(msgspec.Struct, frozen=True):
    """The parts of the service that every devbox uses."""

    isolation: Isolation
    store: Store
    history: History
    layers: Layers
    provisioner: Provisioner
    kernels: Kernels
    vault: Vault
    fair_queue: FairQueue
    machine: Machine
    standard_image: StandardImage | None = None
    """The disk of devboxes that name none; None for this machine's own userland."""
    pty_idle_ttl: float = IDLE_TTL_S
    """Seconds that a terminal outlives its client."""
    size_notes: dict[str, str] = msgspec.field(default_factory=dict)
    """What this machine is too small for, once a devbox has asked for it."""
    disk_problems: dict[str, str] = msgspec.field(default_factory=dict)
    """Disks of devboxes that have ended and could not be removed, and why."""
