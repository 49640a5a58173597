"""The composition of the engine: isolation, store and devboxes on one data folder."""

from __future__ import annotations

import fcntl
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..sandbox import open_isolation
from .axons import Axons
from .blueprints import Blueprints, Sources
from .build import Workshop
from .catalogue import Catalogue
from .devbox import Ground
from .devboxes import Devboxes
from .errors import ConflictError
from .farewell import Farewell
from .furnishing import Furnishing
from .keys import Keys
from .layers import Layers
from .objects import Objects
from .origins import Origins
from .pty import IDLE_TTL_S
from .secrets import Secrets
from .service_key import ServiceKey
from .signatures import Signer
from .snapshots import Snapshots
from .store import Store
from .tunnels import Tunnels
from .vault import Vault

if TYPE_CHECKING:
    from ..sandbox import Isolation, Requested


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything the routes work with."""

    isolation: Isolation
    store: Store
    layers: Layers
    devboxes: Devboxes
    snapshots: Snapshots
    blueprints: Blueprints
    origins: Origins
    tunnels: Tunnels
    objects: Objects
    secrets: Secrets
    furnishing: Furnishing
    axons: Axons
    keys: Keys
    network_policies: Catalogue
    gateway_configs: Catalogue
    mcp_configs: Catalogue
    farewell: Farewell
    lock: int

    @classmethod
    async def open(cls, data_dir: Path, requested: Requested = "auto", pty_idle_ttl: float = IDLE_TTL_S) -> Engine:
        """The engine on `data_dir`, which it alone uses. `OSError`, `SandboxError` or `EngineError` if it cannot."""
        lock = _locked(data_dir)
        _raise_descriptor_limit()
        isolation = await open_isolation(data_dir / "sandboxes", requested)
        try:
            store = Store.open(data_dir / "service.db")
            key = ServiceKey.open(data_dir / "service.key")
            objects = Objects(store, data_dir / "objects", Signer(key.derived("addresses")))
            vault = Vault(key.derived("secrets"))
            secrets = Secrets(store, vault)
            network_policies = Catalogue(store, "network_policy", "npol")
            furnishing = Furnishing(isolation, objects, secrets, vault, network_policies)
            layers = Layers(isolation, store)
            devboxes = Devboxes(
                Ground(isolation, store, data_dir / "logs", login_shell(), layers, furnishing, pty_idle_ttl)
            )
            snapshots = Snapshots(store, layers)
            blueprints = _blueprints(isolation, store, layers, Sources(objects.path, secrets.values), data_dir)
            origins = Origins(devboxes, snapshots, blueprints, layers)
            layers.add_holder(devboxes.layers)
            await devboxes.restore()
            await snapshots.restore()
            await blueprints.restore()
            await objects.restore()
            keys = Keys(store)
            await keys.restore()
            layers.sweep_soon()
        except BaseException:
            await isolation.aclose()
            raise
        return cls(
            isolation,
            store,
            layers,
            devboxes,
            snapshots,
            blueprints,
            origins,
            Tunnels(devboxes),
            objects,
            secrets,
            furnishing,
            Axons.open(store, data_dir / "axons"),
            keys,
            network_policies,
            Catalogue(store, "gateway_config", "gwc"),
            Catalogue(store, "mcp_config", "mcp"),
            Farewell(),
            lock,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the isolation, one sentence each."""
        return self.isolation.notes

    def end_streams(self) -> None:
        """End what would go on for as long as its client listens, as the service stops."""
        self.farewell.say()
        self.axons.end_streams()

    async def aclose(self) -> None:
        """End all processes and close the files; disks and records stay."""
        try:
            await self.blueprints.aclose()
            await self.snapshots.aclose()
            await self.devboxes.aclose()
            await self.layers.aclose()
            await self.objects.aclose()
            await self.axons.aclose()
        finally:
            await self.isolation.aclose()
            await self.store.aclose()
            os.close(self.lock)


def _blueprints(isolation: Isolation, store: Store, layers: Layers, sources: Sources, data_dir: Path) -> Blueprints:
    shop = Workshop(isolation, store, layers, data_dir / "builds")
    return Blueprints(shop, sources, login_shell(), data_dir / "build_logs")


def login_shell() -> str:
    """The shell that commands run in."""
    return next((shell for shell in ("/bin/bash", "/usr/bin/bash") if Path(shell).exists()), "/bin/sh")


def _locked(data_dir: Path) -> int:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConflictError(f"Another runloop-local service already uses {data_dir}.") from None
    return lock


def _raise_descriptor_limit() -> None:
    """A running command takes a handful of them, and the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
