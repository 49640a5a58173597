"""Storage objects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import kind_names
from ..kind import NAME, Action, ActionRequest, Entry, Pruning, ResourceKind, Row, number, text
from ..specs import Cell, Column
from .deletion import deletion, manage_cells

if TYPE_CHECKING:
    from runloop_sdk.models.objects import ObjectView

_COMPLETE, _UPLOADING, _ERROR = "read_only", "uploading", "error"


def _row(entry: Entry) -> Row:
    return [
        text(entry.get("name")),
        text(entry.get("state")).lower() or "unknown",
        text(entry.get("content_type")),
        number(entry.get("size_bytes")),
        number(entry.get("create_time_ms")),
        number(entry.get("delete_after_time_ms")),
    ]


def _unfinished(newest_first: Sequence[Row], keep: int) -> list[Row]:
    return [row for row in newest_first if OBJECT.status(row) in (_ERROR, _UPLOADING)]


def _cells(entry: Entry, name: str, identity: str) -> list[Cell]:
    return [Cell("Download", f"%runloop object download {identity}"), *manage_cells(kind_names.OBJECT, identity)]


async def _download(request: ActionRequest) -> str:
    from ...operations.transfers import download_object, free_path
    from ...text.progress import Progress

    sdk = await request.session.client.sdk()
    view = await request.observer.confirmed(sdk.api.objects.retrieve(request.id))
    target = await asyncio.to_thread(free_path, Path(request.name).name or request.id)
    await download_object(sdk, view, target, Progress(""))
    return f"Saved {target.name} beside the notebook."


OBJECT: ResourceKind[ObjectView] = ResourceKind(
    name=kind_names.OBJECT,
    singular="object",
    title="Storage objects",
    model="ObjectView",
    path="/v1/objects",
    items="objects",
    detail_path="/v1/objects/{}",
    ask=lambda sdk, page: aiter(sdk.api.objects.list(**page)),
    columns=(
        NAME,
        Column("state", "State", "status", 120),
        Column("type", "Type", width=90, rank=4),
        Column("size", "Size", "bytes", 90, 1),
        Column("created", "Created", "time", 120, 2),
        Column("expires", "Expires", "time", 120, 3),
        Column("id", "ID", "id", 230, 5),
    ),
    row_values=_row,
    listed=("name", "id", "type", "size", "state", "created"),
    empty="No storage object yet. Drop a file here, or upload it by `%runloop object upload FILE`; devboxes can "
    "mount it.",
    settled=frozenset({_COMPLETE, "deleted", _ERROR}),
    actions=(
        Action("download", "Download", (_COMPLETE,), _download, "downloading"),
        deletion((_COMPLETE, _UPLOADING, _ERROR)),
    ),
    cells=_cells,
    create_label="Upload file",
    uploads=True,
    delete=lambda sdk, identity: sdk.api.objects.delete(identity),
    loses="The content is lost. Devboxes that have mounted it keep their copies.",
    pruning=Pruning(
        _unfinished,
        why="The uploads of these failed or were given up.",
        none="no upload has failed or was given up.",
    ),
)
