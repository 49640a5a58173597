"""Cards of the SDK's views, and of the result of a command. Imports the SDK."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Any

from runloop_sdk import AsyncExecutionResult, Page
from runloop_sdk.models import View
from runloop_sdk.models.blueprints import BlueprintView
from runloop_sdk.models.devboxes import DevboxView
from runloop_sdk.models.disk_snapshots import DevboxSnapshotAsyncStatusView, DevboxSnapshotView
from runloop_sdk.models.executions import DevboxAsyncExecutionDetailView
from runloop_sdk.models.network_policies import NetworkPolicyView
from runloop_sdk.models.objects import ObjectView
from runloop_sdk.models.secrets import SecretView
from runloop_sdk.models.usage import DevboxResourceUsageView

from ..resources.devboxes import describe
from ..resources.kinds.network_policy import allowed
from ..text.durations import spell_duration
from ..text.quoting import as_word, reference
from ..text.sizes import spell_size
from . import page
from .card import Details
from .devboxes import devbox_details
from .frames import row_of
from .states import state_text
from .table import Columns, Listing
from .text import ago, moment, pairs

_MAX_TEXT = 400  # characters of one field, which may hold megabytes of output
_COLUMNS: Columns[object] = {
    "name": lambda view: str(getattr(view, "name", None) or ""),
    "id": lambda view: str(getattr(view, "id", "")),
    "status": lambda view: _state(view),
    "type": lambda view: str(getattr(view, "content_type", "")),
    "size": lambda view: _size(getattr(view, "size_bytes", None)),
    "created": lambda view: ago(getattr(view, "create_time_ms", None)),
}


@singledispatch
def card_of(thing: object) -> Details[Any]:
    """The card of an object of the SDK."""
    return Details(thing, [("", repr(thing))])


def table_of(found: Page[Any]) -> Listing[object]:
    """The table of one page of a list."""
    columns: Columns[object] = _COLUMNS
    note = "There are more: async for walks them all." if found.has_more else ""
    return Listing(found, columns, none="None.", note=note)


@card_of.register
def _(view: View) -> Details[object]:
    return Details(view, list(_rows(row_of(view) or {})))


@card_of.register
def _(view: DevboxView) -> Details[object]:
    return devbox_details(describe(view))


@card_of.register
def _(view: DevboxResourceUsageView) -> Details[object]:
    return Details(view, [("devbox", view.id), *usage_rows(view)], usage_bar(view))


@card_of.register
def _(view: BlueprintView) -> Details[BlueprintView]:
    built_from = view.parameters
    took = (view.build_finish_time_ms or 0) - view.create_time_ms
    rows = (
        ("name", view.name),
        ("id", view.id),
        ("status", state_text(view.status, view.failure_reason)),
        ("created", ago(view.create_time_ms)),
        ("build", f"took {spell_duration(took / 1000)}" if view.build_finish_time_ms else ""),
        ("base", built_from.base_blueprint_name or view.base_blueprint_id or ""),
        ("metadata", pairs(view.metadata)),
        ("Dockerfile", f"{len(built_from.dockerfile.splitlines())} lines" if built_from.dockerfile else ""),
        (
            "use it",
            f"%devbox create --blueprint {reference(view.name, view.id)}" if view.status == "build_complete" else "",
        ),
        ("see why", f"%runloop blueprint logs {reference('', view.id)}" if view.status == "failed" else ""),
    )
    return Details(view, rows)


@card_of.register
def _(view: DevboxSnapshotView) -> Details[DevboxSnapshotView]:
    return snapshot_card(view, "")


@card_of.register
def _(view: DevboxSnapshotAsyncStatusView) -> Details[object]:
    state = state_text(view.status, view.error_message)
    return Details(view, [("status", state)]) if view.snapshot is None else snapshot_card(view.snapshot, state)


def snapshot_card(view: DevboxSnapshotView, state: str) -> Details[DevboxSnapshotView]:
    """The card of a snapshot, whose view does not include its state."""
    rows = (
        ("name", view.name or ""),
        ("id", view.id),
        ("status", state),
        ("created", ago(view.create_time_ms)),
        ("message", view.commit_message or ""),
        ("devbox", view.source_devbox_id),
        ("blueprint", view.source_blueprint_id or ""),
        ("size", _size(view.size_bytes)),
        ("metadata", pairs(view.metadata)),
        ("use it", f"%runloop snapshot restore {reference(view.name or '', view.id)}"),
    )
    return Details(view, rows)


@card_of.register
def _(view: ObjectView) -> Details[ObjectView]:
    rows = (
        ("name", view.name),
        ("id", view.id),
        ("type", view.content_type),
        ("size", _size(view.size_bytes)),
        ("state", state_text(view.state)),
        ("created", ago(view.create_time_ms)),
        ("deleted at", moment(view.delete_after_time_ms)),
        ("metadata", pairs(view.metadata)),
        ("use it", f"%devbox create --mount {reference('', view.id)}:PATH"),
    )
    return Details(view, rows)


@card_of.register
def _(view: SecretView) -> Details[SecretView]:
    rows = (
        ("name", view.name),
        ("id", view.id),
        ("created", ago(view.create_time_ms)),
        ("changed", ago(view.update_time_ms)),
        ("use it", f"%devbox create --secret VARIABLE={as_word(view.name)}"),
    )
    return Details(view, rows)


@card_of.register
def _(view: NetworkPolicyView) -> Details[NetworkPolicyView]:
    rows = (
        ("name", view.name),
        ("id", view.id),
        ("description", view.description or ""),
        ("allows", allowed(view.egress.model_dump())),
        ("created", ago(view.create_time_ms)),
        ("changed", ago(view.update_time_ms)),
        ("use it", f"%devbox create --policy {reference(view.name, view.id)}"),
    )
    return Details(view, rows)


@card_of.register
def _(view: DevboxAsyncExecutionDetailView) -> Details[DevboxAsyncExecutionDetailView]:
    return Details(view, _command_rows(view))


@card_of.register
def _(result: AsyncExecutionResult) -> Details[AsyncExecutionResult]:
    return Details(result, _command_rows(result.result))


def _command_rows(view: DevboxAsyncExecutionDetailView) -> list[tuple[str, str]]:
    """The rows of a command, with only the last line of its output, which may have megabytes."""
    code = view.exit_status
    printed = [line for text in (view.stdout, view.stderr) for line in (text or "").splitlines()]
    return [
        ("status", state_text(view.status) if code is None else f"{'✗' if code else '✓'} exit code {code}"),
        ("id", view.execution_id),
        ("devbox", view.devbox_id),
        ("last line", printed[-1][:_MAX_TEXT] if printed else ""),
    ]


def usage_rows(view: DevboxResourceUsageView) -> list[tuple[str, str]]:
    """The rows about the resources that a devbox used, with averages over the time that it was active."""
    active = view.total_active_seconds

    def average(amount: int, unit: str) -> str:
        return f" · {amount / active:.2g} {unit} on average" if active else ""

    return [
        ("active", f"{spell_duration(active)} of {spell_duration(view.total_elapsed_seconds)}"),
        ("processors", f"{view.vcpu_seconds:,} vCPU·s{average(view.vcpu_seconds, 'vCPU')}"),
        ("memory", f"{view.memory_gb_seconds:,} GB·s{average(view.memory_gb_seconds, 'GB')}"),
        ("disk", f"{view.disk_gb_seconds:,} GB·s"),
    ]


def usage_bar(view: DevboxResourceUsageView) -> str:
    """An HTML bar that shows for how much of its life the devbox was active."""
    elapsed = max(view.total_elapsed_seconds, view.total_active_seconds)
    if not elapsed:
        return ""
    active = view.total_active_seconds / elapsed
    return page.bar(
        f"active for {active:.0%} of its life",
        [("runloop-good", "active", active), ("runloop-quiet", "not active", 1 - active)],
    )


def _state(view: object) -> str:
    state = getattr(view, "status", None) or getattr(view, "state", None)
    return state_text(str(state)) if state else ""


def _size(size: int | None) -> str:
    return "" if size is None else spell_size(size)


def _rows(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in fields.items():
        if value is None or value in ("", [], {}):
            continue
        if name.endswith("_ms"):
            yield name.removesuffix("_ms").removesuffix("_time").replace("_", " "), moment(value)
        else:
            yield _row(name, value)


def _row(name: str, value: Any) -> tuple[str, str]:
    title = name.replace("_", " ")
    if name in ("status", "state"):
        return title, state_text(str(value))
    if name.endswith("_bytes"):
        return title.removesuffix(" bytes"), spell_size(value)
    if name.endswith("_seconds"):
        return title.removesuffix(" seconds"), spell_duration(value)
    if isinstance(value, bool):
        return title, "yes" if value else "no"
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
    return title, text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"
