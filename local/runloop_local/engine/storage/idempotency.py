"""A request that comes twice is carried out once, and its retry gets the first reply.

A retry is known by its `x-request-id`, which is the same each time that a client sends one request. Two at once: the
second waits for the first. Later: the reply is remembered, in memory for a while, and in the store for a day, which
outlives the service. An error is not remembered: it has changed nothing, so whoever asks again tries again.

A kill may come between a change and the note that it was made. So what must not be made twice is kept in one
transaction with its note, which the engine gets from the `Attempt`. Other changes are noted once they have been
made: to make them again comes to the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import DiskFullError, ReusedRequestIdError
from ..ids import derived_id, new_id, now_ms
from .store import Document

if TYPE_CHECKING:
    from .store import Store

V = TypeVar("V")

DAY_MS = 24 * 3600 * 1000
REQUEST = "request"
"""The kind of document that a remembered request is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered: so many, of so many bytes together, for so long."""

    count: int = 10_000
    size: int = 16 << 20
    age_ms: int = DAY_MS


IN_MEMORY = Limits(count=4000, size=8 << 20)
IN_STORE = Limits(size=64 << 20)
SMALL = 16 << 10
"""A reply that can be rendered again is remembered up to this size."""
_PRUNED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """What tells one request from another."""

    key: str
    """A digest of who asks, the method, the path and the x-request-id: the same for a retry only."""
    fingerprint: str
    """A digest of the query and the body, which a retry has in common with the first attempt."""
    outlives: bool = True
    """Whether its reply is to outlive the service, rather than what it did ends with the service anyway."""
    repeatable: bool = False
    """Whether to carry it out again changes nothing and gives its reply again."""

    @classmethod
    def of(
        cls, parts: Iterable[str], content: Iterable[bytes], *, outlives: bool, repeatable: bool
    ) -> IdempotentRequest:
        """The request that these parts and this content make up."""
        return cls(_digest(part.encode() for part in parts), _digest(content), outlives, repeatable)

    def require_same(self, fingerprint: str) -> None:
        """`ReusedRequestIdError` unless the first attempt had this fingerprint."""
        if fingerprint != self.fingerprint:
            raise ReusedRequestIdError(
                "This x-request-id came before with another body or query: give each new request an id of its own."
            )


class Attempt:
    """One attempt to carry a request out; what an earlier one has made is to be found instead of made."""

    def __init__(self, request: IdempotentRequest | None = None, made: str | None = None) -> None:
        self.request = request
        """None where it cannot come twice."""
        self.made = made
        """What an earlier attempt has made: in most cases its id."""
        self.noted: Document | None = None
        self._reference: str | None = None

    def new_id(self, prefix: str) -> str:
        """An id for what it makes, the same at each attempt."""
        return new_id(prefix) if self.request is None else derived_id(prefix, self.request.key)

    def note(self, made: str, *, parent: str = "") -> tuple[Document, ...]:
        """What to keep in one transaction with what was made: a later attempt has it as `made`."""
        return self._noted({"made": made}, parent)

    def note_reply(self, view: Mapping[str, Any]) -> tuple[Document, ...]:
        """What to keep in one transaction with a change: a retry gets this reply. It must hold no secret."""
        return self._noted({"reply": rendered(view)})

    def refer_to(self, made: str) -> None:
        """Have `made` remembered instead of the reply, which is rendered again."""
        self._reference = made

    def outcome(self, reply: str) -> Document | None:
        """What to keep once it was carried out, where nothing was noted."""
        if self.request is None or self.noted is not None or not self.request.outlives:
            return None
        return _document(self.request, {"reply": reply} if self._reference is None else {"made": self._reference})

    def _noted(self, outcome: dict[str, str], parent: str = "") -> tuple[Document, ...]:
        if self.request is None:
            return ()
        self.noted = _document(self.request, outcome, parent)
        return (self.noted,)


NO_REQUEST = Attempt()
"""For what the service does by itself."""
Work = Callable[[Attempt], Awaitable[str]]
"""Carries a request out; gives the reply."""


class Idempotency:
    """Carries requests out, each once."""

    def __init__(self, store: Store, in_memory: Limits = IN_MEMORY, in_store: Limits = IN_STORE) -> None:
        self._store = store
        self._underway: dict[str, _Underway] = {}
        self._recent: _Remembered[tuple[str, str]] = _Remembered(in_memory)
        self._forgotten: set[str] = set()
        self._kept: _Remembered[None] = _Remembered(in_store, self._forgotten.add)

    async def restore(self) -> None:
        """Know the requests of earlier services."""
        for name, time_ms, size in await self._store.index(REQUEST):
            self._kept.add(name, None, size, time_ms)
        await self._prune(1)

    async def once(self, request: IdempotentRequest, work: Work) -> str:
        """The reply to a request, by `work` unless that has been done; raises what `work` raises."""
        while (first := self._underway.get(request.key)) is not None:
            request.require_same(first.fingerprint)
            await first.over.wait()
            if first.error is not None:
                raise first.error
        if (recent := self._recent.get(request.key)) is not None:
            fingerprint, reply = recent
            request.require_same(fingerprint)
            return reply
        return await self._first(request, work)

    async def _first(self, request: IdempotentRequest, work: Work) -> str:
        underway = self._underway[request.key] = _Underway(request.fingerprint)
        self._forgotten.discard(request.key)  # what is kept of it from here on is news
        try:
            return await self._reply(request, work)
        except Exception as error:
            underway.error = error  # one that is cancelled instead leaves it to the next
            raise
        finally:
            del self._underway[request.key]
            underway.over.set()

    async def _reply(self, request: IdempotentRequest, work: Work) -> str:
        kept = await self._store.get(REQUEST, request.key) if request.key in self._kept else None
        if kept is None:
            reply = await self._carried_out(Attempt(request), work)
        else:
            request.require_same(kept["fingerprint"])
            reply = kept.get("reply") or await self._carried_out(Attempt(request, kept["made"]), work)
        if len(reply) <= SMALL or not request.repeatable:
            self._recent.add(request.key, (request.fingerprint, reply), len(reply))
        return reply

    async def _carried_out(self, attempt: Attempt, work: Work) -> str:
        try:
            reply = await work(attempt)
        finally:
            if attempt.noted is not None:
                self._remember(attempt.noted)
        with suppress(DiskFullError):  # it has been done all the same, and is remembered in memory
            if attempt.made is None:
                await self._keep(attempt.outcome(reply))
            await self._prune(_PRUNED_AT_ONCE)
        return reply

    async def _keep(self, outcome: Document | None) -> None:
        if outcome is not None:
            await self._store.put(outcome)
            self._remember(outcome)

    def _remember(self, kept: Document) -> None:
        self._kept.add(kept.id, None, sum(map(len, kept.body.values())))

    async def _prune(self, at_least: int) -> None:
        """Forget in the store what was forgotten here, once it is so many."""
        if len(self._forgotten) >= at_least:
            forgotten = tuple(self._forgotten)
            self._forgotten.clear()
            await self._store.delete_all(REQUEST, forgotten)


class _Underway:
    """A request that is being carried out."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.over = asyncio.Event()
        self.error: Exception | None = None


