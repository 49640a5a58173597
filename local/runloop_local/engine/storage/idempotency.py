"""Carries out a repeated request once, and gives its retry the first response.

A retry is recognized by its `x-request-id`, which a client keeps when it repeats a request. A retry during the request
waits for it. Later retries get the remembered response, which is kept in memory for a while and in the store for a day,
where it survives a restart. Errors are not remembered: they have changed nothing, so a retry tries again.

The service may be killed between a change and the note that it was made. So a change that must not be made twice is
stored in one transaction with its note, which the engine gets from the `Attempt`. Other changes are noted afterwards,
because making them again has the same result.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from ..errors import DiskFullError, ReusedRequestIdError
from ..ids import derived_id, new_id, now_ms
from .store import Document

if TYPE_CHECKING:
    from .store import Store

V = TypeVar("V")

DAY_MS = 24 * 3600 * 1000
REQUEST = "request"
"""The document kind of remembered requests."""


class Limits(msgspec.Struct, frozen=True):
    """The limits of what is remembered: number, total bytes and age."""

    count: int = 10_000
    size: int = 16 << 20
    age_ms: int = DAY_MS


IN_MEMORY = Limits(count=4000, size=8 << 20)
IN_STORE = Limits(size=64 << 20)
SMALL = 16 << 10
"""Larger responses are not remembered if repeating the request gives them again."""
_PRUNED_AT_ONCE = 500


class IdempotentRequest(msgspec.Struct, frozen=True):
    """The identity of a request."""

    key: str
    """A digest of the API key, method, path and x-request-id; only retries have the same."""
    fingerprint: str
    """A digest of the query and the body, to detect a different request with the same x-request-id."""
    outlives: bool = True
    """True if its response is remembered across restarts; False if its effect ends with the service anyway."""
    repeatable: bool = False
    """True if repeating it changes nothing and gives the same response."""

    @classmethod
    def of(
        cls, parts: Iterable[str], content: Iterable[bytes], *, outlives: bool, repeatable: bool
    ) -> IdempotentRequest:
        """Identify a request by its parts and its content."""
        return cls(_digest(part.encode() for part in parts), _digest(content), outlives, repeatable)

    def require_same(self, fingerprint: str) -> None:
        """Raise `ReusedRequestIdError` unless the first attempt's fingerprint is the same."""
        if fingerprint != self.fingerprint:
            raise ReusedRequestIdError(
                "This x-request-id was used before with another body or query: give each new request its own id."
            )


class Attempt:
    """One attempt to carry out a request; what an earlier attempt has made is returned, not made again."""

    def __init__(self, request: IdempotentRequest | None = None, made: str | None = None) -> None:
        self.request = request
        """None if it cannot be repeated."""
        self.made = made
        """The result of an earlier attempt, usually an id; None for the first attempt."""
        self.noted: Document | None = None
        self._reference: str | None = None

    def new_id(self, prefix: str) -> str:
        """An id for the new resource, the same for each attempt."""
        return new_id(prefix) if self.request is None else derived_id(prefix, self.request.key)

    def note(self, made: str, *, parent: str = "") -> tuple[Document, ...]:
        """The document to store in one transaction with what was made; a later attempt gets `made`."""
        return self._noted({"made": made}, parent)

    def note_reply(self, view: Mapping[str, Any]) -> tuple[Document, ...]:
        """The document to store in one transaction with a change; a retry gets this response.

        The response must not contain secrets, as it is stored in plain text.
        """
        return self._noted({"reply": rendered(view)})

    def refer_to(self, made: str) -> None:
        """Remember `made` instead of the response, which a retry renders again."""
        self._reference = made

    def outcome(self, reply: str) -> Document | None:
        """The document to store afterwards, if nothing was noted."""
        if self.request is None or self.noted is not None or not self.request.outlives:
            return None
        return _document(self.request, {"reply": reply} if self._reference is None else {"made": self._reference})

    def _noted(self, outcome: dict[str, str], parent: str = "") -> tuple[Document, ...]:
        if self.request is None:
            return ()
        self.noted = _document(self.request, outcome, parent)
        return (self.noted,)


NO_REQUEST = Attempt()
"""The attempt of actions of the service itself, and of requests without an id."""
Work = Callable[[Attempt], Awaitable[str]]
"""Carries out a request; returns the response."""


