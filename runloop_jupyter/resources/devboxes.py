"""Devboxes as the magics see them: a short description, and how to find one by name or id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import DevboxUnavailableError, UsageError, did_you_mean
from ..text.quoting import printable, reference

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView
    from runloop_sdk.params.devboxes import DevboxStatus

LIVE: tuple[DevboxStatus, ...] = (
    "queued",
    "provisioning",
    "initializing",
    "running",
    "suspending",
    "suspended",
    "resuming",
)
"""States that a devbox can still be used in, or come back from."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class DevboxInfo:
    """A devbox at one moment. Times are milliseconds since 1970."""

    id: str
    name: str
    status: str
    created_ms: int
    ended_ms: int | None = None
    reason: str = ""
    """The API's word for why it failed or ended."""
    why: str = ""
    """The same in a sentence, without a full stop."""
    source: str = ""
    size: str = ""
    keep_alive: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    history: tuple[tuple[str, int], ...] = ()
    idle: tuple[int, str] | None = None
    """Seconds without use after which it is suspended or shut down, and which of them."""
    owner: str = ""
    """Its owner, in words."""
    ends: str = ""
    """The time and cause of its end, in words."""

    @property
    def alive(self) -> bool:
        """True if it runs, or can run again."""
        return self.status not in ("shutdown", "failure")

    @property
    def age(self) -> float:
        """Seconds since it was created, until now or its end."""
        return max((self.ended_ms or time.time() * 1000) - self.created_ms, 0) / 1000

    @property
    def running_since_ms(self) -> int | None:
        """The time at which it began to run, the last time; None if it never did."""
        return next((at for status, at in reversed(self.history) if status == "running"), None)

    @property
    def label(self) -> str:
        """The name and the id, or the id alone, as they are shown."""
        return printable(f"{self.name} ({self.id})" if self.name else self.id)

    @property
    def short(self) -> str:
        """The name, else the id, as they are shown."""
        return printable(self.known_as)

    @property
    def known_as(self) -> str:
        """The name, else the id, as they are."""
        return self.name or self.id

    @property
    def reference(self) -> str:
        """The name or id as it is typed."""
        return reference(self.name, self.id)


def describe(view: DevboxView) -> DevboxInfo:
    """The description of a devbox from the API's view of it."""
    launch = view.launch_parameters
    idle = launch.after_idle or (launch.lifecycle.after_idle if launch.lifecycle else None)
    return DevboxInfo(
        id=view.id,
        name=view.name or "",
        status=view.status,
        created_ms=view.create_time_ms or 0,
        ended_ms=view.end_time_ms,
        reason=view.failure_reason or view.shutdown_reason or "",
        why=view.reason,
        source=view.blueprint_id or view.snapshot_id or "",
        size=launch.resource_size_request or "",
        keep_alive=launch.keep_alive_time_seconds,
        metadata=tuple((view.metadata or {}).items()),
        history=tuple((step.status or "", step.transition_time_ms or 0) for step in view.state_transitions or ()),
        idle=(idle.idle_time_seconds, idle.on_idle) if idle else None,
    )


async def find(sdk: AsyncRunloopSDK, reference: str) -> DevboxInfo:
    """The devbox with this id, this name, or a name or id that alone begins so. Raises `UsageError`."""
    if reference.startswith("dbx_"):
        found = await by_id(sdk, reference)
        if found:
            return found
    return choose(reference, await _candidates(sdk))


async def by_id(sdk: AsyncRunloopSDK, devbox_id: str) -> DevboxInfo | None:
    """The devbox with this id, if there is one."""
    from runloop_sdk import NotFoundError

    try:
        return describe(await sdk.api.devboxes.retrieve(devbox_id))
    except NotFoundError:
        return None


async def _candidates(sdk: AsyncRunloopSDK) -> list[DevboxInfo]:
    return [describe(view) async for view in sdk.api.devboxes.list(limit=_PAGE)]


async def live(sdk: AsyncRunloopSDK, search: str | None = None) -> list[DevboxInfo]:
    """The newest devboxes that run or can run again; a service may leave out those without `search` in name or id."""
    return (await collect(sdk, LIVE, _PAGE, search))[0]


async def collect(
    sdk: AsyncRunloopSDK, states: tuple[DevboxStatus | None, ...], limit: int, search: str | None = None
) -> tuple[list[DevboxInfo], bool]:
    """The newest `limit` in these states, and whether there are more.

    Asks per state, together: an account's live devboxes may be older than thousands that have ended.
    """
    parts = await asyncio.gather(*(_newest(sdk, state, limit + 1, search) for state in states))
    found = {devbox.id: devbox for part in parts for devbox in part}
    newest = sorted(found.values(), key=lambda each: each.created_ms, reverse=True)
    return newest[:limit], len(newest) > limit


async def _newest(
    sdk: AsyncRunloopSDK, status: DevboxStatus | None, limit: int, search: str | None
) -> list[DevboxInfo]:
    found: list[DevboxInfo] = []
    async for view in sdk.api.devboxes.list(limit=min(limit, _PAGE), status=status, search=search):
        found.append(describe(view))
        if len(found) >= limit:
            break
    return found


def choose(reference: str, known: Iterable[DevboxInfo]) -> DevboxInfo:
    """The one devbox that `reference` means: live ones before ended ones, whole names before beginnings."""
    known = list(known)
    for pool in ([each for each in known if each.alive], [each for each in known if not each.alive]):
        for matches in (
            [each for each in pool if reference in (each.id, each.name)],
            [each for each in pool if each.id.startswith(reference) or each.name.startswith(reference)],
        ):
            if len(matches) > 1:
                raise UsageError(_ambiguous(reference, matches))
            if matches:
                return matches[0]
    names = [each.known_as for each in known if each.alive]
    raise UsageError(f"No devbox {reference!r}.{did_you_mean(reference, names)} %devbox list shows them all.")


def _ambiguous(reference: str, matches: list[DevboxInfo]) -> str:
    shown = ", ".join(each.label for each in matches[:8]) + (", …" if len(matches) > 8 else "")
    return f"{reference!r} means {len(matches)} devboxes: {shown}. Type the id of the one you mean."


def unavailable(devbox: DevboxInfo) -> DevboxUnavailableError | None:
    """Why the devbox cannot run a command now, and what to do; None if it can."""
    because = f": {devbox.why}" if devbox.why else ""
    if devbox.status == "running":
        return None
    if devbox.status in ("suspended", "suspending"):
        return DevboxUnavailableError(
            f"{devbox.label} is {devbox.status}{because}. Wake it: %devbox resume {devbox.reference}"
        )
    if devbox.alive:
        return DevboxUnavailableError(f"{devbox.label} is {devbox.status}; try again in a moment.")
    ended = f"{devbox.label} {'has been shut down' if devbox.status == 'shutdown' else 'has failed'}{because}."
    printed = f" %devbox logs {reference('', devbox.id)} shows what was printed." if devbox.status == "failure" else ""
    return DevboxUnavailableError(
        f"{ended}{printed} Choose another with %devbox use NAME, or create one: %devbox create"
    )