class _Remembered(Generic[V]):
    """The newest values by key, within limits; `forgot` hears of those that are beyond."""

    def __init__(self, limits: Limits, forgot: Callable[[str], None] = lambda _: None) -> None:
        self._limits = limits
        self._forgot = forgot
        self._values: OrderedDict[str, tuple[V, int, int]] = OrderedDict()
        self._size = 0

    def __contains__(self, name: str) -> bool:
        self.expire()
        return name in self._values

    def get(self, name: str) -> V | None:
        """The value, while it is remembered."""
        self.expire()
        found = self._values.get(name)
        return None if found is None else found[0]

    def add(self, name: str, value: V, size: int, time_ms: int | None = None) -> None:
        """Remember a value, as the newest."""
        self._forget(name)
        self._values[name] = (value, size, now_ms() if time_ms is None else time_ms)
        self._size += size
        self.expire()

    def expire(self) -> None:
        """Forget what is beyond the limits."""
        end_ms = now_ms() - self._limits.age_ms
        while self._values:
            oldest, (_, _, time_ms) = next(iter(self._values.items()))
            if len(self._values) <= self._limits.count and self._size <= self._limits.size and time_ms >= end_ms:
                return
            self._forget(oldest)
            self._forgot(oldest)

    def _forget(self, name: str) -> None:
        known = self._values.pop(name, None)
        if known is not None:
            self._size -= known[1]


def rendered(view: Any) -> str:
    """A view as replies have it."""
    return json.dumps(view, ensure_ascii=False, separators=(",", ":"))


def _document(request: IdempotentRequest, outcome: Mapping[str, str], parent: str = "") -> Document:
    body = {"fingerprint": request.fingerprint, **outcome}
    return Document(REQUEST, request.key, body, parent, time_ms=now_ms())


def _digest(parts: Iterable[bytes]) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(b"%d\n" % len(part))
        hashed.update(part)
    return hashed.hexdigest()[:32]