class Idempotency:
    """Carries out each request once."""

    def __init__(self, store: Store, in_memory: Limits = IN_MEMORY, in_store: Limits = IN_STORE) -> None:
        self._store = store
        self._in_progress: dict[str, _InProgress] = {}
        self._recent: _LimitedCache[tuple[str, str]] = _LimitedCache(in_memory)
        self._forgotten: set[str] = set()
        self._kept: _LimitedCache[None] = _LimitedCache(in_store, self._forgotten.add)

    async def restore(self) -> None:
        """Load the keys of requests that earlier runs of the service have carried out."""
        for name, time_ms, size in await self._store.index(REQUEST):
            self._kept.add(name, None, size, time_ms)
        await self._prune(1)

    async def once(self, request: IdempotentRequest, work: Work) -> str:
        """The response to a request, which `work` carries out unless that was done; raises what `work` raises."""
        while (first := self._in_progress.get(request.key)) is not None:
            request.require_same(first.fingerprint)
            # It may have been cancelled: then there is neither a response nor an error, and the loop looks who is first
            # now.
            await first.done.wait()
            if first.error is not None:
                raise first.error
        # There is no await from here until `_first` has made its entry in `_in_progress`, so of requests that
        # arrive together exactly one is the first.
        if (recent := self._recent.get(request.key)) is not None:
            fingerprint, reply = recent
            request.require_same(fingerprint)
            return reply
        return await self._first(request, work)

    async def _first(self, request: IdempotentRequest, work: Work) -> str:
        in_progress = self._in_progress[request.key] = _InProgress(request.fingerprint)
        self._forgotten.discard(request.key)  # what is stored for it from here on must not be deleted
        try:
            return await self._reply(request, work)
        except Exception as error:
            in_progress.error = error  # if this is cancelled instead, the next one that waits carries it out
            raise
        finally:
            del self._in_progress[request.key]
            in_progress.done.set()

    async def _reply(self, request: IdempotentRequest, work: Work) -> str:
        kept = await self._store.get(REQUEST, request.key) if request.key in self._kept else None
        if kept is None:
            reply = await self._carry_out(Attempt(request), work)
        else:
            request.require_same(kept["fingerprint"])
            reply = kept.get("reply") or await self._carry_out(Attempt(request, kept["made"]), work)
        # A large answer that can be had again costs more to keep than to make.
        if len(reply) <= SMALL or not request.repeatable:
            self._recent.add(request.key, (request.fingerprint, reply), len(reply))
        return reply

    async def _carry_out(self, attempt: Attempt, work: Work) -> str:
        try:
            reply = await work(attempt)
        finally:
            # Even if the work fails afterwards: the note may be stored, and then a retry has to find it.
            if attempt.noted is not None:
                self._remember(attempt.noted)
        with suppress(DiskFullError):  # it was carried out, and is remembered in memory at least
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
        """Delete forgotten requests from the store, once there are this many."""
        if len(self._forgotten) >= at_least:
            forgotten = tuple(self._forgotten)
            self._forgotten.clear()
            await self._store.delete_all(REQUEST, forgotten)


class _InProgress:
    """A request in progress."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.done = asyncio.Event()
        self.error: Exception | None = None


class _LimitedCache(Generic[V]):
    """A cache of the newest values, within limits; calls `forgot` for those that are evicted."""

    def __init__(self, limits: Limits, forgot: Callable[[str], None] = lambda _: None) -> None:
        self._limits = limits
        self._forgot = forgot
        self._values: OrderedDict[str, tuple[V, int, int]] = OrderedDict()
        self._size = 0

    def __contains__(self, name: str) -> bool:
        self.expire()
        return name in self._values

    def get(self, name: str) -> V | None:
        """The value, or None."""
        self.expire()
        found = self._values.get(name)
        return None if found is None else found[0]

    def add(self, name: str, value: V, size: int, time_ms: int | None = None) -> None:
        """Add a value as the newest."""
        self._forget(name)
        self._values[name] = (value, size, now_ms() if time_ms is None else time_ms)
        self._size += size
        self.expire()

    def expire(self) -> None:
        """Evict values beyond the limits, oldest first."""
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
    """Encode a view as JSON, in the form of responses."""
    return json.dumps(view, ensure_ascii=False, separators=(",", ":"))


def _document(request: IdempotentRequest, outcome: Mapping[str, str], parent: str = "") -> Document:
    body = {"fingerprint": request.fingerprint, **outcome}
    return Document(REQUEST, request.key, body, parent, time_ms=now_ms())


def _digest(parts: Iterable[bytes]) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        # With its length, or the end of one part could pass for the beginning of the next.
        hashed.update(b"%d\n" % len(part))
        hashed.update(part)
    return hashed.hexdigest()[:32]
