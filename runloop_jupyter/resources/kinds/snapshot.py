"""Snapshots of devboxes' disks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import kind_names
from ..kind import NAME, Action, Entry, Pruning, ResourceKind, Row, number, text
from ..specs import Cell, Column
from .deletion import deletion, manage_cells

if TYPE_CHECKING:
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView


def _row(entry: Entry) -> Row:
    return [
        text(entry.get("name")),
        text(entry.get("source_devbox_id")),
        number(entry.get("create_time_ms")),
        number(entry.get("size_bytes")),
        text(entry.get("commit_message")),
    ]


def _older(newest_first: Sequence[Row], keep: int) -> list[Row]:
    """Return all but the newest `keep` of each devbox."""
    seen: Counter[str] = Counter()
    found = []
    for row in newest_first:
        devbox = SNAPSHOT.value(row, "devbox")
        seen[devbox] += 1
        if seen[devbox] > keep:
            found.append(row)
    return found


def _cells(entry: Entry, name: str, identity: str) -> list[Cell]:
    return [
        Cell("New devbox from it", f"%devbox create --snapshot {identity}"),
        *manage_cells(kind_names.SNAPSHOT, identity),
    ]


def _detail_entry(answer: Entry) -> Entry:
    snapshot = answer.get(kind_names.SNAPSHOT)
    return snapshot if isinstance(snapshot, dict) and snapshot else answer


SNAPSHOT: ResourceKind[DevboxSnapshotView] = ResourceKind(
    name=kind_names.SNAPSHOT,
    singular=kind_names.SNAPSHOT,
    title="Snapshots",
    model="DevboxSnapshotView",
    path="/v1/devboxes/disk_snapshots",
    items="snapshots",
    detail_path="/v1/devboxes/disk_snapshots/{}/status",
    detail_entry=_detail_entry,
    ask=lambda sdk, page: aiter(sdk.api.devboxes.disk_snapshots.list(**page)),
    columns=(
        NAME,
        Column("devbox", "Devbox", "source", 170, 2),
        Column("created", "Created", "time", 120, 1),
        Column("size", "Size", "bytes", 90, 3),
        Column("message", "Message", width=220, rank=4),
        Column("id", "ID", "id", 230, 5),
    ),
    row_values=_row,
    listed=("name", "id", "devbox", "size", "message", "created"),
    empty="No snapshot yet. Take one of a running devbox, in its menu or by `%devbox snapshot`: it keeps the disk, and "
    "new devboxes can start from it.",
    actions=(Action("create_devbox", "New devbox from this", many=False), deletion()),
    cells=_cells,
    delete=lambda sdk, identity: sdk.api.devboxes.disk_snapshots.delete(identity),
    loses="The saved disk is lost. Devboxes that were made from it go on.",
    pruning=Pruning(
        _older,
        why="These are not the newest of their devbox.",
        none="each is the newest of its devbox.",
    ),
)
