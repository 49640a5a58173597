"""What can be done with resources, in which states, and the doing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MagicError, UsageError
from ..resources.devboxes import describe
from .kinds import KINDS, Row
from .tool_tabs import missing

if TYPE_CHECKING:
    from pydantic import BaseModel

    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView

    from ..session import Session
    from .feed import Feed

T = TypeVar("T")

_PATIENCE = 20.0  # seconds for an answer, with the tries after a refusal that may pass
_CHANGING = ("scheduled", "queued", "provisioning", "initializing", "suspending", "resuming")
_LIVE = ("running", "suspended", *_CHANGING)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do with resources of a kind.

    `states` are those in which it is allowed; None for all. `doing` is what the row says meanwhile. `grave` ones are
    asked about first. `opens` ones need the panel: they open a tool or a form, for one resource.
    """

    name: str
    label: str
    kind: str
    states: tuple[str, ...] | None = None
    doing: str = ""
    many: bool = True
    grave: bool = False
    opens: bool = False

    def allowed(self, row: Row) -> bool:
        """Whether it can be done in the row's state."""
        return self.states is None or KINDS[self.kind].status(row) in self.states

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know of it."""
        states = None if self.states is None else list(self.states)
        return {"name": self.name, "label": self.label, "states": states, "many": self.many, "grave": self.grave}


ACTIONS: Mapping[tuple[str, str], Action] = {
    (action.kind, action.name): action
    for action in (
        Action("use", "Use in this notebook", "devbox", _LIVE, many=False),
        Action("console", "Run a command", "devbox", ("running",), many=False, opens=True),
        Action("terminal", "Open terminal", "devbox", ("running",), many=False, opens=True),
        Action("files", "Files", "devbox", ("running",), many=False, opens=True),
        Action("logs", "Logs", "devbox", many=False, opens=True),
        Action("tunnel", "Tunnel link…", "devbox", ("running",), many=False, opens=True),
        Action("keep_alive", "Keep alive", "devbox", ("running",), "renewing"),
        Action("snapshot", "Snapshot", "devbox", ("running",), "taking a snapshot"),
        Action("suspend", "Suspend", "devbox", ("running",), "suspending"),
        Action("resume", "Resume", "devbox", ("suspended",), "resuming"),
        Action("shutdown", "Shut down…", "devbox", _LIVE, "shutting down", grave=True),
        Action("create_devbox", "New devbox from this", "blueprint", ("build_complete",), many=False, opens=True),
        Action("delete", "Delete…", "blueprint", ("build_complete", "failed"), "deleting", grave=True),
        Action("create_devbox", "New devbox from this", "snapshot", many=False, opens=True),
        Action("delete", "Delete…", "snapshot", None, "deleting", grave=True),
        Action("download", "Download", "object", ("read_only",), "downloading"),
        Action("delete", "Delete…", "object", ("read_only", "uploading", "error"), "deleting", grave=True),
        Action("delete", "Delete…", "secret", None, "deleting", grave=True),
        Action("delete", "Delete…", "policy", None, "deleting", grave=True),
    )
}
"""By kind and name."""


def specs(kind: str) -> list[dict[str, Any]]:
    """What the front end needs to know of a kind's actions."""
    absent = missing()
    return [action.spec() for action in ACTIONS.values() if action.kind == kind and action.name not in absent]


