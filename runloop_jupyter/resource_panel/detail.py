"""Everything about one resource, without a secret, and the cells that do with it what the panel does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runloop_sdk.models.devboxes import reason_of

from ..text.quoting import reference
from .kinds import KINDS, Entry

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

_HIDDEN = "(hidden)"
_SECRET = re.compile(r"token|password|passwd|credential|private_key|api_?key|tunnel_key|upload_url|download_url|^env$")
_NAMES_ONLY = re.compile(r"environment_variables|build_args|upload_headers|file_mounts")


async def detail(sdk: AsyncRunloopSDK, kind: str, identity: str) -> dict[str, Any]:
    """What the front end shows of a resource, fresh from the service. Raises the SDK's errors."""
    entry = await _entry(sdk, kind, identity)
    shown: dict[str, Any] = {
        "kind": kind,
        "id": identity,
        "facts": list(_facts(kind, entry)),
        "metadata": _pairs(without_secrets(entry.get("metadata"))),
        "history": _history(entry),
        "cells": cells(kind, entry),
        "raw": json.dumps(without_secrets(entry), indent=2, ensure_ascii=False, default=str),
    }
    if kind == "blueprint":
        shown["log"] = await _build_log(sdk, identity)
        shown["building"] = entry.get("status") not in KINDS[kind].settled
    return shown


async def _entry(sdk: AsyncRunloopSDK, kind: str, identity: str) -> Entry:
    """The resource as the service sends it, unchecked: odd ones are the ones that one wants to look at."""
    part = quote(identity, safe="")
    paths = {
        "devbox": f"/v1/devboxes/{part}",
        "blueprint": f"/v1/blueprints/{part}",
        "snapshot": f"/v1/devboxes/disk_snapshots/{part}/status",
        "object": f"/v1/objects/{part}",
        "secret": f"/v1/secrets/id/{part}",
        "policy": f"/v1/network-policies/{part}",
    }
    answer = await sdk.api.get_json(paths[kind])
    entry = answer.get("snapshot") or answer if kind == "snapshot" else answer
    return entry if isinstance(entry, Mapping) else {}


async def _build_log(sdk: AsyncRunloopSDK, identity: str) -> list[list[str]]:
    """Level and text of each line that the build printed."""
    return [[line.level, line.message] for line in (await sdk.api.blueprints.logs(identity)).logs]


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
_REASONS = ("failure_reason", "shutdown_reason")
_LAUNCH = {
    "resource_size_request": "Size", "architecture": "Architecture", "keep_alive_time_seconds": "Keep-alive",
    "custom_cpu_cores": "CPU cores", "custom_gb_memory": "Memory (GB)", "custom_disk_size": "Disk (GB)",
    "network_policy_id": "Network policy", "available_ports": "Ports", "launch_commands": "Launch commands",
}  # fmt: skip


def _facts(kind: str, entry: Entry) -> Iterable[list[Any]]:
    """Label, value, and how it is shown: text, id, time, bytes or seconds."""
    for key, label in _FACTS.items():
        if entry.get(key) not in (None, "", []) and (kind, key) != ("blueprint", "state"):
            value = reason_of(entry) if kind == "devbox" and key in _REASONS else entry[key]
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
    if kind == "policy":
        yield from _egress(entry.get("egress"))


def _egress(egress: object) -> Iterable[list[Any]]:
    if not isinstance(egress, Mapping):
        return
    for key, value in egress.items():
        label = str(key).replace("_", " ").capitalize()
        if isinstance(value, bool):
            yield [label, "yes" if value else "no", "text"]
        elif value:
            yield [label, ", ".join(str(v.get("cidr") if isinstance(v, Mapping) else v) for v in value), "text"]


def _form(key: str) -> str:
    if key.endswith("_time_ms"):
        return "time"
    if key.endswith("_bytes"):
        return "bytes"
    return "id" if key.endswith("id") else "text"


def cells(kind: str, entry: Entry) -> list[list[str]]:
    """What to type for what the panel does: a label and the cell's text for each."""
    name = reference(str(entry.get("name") or ""), str(entry.get("id") or ""))
    identity = reference("", str(entry.get("id") or ""))
    if kind == "devbox":
        return _devbox_cells(str(entry.get("status")), name)
    if kind == "blueprint":
        return [["New devbox from it", f"%devbox create --blueprint {name}"], *_manage("blueprint", name)]
    if kind == "snapshot":
        return [["New devbox from it", f"%devbox create --snapshot {identity}"], *_manage("snapshot", identity)]
    if kind == "object":
        return [["Download", f"%runloop object download {identity}"], *_manage("object", identity)]
    return [["Delete", f"%runloop {kind} delete {name}"]]


def _manage(noun: str, reference: str) -> list[list[str]]:
    return [["Show", f"%runloop {noun} info {reference}"], ["Delete", f"%runloop {noun} delete {reference}"]]


def _devbox_cells(status: str, name: str) -> list[list[str]]:
    use = ["Use it", f"%devbox use {name}"]
    info = ["Show it", f"%devbox info {name}"]
    if status == "running":
        run = ["Run a command", f"%%devbox exec --on {name}\necho hello"]
        return [run, use, ["Suspend", f"%devbox suspend {name}"], ["Shut down", f"%devbox shutdown {name}"]]
    if status == "suspended":
        return [["Resume", f"%devbox resume {name}"], use, ["Shut down", f"%devbox shutdown {name}"]]
    return [info]
