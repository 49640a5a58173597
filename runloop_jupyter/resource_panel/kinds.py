"""The kinds of resources that have a tab: where they are listed, and the row that each makes.

Rows are made of what the API sent as it is, not of checked views: a list with one odd entry is still a list, and ten
thousand entries cost a tenth of the time. A row is a list, with the id first and then a value for each column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runloop_sdk.models.devboxes import reason_of

from ..kernel.owned import DEFAULT_KEEP_ALIVE

Entry = Mapping[str, Any]
Row = list[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `form` says how a value is shown: text, id, status, time, ending, span, bytes or until.

    `width` is in pixels; where there is little room, those with the highest `rank` go first. A column without a label
    is not shown: it holds what others need.
    """

    key: str
    label: str = ""
    form: str = "text"
    width: int = 120
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `path` lists them, as `items` of the answer; `row` makes an entry's values after the id."""

    name: str
    title: str
    singular: str
    path: str
    items: str
    columns: tuple[Column, ...]
    row_values: Callable[[Entry], list[Any]]
    empty: str
    settled: frozenset[str]
    """The statuses that last; all others are on the way to one of them."""
    ended: frozenset[str] = frozenset()
    """The statuses that are shown only when asked for."""

    def row(self, entry: Entry) -> Row | None:
        """The row of one entry; None where it has no id to act on."""
        identity = entry.get("id")
        return [identity, *self.row_values(entry)] if isinstance(identity, str) and identity else None

    def value(self, row: Row, key: str) -> Any:
        """What a row says under a column's key; None for a column that this kind does not have."""
        if key == "id":
            return row[0]
        if all(column.key != key for column in self.columns):
            return None
        return row[1 + next(at for at, column in enumerate(self.columns) if column.key == key)]

    def status(self, row: Row) -> str:
        """The resource's state; empty for kinds that have none."""
        return self.value(row, "status") or self.value(row, "state") or ""

    def name_of(self, row: Row) -> str:
        """What people call it: its name, else its id."""
        return str(row[1] or row[0])

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know of it."""
        columns = [[c.key, c.label, c.form, c.width, c.rank] for c in self.columns]
        facts = {"name": self.name, "title": self.title, "singular": self.singular, "empty": self.empty}
        return {**facts, "columns": columns, "settled": sorted(self.settled), "ended": sorted(self.ended)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _part(entry: Entry, key: str) -> Entry:
    value = entry.get(key)
    return value if isinstance(value, Mapping) else {}


def _devbox(entry: Entry) -> list[Any]:
    launch = _part(entry, "launch_parameters")
    status = _text(entry.get("status")) or "unknown"
    return [
        _text(entry.get("name")),
        status,
        _number(entry.get("create_time_ms")),
        _number(entry.get("end_time_ms")),
        _text(entry.get("owner")),
        _text(entry.get("blueprint_id")) or _text(entry.get("snapshot_id")),
        _text(launch.get("resource_size_request")).lower().replace("_", "-"),
        _text(_part(entry, "tunnel").get("auth_mode")),
        reason_of(entry) if status in ("failure", "shutdown") else "",
        _runs_until(entry, launch),
        _text(entry.get("with_kernel")),
    ]


def _runs_until(entry: Entry, launch: Entry) -> int | None:
    """When its keep-alive time is over, if nobody but this kernel renewed it since it began to run.

    None where there is none, or where its end hangs on a kernel's.
    """
    seconds = _number(launch.get("keep_alive_time_seconds")) or round(DEFAULT_KEEP_ALIVE)
    idle = launch.get("after_idle") or _part(launch, "lifecycle").get("after_idle")
    if entry.get("status") != "running" or idle or entry.get("with_kernel"):
        return None
    steps = entry.get("state_transitions")
    began = [
        _number(step.get("transition_time_ms"))
        for step in (steps if isinstance(steps, list) else ())
        if isinstance(step, Mapping) and step.get("status") == "running"
    ]
    start = (began[-1] if began else None) or _number(entry.get("create_time_ms"))
    renewed = _number(entry.get("renewed_time_ms"))
    return max(start or 0, renewed or 0) + seconds * 1000 if start or renewed else None


def _blueprint(entry: Entry) -> list[Any]:
    status = "deleted" if entry.get("state") == "deleted" else _text(entry.get("status"))
    return [
        _text(entry.get("name")),
        status or "unknown",
        _number(entry.get("create_time_ms")),
        _number(entry.get("build_finish_time_ms")),
        _text(entry.get("failure_reason")),
    ]


def _snapshot(entry: Entry) -> list[Any]:
    return [
        _text(entry.get("name")),
        _text(entry.get("source_devbox_id")),
        _number(entry.get("create_time_ms")),
        _number(entry.get("size_bytes")),
        _text(entry.get("commit_message")),
    ]


def _object(entry: Entry) -> list[Any]:
    return [
        _text(entry.get("name")),
        _text(entry.get("state")).lower() or "unknown",
        _text(entry.get("content_type")),
        _number(entry.get("size_bytes")),
        _number(entry.get("create_time_ms")),
        _number(entry.get("delete_after_time_ms")),
    ]


def _secret(entry: Entry) -> list[Any]:
    return [_text(entry.get("name")), _number(entry.get("create_time_ms")), _number(entry.get("update_time_ms"))]


def _policy(entry: Entry) -> list[Any]:
    egress = _part(entry, "egress")
    names = [_text(name) for name in egress.get("allowed_hostnames") or ()]
    ranges = [_text(each.get("cidr")) for each in egress.get("allowed_cidrs") or () if isinstance(each, Mapping)]
    allows = "everything" if egress.get("allow_all") else ", ".join([*names, *ranges]) or "nothing"
    return [
        _text(entry.get("name")),
        allows,
        _number(entry.get("create_time_ms")),
        _text(entry.get("description")),
    ]


_NAME = Column("name", "Name", width=190)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "devbox",
            "Devboxes",
            "devbox",
            "/v1/devboxes",
            "devboxes",
            (
                _NAME,
                Column("status", "Status", "status", 130),
                Column("created", "Created", "time", 110, 2),
                Column("ended", "Ends", "ending", 160, 1),
                Column("owner", "Owner", width=125, rank=3),
                Column("source", "Source", "source", 150, 4),
                Column("size", "Size", width=80, rank=5),
                Column("tunnel", "Tunnel", width=110, rank=6),
                Column("reason"),
                Column("until", form="until"),
                Column("with_kernel", form="until"),
                Column("id", "ID", "id", 230, 7),
            ),
            _devbox,
            "No devbox yet. Create one here, or type %devbox create in a cell.",
            frozenset({"running", "suspended", "shutdown", "failure"}),
            frozenset({"shutdown", "failure"}),
        ),
        Kind(
            "blueprint",
            "Blueprints",
            "blueprint",
            "/v1/blueprints",
            "blueprints",
            (
                _NAME,
                Column("status", "Status", "status", 150),
                Column("created", "Created", "time", 120, 1),
                Column("finished", "Build took", "span", 110, 2),
                Column("reason"),
                Column("id", "ID", "id", 230, 3),
            ),
            _blueprint,
            "No blueprint yet. Build one from a Dockerfile: devboxes then start from it with everything installed.",
            frozenset({"build_complete", "failed", "deleted"}),
        ),
        Kind(
            "snapshot",
            "Snapshots",
            "snapshot",
            "/v1/devboxes/disk_snapshots",
            "snapshots",
            (
                _NAME,
                Column("devbox", "Devbox", "source", 170, 2),
                Column("created", "Created", "time", 120, 1),
                Column("size", "Size", "bytes", 90, 3),
                Column("message", "Message", width=220, rank=4),
                Column("id", "ID", "id", 230, 5),
            ),
            _snapshot,
            "No snapshot yet. Take one of a running devbox: it keeps the disk, and new devboxes can start from it.",
            frozenset(),
        ),
        Kind(
            "object",
            "Storage objects",
            "storage object",
            "/v1/objects",
            "objects",
            (
                _NAME,
                Column("state", "State", "status", 120),
                Column("type", "Type", width=90, rank=4),
                Column("size", "Size", "bytes", 90, 1),
                Column("created", "Created", "time", 120, 2),
                Column("expires", "Expires", "time", 120, 3),
                Column("id", "ID", "id", 230, 5),
            ),
            _object,
            "No storage object yet. Drop a file here to upload one; devboxes can mount it.",
            frozenset({"read_only", "deleted", "error"}),
        ),
        Kind(
            "secret",
            "Secrets",
            "secret",
            "/v1/secrets",
            "secrets",
            (
                _NAME,
                Column("created", "Created", "time", 130, 1),
                Column("updated", "Changed", "time", 130, 2),
                Column("id", "ID", "id", 230, 3),
            ),
            _secret,
            "No secret yet. Devboxes get secrets as environment variables; nobody can read them back here.",
            frozenset(),
        ),
        Kind(
            "policy",
            "Network policies",
            "network policy",
            "/v1/network-policies",
            "network_policies",
            (
                _NAME,
                Column("allows", "Allows", width=260, rank=1),
                Column("created", "Created", "time", 120, 2),
                Column("description", "Description", width=200, rank=3),
                Column("id", "ID", "id", 230, 4),
            ),
            _policy,
            "No network policy yet. A policy says which hosts devboxes may reach.",
            frozenset(),
        ),
    )
}
OPTIONAL = ("secret", "policy")
"""Kinds that not every service has: their tabs are there where they are served."""
