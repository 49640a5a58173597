"""Composes the engine: isolation, store and devboxes on one data folder."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..images import ImageError, Reference
from ..images.store import ImageStore
from .axons import Axons
from .build.blueprints import Blueprints
from .build.cache import BuildCache
from .build.cache_mounts import CacheMounts
from .build.disk import BuildEnvironment
from .build.log import BuildLogs
from .build.origins import STARTER
from .build.preparation import Sources
from .build.standard_image import StandardImage
from .config_collection import ConfigCollection
from .devbox.devbox_factory import DevboxFactory
from .devbox.devboxes import Devboxes
from .devbox.executions import Executions
from .devbox.history import EndedRecords, History, Outputs
from .devbox.limits import Machine
from .devbox.provisioner import Provisioner
from .devbox.pty import IDLE_TTL_S
from .devbox.services import DevboxServices
from .errors import InvalidError
from .fair_queue import FairQueue
from .images import Images
from .kernel.kernel_devboxes import KernelDevboxes
from .kernel.kernels import Kernels
from .network.enforcement import PolicyEnforcement
from .prerequisites import Prerequisites
from .shutdown_signal import ShutdownSignal
from .storage.idempotency import Idempotency
from .storage.keys import Keys
from .storage.layer_register import LayerRegister
from .storage.layers import Layers
from .storage.objects import Objects
from .storage.retention import CombinedData, Retention
from .storage.retention_limits import DEFAULTS
from .storage.secrets import Secrets
from .storage.service_key import ServiceKey
from .storage.signatures import Signer
from .storage.snapshots import Snapshots
from .storage.store import UNREADABLE
from .storage.vault import Vault
from .tunnel.tunnels import Tunnels

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..images import RegistrySettings
    from ..sandbox import Isolation, Requested
    from .storage.retention_limits import Limit
    from .storage.store import Store


class Engine(msgspec.Struct, frozen=True):
    """The composition root of the service, used by the routes."""

    isolation: Isolation
    store: Store
    layers: Layers
    retention: Retention
    devboxes: Devboxes
    executions: Executions
    kernels: Kernels
    kernel_devboxes: KernelDevboxes
    snapshots: Snapshots
    blueprints: Blueprints
    devbox_factory: DevboxFactory
    tunnels: Tunnels
    objects: Objects
    secrets: Secrets
    provisioner: Provisioner
    axons: Axons
    images: Images
    standard_image: StandardImage | None
    keys: Keys
    idempotency: Idempotency
    fair_queue: FairQueue
    network_policies: ConfigCollection
    gateway_configs: ConfigCollection
    mcp_configs: ConfigCollection
    shutdown_signal: ShutdownSignal
    closing: AsyncExitStack
    """Closes the parts in reverse order."""

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        requested: Requested = "auto",
        pty_idle_ttl: float = IDLE_TTL_S,
        limits: Mapping[str, Limit] = DEFAULTS,
        image: str = "",
    ) -> Engine:
        """Open the engine on `data_dir`, which it locks. Raises `OSError`, `SandboxError` or `EngineError`."""
        return await cls.compose(await Prerequisites.open(data_dir, requested), pty_idle_ttl, limits, image)

    @classmethod
    async def compose(
        cls,
        opened: Prerequisites,
        pty_idle_ttl: float,
        limits: Mapping[str, Limit],
        image: str = "",
        registries: RegistrySettings | None = None,
    ) -> Engine:
        """Compose the engine of what was opened, which it closes. Raises `OSError`, `SandboxError` or `EngineError`."""
        async with opened.closing as closing:
            return await cls._compose(opened, pty_idle_ttl, limits, image, registries, closing)

    @classmethod
    async def _compose(
        cls,
        opened: Prerequisites,
        pty_idle_ttl: float,
        limits: Mapping[str, Limit],
        image: str,
        registries: RegistrySettings | None,
        closing: AsyncExitStack,
    ) -> Engine:
        data_dir, reserve, store, isolation = opened.data_dir, opened.reserve, opened.store, opened.isolation
        axons = Axons.open(store, data_dir / "axons", reserve)
        key = ServiceKey.open(data_dir / "service.key")
        objects = Objects(store, data_dir / "objects", Signer(key.derived("addresses")))
        vault = Vault(key.derived("secrets"))
        secrets = Secrets(store, vault)
        network_policies = ConfigCollection(store, "network_policy", "npol")
        enforcement = PolicyEnforcement(isolation, network_policies)
        provisioner = Provisioner(isolation, objects, secrets, vault, enforcement)
        layers = Layers(isolation, LayerRegister(store))
        retention = Retention(limits)
        history = History(store, data_dir / "logs", partial(retention.notice, "logs", "records"))
        build_logs = BuildLogs(data_dir / "build_logs", partial(retention.notice, "builds"))
        cache = BuildCache(store, layers, partial(retention.notice, "cache"))
        retention.add("logs", Outputs(history))
        retention.add("records", EndedRecords(history))
        retention.add("builds", build_logs)
        fair_queue = FairQueue()
        cache_mounts = CacheMounts(isolation.caches, partial(retention.notice, "cache"))
        retention.add("cache", CombinedData(cache, cache_mounts))
        image_store = (
            None
            if isolation.image_layers is None
            else ImageStore(data_dir / "images", isolation.image_layers, registries)
        )
        standard = standard_reference(image, image_store)
        sources = Sources(objects.path, secrets.values, image_store, enforcement.rules)
        environment = BuildEnvironment(isolation, store, layers, cache, fair_queue, cache_mounts, data_dir / "builds")
        blueprints = Blueprints(environment, sources, build_logs, standard or STARTER)
        standard_image = StandardImage(standard, environment, blueprints.preparation, build_logs) if standard else None
        kernels = Kernels(data_dir / "kernels")
        devboxes = Devboxes(
            DevboxServices(
                isolation,
                store,
                history,
                layers,
                provisioner,
                kernels,
                vault,
                fair_queue,
                Machine.here(str(data_dir)),
                standard_image,
                pty_idle_ttl,
            )
        )
        snapshots = Snapshots(store, layers)
        kernel_devboxes = KernelDevboxes(devboxes, snapshots)
        devbox_factory = DevboxFactory(devboxes, snapshots, blueprints, layers)
        keys = Keys(store, vault)
        idempotency = Idempotency(store)
        # Closed in reverse order: kernels and retention first, so that neither removes devboxes that are stopping;
        # the store and the isolation, which all others use, last.
        for part in (axons, objects, layers, devboxes, snapshots, blueprints, retention, kernels):
            closing.push_async_callback(part.aclose)
        if standard_image is not None:
            closing.push_async_callback(standard_image.aclose)
        # Everything that holds layers is restored before unused ones are removed, and kernels come last: those that
        # have ended meanwhile release their devboxes.
        await layers.restore()
        await cache.load()
        await devboxes.restore()
        await snapshots.restore()
        await blueprints.restore()
        await objects.restore()
        await keys.restore()
        await secrets.restore(key_is_new=key.is_new)
        await axons.restore()
        await idempotency.restore()
        await kernels.restore(kernel_devboxes.release)
        _start_layer_removal(store, layers)
        retention.start()
        return cls(
            isolation,
            store,
            layers,
            retention,
            devboxes,
            Executions(devboxes, store, history),
            kernels,
            kernel_devboxes,
            snapshots,
            blueprints,
            devbox_factory,
            Tunnels(devboxes, vault),
            objects,
            secrets,
            provisioner,
            axons,
            Images(image_store, layers),
            standard_image,
            keys,
            idempotency,
            fair_queue,
            network_policies,
            ConfigCollection(store, "gateway_config", "gwc"),
            ConfigCollection(store, "mcp_config", "mcp"),
            ShutdownSignal(),
            closing.pop_all(),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about the isolation, the stored data, and problems in the background."""
        parts = (self.layers, self.devboxes, self.retention)
        problems = (problem for part in parts for problem in part.problems.values())
        sizes = self.devboxes.size_notes.values()
        return (*self.isolation.notes, *self.store.notes.sentences(), *sizes, *problems)

    async def prune(self, kinds: Collection[str], older_than_ms: int, *, live: bool) -> dict[str, int]:
        """Delete data that is no longer needed, and retry failed deletions; returns the bytes freed, by kind."""
        freed = await self.retention.prune(kinds, older_than_ms, live=live)
        if "images" in kinds:
            freed["images"] = await self.images.prune(older_than_ms)
        await self.devboxes.clear_away()
        await self.layers.sweep()
        return freed

    def end_streams(self) -> None:
        """End streams that would last as long as their client listens, as the service stops."""
        self.shutdown_signal.set()
        self.axons.end_streams()

    async def aclose(self) -> None:
        """Stop all processes and close all files; disks and records stay."""
        await self.closing.aclose()


def _start_layer_removal(store: Store, layers: Layers) -> None:
    """Start to remove layers without users, unless an unreadable record may use one."""
    if store.notes.about(UNREADABLE):
        store.notes.add("No layer is removed, as a record that cannot be read may need it.", "layers")
    else:
        layers.start()


def standard_reference(image: str, store: ImageStore | None) -> str:
    """The image of devboxes that name none, or "" for this machine's own userland; raises `InvalidError`."""
    if image in ("", STARTER):
        return ""
    if store is None:
        raise InvalidError(f"Devboxes are plain processes here, so they cannot have the image {image}: leave it out.")
    try:
        return str(Reference.parse(image))
    except ImageError as error:
        raise InvalidError(str(error)) from error
