"""The owner of each devbox, and when it ends, as lists, cards and the panel say it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..kernel.kernel_registry import notebook
from ..kernel.owned import DEFAULT_KEEP_ALIVE
from ..text.durations import spell_duration

if TYPE_CHECKING:
    from ..client import Client
    from ..kernel.kernel_registry import CreatedDevbox, KernelRegistry
    from ..kernel.owned import OwnedDevboxes
    from .devboxes import DevboxInfo

HERE = {"kernel": "this notebook", "program": "this program"}
"""The owner of what a session has created, by what it lives in."""
ANOTHER, SDK, ELSEWHERE = "another notebook", "the SDK", "elsewhere"
"""The other owners of devboxes. What no kernel of this account made, a service on this machine has from an SDK; another
service may have it from anywhere."""


class Ownership(NamedTuple):
    """The owner of a devbox, which waits for the end of `kernel`: to end with it or, if `keeps`, to begin its time."""

    owner: str
    kernel: str = ""
    keeps: bool = False

    def end(self, keep_alive: float | None) -> str:
        """Return when it ends, as far as that hangs on a kernel; `keep_alive` in seconds."""
        if not self.kernel:
            return ""
        if not self.keeps:
            return f"with {self.kernel}"
        return f"{spell_duration(keep_alive)} after {self.kernel}" if keep_alive else ""


class OwnershipIndex:
    """The ownership of all devboxes of a service, at one moment."""

    def __init__(
        self, owned: OwnedDevboxes, made: Mapping[str, CreatedDevbox], *, is_embedded: bool, host: str
    ) -> None:
        self._owned = owned
        self._made = made
        self._is_embedded = is_embedded
        self._host = host
        self._notebook = notebook()

    def of(self, devbox_id: str, *, ended: bool = False) -> Ownership:
        """Return the ownership of one devbox. Kernels forget what has ended: then it may have been anybody's."""
        if devbox_id in self._owned:
            keeps = self._owned.outlives_kernel(devbox_id)
            waits = not keeps or self._owned.is_held_alive(devbox_id)
            return Ownership(HERE[self._host], f"this {self._host}" if waits else "", keeps)
        made = self._made.get(devbox_id)
        if made is None and ended:
            return Ownership("")
        if made is None:
            return Ownership(SDK if self._is_embedded else ELSEWHERE)
        is_here = self._notebook != "" and made.entry.notebook == self._notebook
        waits = made.lives and (self._is_embedded or not made.entry.keep)
        return Ownership(HERE[self._host] if is_here else ANOTHER, "its kernel" if waits else "", made.entry.keep)

    def described(self, box: DevboxInfo) -> DevboxInfo:
        """Return the devbox with its owner and its end in words."""
        belonging = self.of(box.id, ended=not box.alive)
        end = belonging.end(box.keep_alive)
        silence = self._owned.grace_period(box.id) if end and not belonging.keeps else None
        late = "" if silence is None else f", at the latest {spell_duration(silence)} after its last sign of life"
        return replace(box, owner=belonging.owner, ends=_end(box, end + late, self._owned.renewed_at(box.id)))


class Ownerships:
    """Finds out which devboxes belong to which kernels."""

    def __init__(self, client: Client, owned: OwnedDevboxes, registry: KernelRegistry, host: str) -> None:
        self.owned = owned
        self._client = client
        self._registry = registry
        self._host = host

    def none(self) -> OwnershipIndex:
        """Return an index that knows of no other kernels."""
        return self._index({})

    async def index(self) -> OwnershipIndex:
        """Return what is known now."""
        service = self._client.connection.service if self._client.connection else ""
        return self._index(await asyncio.to_thread(self._registry.created, service))

    async def described(self, boxes: Iterable[DevboxInfo]) -> list[DevboxInfo]:
        """Return the devboxes with their owners and ends in words."""
        index = await self.index()
        return [index.described(box) for box in boxes]

    def _index(self, made: Mapping[str, CreatedDevbox]) -> OwnershipIndex:
        connection = self._client.connection
        is_embedded = connection is not None and connection.embedded
        return OwnershipIndex(self.owned, made, is_embedded=is_embedded, host=self._host)


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
