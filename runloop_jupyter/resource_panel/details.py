"""The details of one resource, without its secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..resources.kind import Entry, ResourceKind

_HIDDEN = "(hidden)"
_SECRET = re.compile(r"token|password|passwd|credential|private_key|api_?key|tunnel_key|upload_url|download_url|^env$")
_NAMES_ONLY = re.compile(r"environment_variables|build_args|upload_headers|file_mounts")


async def detail(sdk: AsyncRunloopSDK, kind: ResourceKind[Any], identity: str) -> dict[str, Any]:
    """Return what the page shows of a resource, fresh from the service. Raises the SDK's errors."""
    entry = await _entry(sdk, kind, identity)
    shown: dict[str, Any] = {
        "kind": kind.name,
        "id": identity,
        "facts": [*_facts(kind, entry), *kind.more_facts(entry)],
        "metadata": _pairs(without_secrets(entry.get("metadata"))),
        "history": _history(entry),
        "cells": kind.cells_for(entry),
        "raw": json.dumps(without_secrets(entry), indent=2, ensure_ascii=False, default=str),
    }
    if kind.log is not None:
        shown["log"] = await kind.log(sdk, identity)
        shown["building"] = entry.get("status") not in kind.settled
    return shown


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


def _pairs(value: object) -> list[list[str]]:
    return [[str(key), str(each)] for key, each in value.items()] if isinstance(value, Mapping) else []


def _history(entry: Entry) -> list[list[Any]]:
    """Status and time of each state that it entered."""
    steps = entry.get("state_transitions")
    return [
        [str(step.get("status") or "unknown"), step.get("transition_time_ms"), str(step.get("failure_reason") or "")]
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


def _facts(kind: ResourceKind[Any], entry: Entry) -> Iterator[list[Any]]:
    """Yield label, value and form of each fact; forms are text, id, time, bytes and seconds."""
    for key, label in _FACTS.items():
        value = kind.fact(entry, key)
        if value not in (None, "", []):
            yield [label, value, _form(key)]
    launch = entry.get("launch_parameters")
    for key, label in _LAUNCH.items():
        value = launch.get(key) if isinstance(launch, Mapping) else None
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield [label, text, "seconds" if key.endswith("_seconds") else "text"]
    tunnel = entry.get("tunnel")
    if isinstance(tunnel, Mapping):
        yield ["Tunnel", str(tunnel.get("auth_mode") or "open"), "text"]


def _form(key: str) -> str:
    if key.endswith("_time_ms"):
        return "time"
    if key.endswith("_bytes"):
        return "bytes"
    return "id" if key.endswith("id") else "text"
