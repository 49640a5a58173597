"""Devboxes that start from the disk of a snapshot or a blueprint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InvalidError

if TYPE_CHECKING:
    from ..build.blueprints import Blueprints
    from ..storage.idempotency import Attempt
    from ..storage.layers import Layers
    from ..storage.snapshots import Snapshots
    from .devbox import Devbox
    from .devboxes import Devboxes
    from .lifecycle import DevboxRecord


class DevboxFactory:
    """Creates devboxes, and finds the disk that each is to start from."""

    def __init__(self, devboxes: Devboxes, snapshots: Snapshots, blueprints: Blueprints, layers: Layers) -> None:
        self._devboxes = devboxes
        self._blueprints = blueprints
        self._snapshots = snapshots
        self._layers = layers

    async def create(self, record: DevboxRecord, blueprint_name: str | None, attempt: Attempt) -> Devbox:
        """A new devbox from what the record names, on its way to running."""
        named = [record.snapshot_id, record.blueprint_id, blueprint_name]
        if named == [None, None, None]:
            return await self._devboxes.create(record, attempt)
        if named.count(None) < 2:
            raise InvalidError("Give one of snapshot_id, blueprint_id and blueprint_name, not more.")
        async with self._layers.choosing:
            return await self._devboxes.create(await self._based(record, blueprint_name), attempt)

    async def _based(self, record: DevboxRecord, blueprint_name: str | None) -> DevboxRecord:
        if record.snapshot_id is not None:
            snapshot = await self._snapshots.complete(record.snapshot_id)
            return replace(record, layers=snapshot.layers, image=snapshot.image)
        blueprint = await self._blueprints.built(record.blueprint_id, blueprint_name)
        return replace(
            record,
            blueprint_id=blueprint.id,
            layers=blueprint.layers,
            image=blueprint.image,
            launch_parameters={**blueprint.launch_parameters, **record.launch_parameters},
        )
