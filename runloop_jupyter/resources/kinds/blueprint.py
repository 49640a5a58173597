"""Blueprints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...text.quoting import as_word
from .. import kind_names
from ..forms import (
    METADATA,
    Field,
    Form,
    Outcome,
    Submission,
    Values,
    cell_line,
    check_name,
    given,
    lines,
    pairs,
    repeated,
)
from ..kind import NAME, Action, Entry, Pruning, ResourceKind, Row, number, text
from ..specs import Cell, Column, LogLine
from .deletion import deletion, manage_cells

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.blueprints import BlueprintView

_COMPLETE, _FAILED = "build_complete", "failed"


def _row(entry: Entry) -> Row:
    status = "deleted" if entry.get("state") == "deleted" else text(entry.get("status"))
    return [
        text(entry.get("name")),
        status or "unknown",
        number(entry.get("create_time_ms")),
        number(entry.get("build_finish_time_ms")),
        text(entry.get("failure_reason")),
    ]


def _replaced(newest_first: Sequence[Row], keep: int) -> list[Row]:
    """Return failed builds, and complete ones of a name that has `keep` newer complete ones."""
    kept: dict[str, int] = {}
    found = []
    for row in newest_first:
        name, status = row[1], BLUEPRINT.status(row)
        if status == _COMPLETE:
            kept[name] = kept.get(name, 0) + 1
        if status == _FAILED or (kept.get(name, 0) > keep and status == _COMPLETE):
            found.append(row)
    return found


def _fact(entry: Entry, key: str) -> object:
    return None if key == "state" else entry.get(key)


async def _build_log(sdk: AsyncRunloopSDK, identity: str) -> list[LogLine]:
    return [LogLine(line.level, line.message) for line in (await sdk.api.blueprints.logs(identity)).logs]


def _cells(entry: Entry, name: str, identity: str) -> list[Cell]:
    return [Cell("New devbox from it", f"%devbox create --blueprint {name}"), *manage_cells(kind_names.BLUEPRINT, name)]


def _request(values: Values) -> dict[str, object]:
    return given(
        {
            "name": values.get("name", "").strip(),
            "dockerfile": values.get("dockerfile", "").strip(),
            "system_setup_commands": lines(values.get("commands", "")),
            "metadata": pairs(values.get("metadata", "")),
        }
    )


def _magic(values: Values) -> str:
    name = as_word(values.get("name", "").strip() or "NAME")
    options = [*repeated("--run", values.get("commands", "")), *repeated("--metadata", values.get("metadata", ""))]
    line = cell_line(f"%runloop blueprint build {name}", options)
    dockerfile = values.get("dockerfile", "").strip()
    return f"%{line}\n{dockerfile}" if dockerfile else line


async def _build(submission: Submission) -> Outcome:
    from ...operations.builds import start_build

    view = await start_build(submission.session, _request(submission.values), submission.observer)
    return Outcome(details_of=view.id)


BUILD_FORM = Form(
    kind_names.BLUEPRINT,
    "Build a blueprint",
    "Build",
    (
        Field("name", "Name", hint="devboxes start from the latest build of a name", check=check_name),
        Field("dockerfile", "Dockerfile", "lines", "FROM …\nRUN …"),
        Field("commands", "Setup commands", "lines", "run after the Dockerfile, one a line", more=True),
        METADATA,
    ),
    _magic,
    _build,
)

BLUEPRINT: ResourceKind[BlueprintView] = ResourceKind(
    name=kind_names.BLUEPRINT,
    singular="blueprint",
    title="Blueprints",
    model="BlueprintView",
    path="/v1/blueprints",
    items="blueprints",
    detail_path="/v1/blueprints/{}",
    ask=lambda sdk, page: aiter(sdk.api.blueprints.list(**page)),
    newest_wins=True,
    columns=(
        NAME,
        Column("status", "Status", "status", 150),
        Column("created", "Created", "time", 120, 1),
        Column("finished", "Build took", "span", 110, 2),
        Column("reason"),
        Column("id", "ID", "id", 230, 3),
    ),
    row_values=_row,
    listed=("name", "id", "status", "created"),
    fact=_fact,
    log=_build_log,
    empty="No blueprint yet. Build one from a Dockerfile, here or by `%%runloop blueprint build NAME`: devboxes then "
    "start from it with everything installed.",
    settled=frozenset({_COMPLETE, _FAILED, "deleted"}),
    startable=frozenset({_COMPLETE}),
    actions=(
        Action("create_devbox", "New devbox from this", (_COMPLETE,), many=False),
        deletion((_COMPLETE, _FAILED)),
    ),
    cells=_cells,
    create_label="Build blueprint",
    creation=lambda choices, source: BUILD_FORM,
    delete=lambda sdk, identity: sdk.api.blueprints.delete(identity),
    loses="Devboxes that were made from it go on. No new ones can be made.",
    pruning=Pruning(
        _replaced,
        why="These failed to build, or a newer build of the same name replaced them.",
        none="no build has failed, and none was replaced by a newer one of the same name.",
    ),
)
