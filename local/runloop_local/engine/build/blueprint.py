"""One blueprint: the request for it, its record, and how that is stored and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..ids import now_ms
from ..storage.records import Record, body_of, loader
from ..storage.store import Document
from .image import Image

if TYPE_CHECKING:
    from .base import Base
    from .dockerfile import Instruction
    from .setup_script import Setup

BlueprintStatus = Literal["queued", "provisioning", "building", "failed", "build_complete"]
IN_PROGRESS: tuple[BlueprintStatus, ...] = ("queued", "provisioning", "building")


class BlueprintRequest(msgspec.Struct, frozen=True):
    """A request to build a blueprint."""

    name: str
    parameters: Mapping[str, Any]
    """The request as it is shown, without tokens and passwords."""
    instructions: tuple[Instruction, ...] = ()
    setup: Setup | None = None
    base_id: str | None = None
    base_name: str | None = None
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    context_id: str | None = None
    secrets: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The names of secrets by environment variable of the build."""
    network_policy_id: str | None = None
    """The policy that its steps are under."""


@dataclass(frozen=True, slots=True)
class BlueprintRecord(Record):
    """The stored fields of a blueprint, without its disk and its log."""

    id: str
    create_time_ms: int
    name: str
    parameters: Mapping[str, Any]
    status: BlueprintStatus = "queued"
    deleted: bool = False
    base_blueprint_id: str | None = None
    finish_time_ms: int | None = None
    failure_reason: str | None = None
    layers: tuple[str, ...] = ()
    key: str = ""
    image: Image = field(default_factory=Image)

    @property
    def launch_parameters(self) -> dict[str, Any]:
        """The default launch parameters of devboxes from it."""
        return self.parameters.get("launch_parameters") or {}


def built(record: BlueprintRecord, base: Base, image: Image) -> BlueprintRecord:
    """The record once its build has ended well."""
    return replace(
        record,
        status="build_complete",
        finish_time_ms=now_ms(record.create_time_ms),
        layers=base.layers,
        key=base.key,
        image=image,
    )


def failed(record: BlueprintRecord, reason: str = "build_failed") -> BlueprintRecord:
    """The record once its build has failed."""
    end = now_ms(record.create_time_ms)
    return replace(record, status="failed", failure_reason=reason, finish_time_ms=end)


def deleted(record: BlueprintRecord) -> BlueprintRecord:
    """The record of a blueprint that nobody can use any more."""
    ended = failed(record) if record.status in IN_PROGRESS else record
    return replace(ended, deleted=True, layers=())


def document(record: BlueprintRecord) -> Document:
    """The stored form of a blueprint."""
    return Document(
        "blueprint",
        record.id,
        body_of(record),
        status="deleted" if record.deleted else record.status,
        name=record.name,
        time_ms=record.create_time_ms,
        view=json.dumps(blueprint_view(record), ensure_ascii=False),
        listed=not record.deleted,
    )


loaded = loader(BlueprintRecord)
"""Load a record from its stored form; raises `ValueError` if that is invalid."""


def blueprint_view(record: BlueprintRecord) -> dict[str, Any]:
    """`BlueprintView`."""
    return {
        "id": record.id,
        "create_time_ms": record.create_time_ms,
        "name": record.name,
        "parameters": dict(record.parameters),
        "state": "deleted" if record.deleted else "created",
        "status": record.status,
        "base_blueprint_id": record.base_blueprint_id,
        "build_finish_time_ms": record.finish_time_ms,
        "containerized_services": record.parameters.get("services"),
        "devbox_capabilities": [],
        "failure_reason": record.failure_reason,
        "is_public": False,
        "metadata": record.parameters.get("metadata") or {},
    }
