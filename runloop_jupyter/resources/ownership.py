"""Whose each devbox is, and when it ends: what lists, cards and the panel say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..kernel.kernel_registry import notebook
from ..kernel.owned import DEFAULT_KEEP_ALIVE
from ..text.durations import spell_duration

if TYPE_CHECKING:
    from ..kernel.kernel_registry import CreatedDevbox
    from ..session import Session
    from .devboxes import DevboxInfo

HERE, ANOTHER, SDK, ELSEWHERE = "this notebook", "another notebook", "the SDK", "elsewhere"
"""Who made a devbox. Of what no kernel of this account made a service on this machine has it from an SDK; another
service may have it from anywhere."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a devbox is. It waits for the end of `kernel`: to end with it or, if `keeps`, to begin its time."""

    owner: str
    kernel: str = ""
    keeps: bool = False

    def end(self, keep_alive: float | None) -> str:
        """When it ends, as far as that hangs on a kernel; `keep_alive` in seconds."""
        if not self.kernel:
            return ""
        if not self.keeps:
            return f"with {self.kernel}"
        return f"{spell_duration(keep_alive)} after {self.kernel}" if keep_alive else ""


class OwnershipIndex:
    """What is known of all devboxes of the session's service, at one moment."""

    def __init__(self, session: Session, made: Mapping[str, CreatedDevbox]) -> None:
        self._owned = session.owned
        self._made = made
        self._is_embedded = session.connection is not None and session.connection.embedded
        self._notebook = notebook()

    def of(self, devbox_id: str) -> Ownership:
        """Whose this one is."""
        if devbox_id in self._owned:
            keeps = self._owned.outlives_kernel(devbox_id)
            waits = not keeps or self._owned.is_held_alive(devbox_id)
            return Ownership(HERE, "this kernel" if waits else "", keeps)
        made = self._made.get(devbox_id)
        if made is None:
            return Ownership(SDK if self._is_embedded else ELSEWHERE)
        is_here = self._notebook != "" and made.entry.notebook == self._notebook
        waits = made.lives and (self._is_embedded or not made.entry.keep)
        return Ownership(HERE if is_here else ANOTHER, "its kernel" if waits else "", made.entry.keep)

    def told(self, box: DevboxInfo) -> DevboxInfo:
        """The devbox with its owner and its end in words."""
        belonging = self.of(box.id)
        end = belonging.end(box.keep_alive)
        silence = self._owned.grace_period(box.id) if end and not belonging.keeps else None
        late = "" if silence is None else f", at the latest {spell_duration(silence)} after its last sign of life"
        return replace(box, owner=belonging.owner, ends=_end(box, end + late, self._owned.renewed_at(box.id)))


async def ownerships(session: Session) -> OwnershipIndex:
    """What is known now."""
    service = session.connection.service if session.connection else ""
    made = await asyncio.to_thread(session.kernel_registry.created, service)
    return OwnershipIndex(session, made)


async def told(session: Session, boxes: Iterable[DevboxInfo]) -> list[DevboxInfo]:
    """The devboxes with their owners and ends in words."""
    known = await ownerships(session)
    return [known.told(box) for box in boxes]


def _end(box: DevboxInfo, with_kernel: str, renewed: float) -> str:
    if not box.alive:
        since = spell_duration(max(time.time() - box.ended_ms / 1000, 0)) + " ago" if box.ended_ms else ""
        return ": ".join(filter(None, [since, box.why]))
    if with_kernel or box.status == "suspended":
        return with_kernel or "not by itself"
    if box.idle is not None:
        seconds, does = box.idle
        return f"{'suspends' if does == 'suspend' else 'ends'} after {spell_duration(seconds)} without use"
    if box.status != "running":
        return ""
    began = max((box.running_since_ms or box.created_ms) / 1000, renewed)  # if nobody but this kernel renewed it
    return f"in {spell_duration(max(began + (box.keep_alive or DEFAULT_KEEP_ALIVE) - time.time(), 0))}"
