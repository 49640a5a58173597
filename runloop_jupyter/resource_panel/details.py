"""The details of one resource, without its secrets, as the page gets them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from ..resources.kind import number
from ..resources.specs import Fact, LogLine, Pair, Step
from ..widgets.protocol.panel import Details

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..resources.kind import Entry, ResourceKind

_HIDDEN = "(hidden)"
_SECRET = re.compile(r"token|password|passwd|credential|private_key|api_?key|tunnel_key|upload_url|download_url|^env$")
_NAMES_ONLY = re.compile(r"environment_variables|build_args|upload_headers|file_mounts")


@dataclass(frozen=True, slots=True)
class Look:
    """A look at one resource: its details, and the log of its making where it has one, which may go on."""

    details: Details
    log: list[LogLine] | None = None
    is_building: bool = False


async def look_at(sdk: AsyncRunloopSDK, kind: ResourceKind[Any], identity: str) -> Look:
    """Look at a resource, fresh from the service. Raises the SDK's errors."""
    entry = await _entry(sdk, kind, identity)
    details = Details(
        kind=kind.name,
        id=identity,
        facts=[*facts(kind, entry), *kind.more_facts(entry)],
        metadata=_pairs(without_secrets(entry.get("metadata"))),
        history=_history(entry),
        cells=kind.cells_for(entry),
        raw=json.dumps(without_secrets(entry), indent=2, ensure_ascii=False, default=str),
    )
    if kind.log is None:
        return Look(details)
    return Look(details, await kind.log(sdk, identity), entry.get("status") not in kind.settled)


async def _entry(sdk: AsyncRunloopSDK, kind: ResourceKind[Any], identity: str) -> Entry:
    """Return the resource as the service sends it, unchecked: odd ones are the ones that one wants to look at."""
    answer = await sdk.api.get_json(kind.detail_path.format(quote(identity, safe="")))
    entry = kind.detail_entry(answer) if isinstance(answer, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def without_secrets(value: Any, name: str = "") -> Any:
    """The same with each value hidden that gives access to something, wherever it stands."""
    if value in (None, "", {}, []):
        return value
    if _NAMES_ONLY.search(name) and isinstance(value, Mapping):
        return dict.fromkeys(value, _HIDDEN)
    if _SECRET.search(name) and not isinstance(value, bool | int):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {key: without_secrets(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(each, name) for each in value]
    return value


def _pairs(value: object) -> list[Pair]:
    return [Pair(str(key), str(each)) for key, each in value.items()] if isinstance(value, Mapping) else []


def _history(entry: Entry) -> list[Step]:
    """The states that it entered."""
    steps = entry.get("state_transitions")
    return [
        Step(
            str(step.get("status") or "unknown"),
            number(step.get("transition_time_ms")),
            str(step.get("failure_reason") or ""),
        )
        for step in (steps if isinstance(steps, list) else ())
        if isinstance(step, Mapping)
    ]


_FACTS = {
    "name": "Name", "id": "ID", "status": "Status", "state": "State", "failure_reason": "Why it failed",
    "shutdown_reason": "Why it ended", "create_time_ms": "Created", "end_time_ms": "Ended",
    "build_finish_time_ms": "Built", "update_time_ms": "Changed", "delete_after_time_ms": "Expires",
    "blueprint_id": "Blueprint", "snapshot_id": "Snapshot", "source_devbox_id": "Devbox",
    "source_blueprint_id": "Blueprint", "base_blueprint_id": "Base", "commit_message": "Message",
    "content_type": "Type", "size_bytes": "Size", "description": "Description", "initiator_id": "Initiator",
}  # fmt: skip
_LAUNCH = {
    "resource_size_request": "Size", "architecture": "Architecture", "keep_alive_time_seconds": "Keep-alive",
    "custom_cpu_cores": "CPU cores", "custom_gb_memory": "Memory (GB)", "custom_disk_size": "Disk (GB)",
    "network_policy_id": "Network policy", "available_ports": "Ports", "launch_commands": "Launch commands",
}  # fmt: skip


def facts(kind: ResourceKind[Any], entry: Entry) -> Iterator[Fact]:
    """Yield what the details say of every kind."""
    for key, label in _FACTS.items():
        value = kind.fact(entry, key)
        if value not in (None, "", []):
            yield Fact(label, value, _form(key))
    launch = entry.get("launch_parameters")
    for key, label in _LAUNCH.items():
        value = launch.get(key) if isinstance(launch, Mapping) else None
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield Fact(label, text, "seconds" if key.endswith("_seconds") else "text")
    tunnel = entry.get("tunnel")
    if isinstance(tunnel, Mapping):
        yield Fact("Tunnel", str(tunnel.get("auth_mode") or "open"), "text")


def _form(key: str) -> Literal["text", "id", "time", "bytes"]:
    if key.endswith("_time_ms"):
        return "time"
    if key.endswith("_bytes"):
        return "bytes"
    return "id" if key.endswith("id") else "text"