async def answered(feed: Feed, kind: str, request: Awaitable[T]) -> T:
    """The answer to a request that makes the service wait for nothing. Raises `MagicError` where none comes in time."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await request
    except TimeoutError:
        why = feed.health[kind].error or "The service does not answer."
        raise MagicError(f"Not confirmed within {_PATIENCE:.0f} s: {why} Whether it was done shows here.") from None


class Doer:
    """Does what needs no more of the panel than its table. Each method's result is a word for the user, or nothing."""

    def __init__(self, session: Session, feed: Feed) -> None:
        self._session = session
        self._feed = feed

    async def do(self, action: Action, identity: str) -> str:
        """Do it to one resource. Raises the magics' errors, each one clear sentence."""
        row = self._feed.row(action.kind, identity)
        if row is None:
            raise UsageError(f"This {KINDS[action.kind].singular} is gone.")
        if not action.allowed(row):
            raise UsageError(f"It is {KINDS[action.kind].status(row)} now: {action.label.rstrip('…')} cannot be done.")
        sdk = await self._session.sdk()
        if action.name == "delete":
            return await self._session.guard(self._delete(sdk, action.kind, row))
        return await self._session.guard(_METHODS[action.name](self, sdk, row))

    async def _use(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        devbox = describe(await self._answer("devbox", sdk.devbox.from_id(row[0]).get_info()))
        self._session.choose(devbox)
        self._feed.note_current()
        return f"{devbox.short} is the current devbox: the next %%devbox cells run on it."

    async def _keep_alive(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        await self._answer("devbox", sdk.devbox.from_id(row[0]).keep_alive())
        self._session.owned.note_renewal(row[0])
        return f"The keep-alive time of {_name(row)} starts again."

    async def _snapshot(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        snapshot = await self._answer("devbox", sdk.devbox.from_id(row[0]).snapshot_disk_async())
        seen = (await snapshot.await_completed()).snapshot
        if seen is not None:
            self._put("snapshot", seen)
        return f"Took snapshot {snapshot.id} of {_name(row)}."

    async def _suspend(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        devbox = sdk.devbox.from_id(row[0])
        self._put("devbox", await self._answer("devbox", devbox.suspend()))
        self._put("devbox", await devbox.await_suspended())
        return f"Suspended {_name(row)}."

    async def _resume(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        devbox = sdk.devbox.from_id(row[0])
        self._put("devbox", await self._answer("devbox", devbox.resume_async()))
        self._put("devbox", await devbox.await_running())
        return f"{_name(row)} runs again."

    async def _shutdown(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        view: DevboxView = await self._answer("devbox", sdk.devbox.from_id(row[0]).shutdown())
        self._put("devbox", view)
        self._session.ended(describe(view))
        self._feed.note_current()
        return f"Shut down {_name(row)}."

    async def _download(self, sdk: AsyncRunloopSDK, row: Row) -> str:
        target = await asyncio.to_thread(free_path, Path(str(row[1]) or row[0]).name or row[0])
        await sdk.storage_object.from_id(row[0]).download_to(target)
        return f"Saved {target.name} beside the notebook."

    async def _delete(self, sdk: AsyncRunloopSDK, kind: str, row: Row) -> str:
        await self._answer(kind, _deletion(sdk, kind, row))
        self._feed.drop(kind, row[0])
        return f"Deleted {_name(row)}."

    def _put(self, kind: str, view: BaseModel) -> None:
        self._feed.put(kind, view.model_dump())

    async def _answer(self, kind: str, request: Awaitable[T]) -> T:
        return await answered(self._feed, kind, request)


_METHODS: Mapping[str, Callable[[Doer, AsyncRunloopSDK, Row], Awaitable[str]]] = {
    "use": Doer._use,
    "keep_alive": Doer._keep_alive,
    "snapshot": Doer._snapshot,
    "suspend": Doer._suspend,
    "resume": Doer._resume,
    "shutdown": Doer._shutdown,
    "download": Doer._download,
}


def _deletion(sdk: AsyncRunloopSDK, kind: str, row: Row) -> Awaitable[object]:
    if kind == "blueprint":
        return sdk.api.blueprints.delete(row[0])
    if kind == "snapshot":
        return sdk.api.devboxes.disk_snapshots.delete(row[0])
    if kind == "object":
        return sdk.api.objects.delete(row[0])
    if kind == "policy":
        return sdk.api.network_policies.delete(row[0])
    return sdk.api.secrets.delete_by_id(row[0])


def _name(row: Row) -> str:
    return str(row[1] or row[0])


def free_path(name: str) -> Path:
    """A path in the notebook's folder that no file has: `name`, else `name (1)` and so on."""
    wanted = Path(name)
    numbered = (Path(f"{wanted.stem} ({number}){wanted.suffix}") for number in range(1, 1000))
    return next(path for path in (wanted, *numbered) if not path.exists())


def prunable(kind: str, rows: list[Row]) -> list[Row]:
    """What pruning a kind takes away.

    Blueprints: failed builds, and those that a newer build of the same name replaced. Snapshots: all but the newest
    of each devbox. Objects: uploads that failed or were given up.
    """
    if kind == "blueprint":
        return [*_with(kind, rows, "failed"), *_older(kind, _with(kind, rows, "build_complete"), "name")]
    if kind == "snapshot":
        return _older(kind, rows, "devbox")
    if kind == "object":
        return [*_with(kind, rows, "error"), *_with(kind, rows, "uploading")]
    return []


def _with(kind: str, rows: list[Row], status: str) -> list[Row]:
    return [row for row in rows if KINDS[kind].status(row) == status]


def _older(kind: str, rows: list[Row], group: str) -> list[Row]:
    """All but the newest of the rows that share a value in the column `group`."""
    value = KINDS[kind].value
    kept: set[object] = set()
    older = []
    for row in sorted(rows, key=lambda row: value(row, "created") or 0, reverse=True):
        if value(row, group) in kept:
            older.append(row)
        kept.add(value(row, group))
    return older
