"""What of requests is remembered, how much of it, and for how long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from runloop_local.engine.errors import DiskFullError, NotFoundError, ReusedRequestIdError
from runloop_local.engine.storage import idempotency
from runloop_local.engine.storage.idempotency import REQUEST, SMALL, Attempt, Idempotency, IdempotentRequest, Limits
from runloop_local.engine.storage.store import Document, Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store.open(tmp_path / "service.db")
    yield opened
    await opened.aclose()


class Work:
    """Replies with how often it was done."""

    def __init__(self, reply: str = "{}") -> None:
        self.reply = reply
        self.done = 0
        self.made: list[str | None] = []

    async def __call__(self, attempt: Attempt) -> str:
        self.done += 1
        self.made.append(attempt.made)
        return self.reply


def noting(store: Store, made: str) -> Callable[[Attempt], Awaitable[str]]:
    async def work(attempt: Attempt) -> str:
        await store.put(Document("thing", made, {}), *attempt.note(made))
        return made

    return work


async def restarted(store: Store, in_store: Limits = idempotency.IN_STORE) -> Idempotency:
    """What the next service knows."""
    found = Idempotency(store, in_store=in_store)
    await found.restore()
    return found


@pytest.mark.parametrize("limits", [Limits(count=3), Limits(size=200)], ids=["as many", "as many bytes"])
async def test_only_the_newest_are_remembered(store: Store, limits: Limits) -> None:
    service = Idempotency(store, in_memory=Limits(count=1), in_store=limits)
    for number in range(700):
        await service.once(IdempotentRequest(f"{number}", ""), Work())
    assert len(await store.index(REQUEST)) < 700  # also while the service runs
    again = await restarted(store, limits)
    left = await store.index(REQUEST)
    assert 0 < len(left) <= limits.count
    assert sum(size for _, _, size in left) <= limits.size
    assert [name for name, _, _ in left] == [f"{number}" for number in range(700 - len(left), 700)]
    work = Work("new")
    assert await again.once(IdempotentRequest("699", ""), work) == "{}"
    assert await again.once(IdempotentRequest("1", ""), work) == "new"
    assert work.done == 1


async def test_a_day_later_the_same_id_is_a_new_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000_000_000]
    monkeypatch.setattr(idempotency, "now_ms", lambda: now[0])
    service, work = Idempotency(store), Work()
    await service.once(IdempotentRequest("1", ""), work)
    now[0] += idempotency.DAY_MS
    await service.once(IdempotentRequest("1", ""), work)
    assert work.done == 1
    now[0] += 1
    assert await store.index(REQUEST) != []
    await service.once(IdempotentRequest("1", "other"), work)
    assert work.done == 2
    now[0] += idempotency.DAY_MS + 1
    await restarted(store)
    assert await store.index(REQUEST) == []


async def test_an_id_that_was_forgotten_and_comes_again_is_kept(store: Store) -> None:
    limits = Limits(count=600)
    service = Idempotency(store, in_memory=Limits(count=1), in_store=limits)
    before, after = range(601), range(1000, 1500)  # 0 is forgotten before it comes again, and 500 others after it
    for number in [*before, 0, *after]:
        await service.once(IdempotentRequest(f"{number}", ""), Work())
    again = await restarted(store, limits)
    assert await again.once(IdempotentRequest("0", ""), Work("new")) == "{}"
    assert await again.once(IdempotentRequest("1", ""), Work("new")) == "new"


async def test_what_ends_with_the_service_is_not_kept_after_it(store: Store) -> None:
    service, work = Idempotency(store), Work()
    ask = IdempotentRequest("1", "", outlives=False)
    for _ in range(2):
        await service.once(ask, work)
    assert work.done == 1
    await (await restarted(store)).once(ask, work)
    assert work.done == 2


async def test_a_large_reply_that_can_be_given_again_is_not_remembered(store: Store) -> None:
    service = Idempotency(store)
    large, small = Work("x" * (SMALL + 1)), Work("x" * SMALL)
    for work in (large, small):
        for _ in range(2):
            await service.once(IdempotentRequest(work.reply, "", outlives=False, repeatable=True), work)
    assert (large.done, small.done) == (2, 1)


async def test_what_was_made_is_found_after_a_restart(store: Store) -> None:
    service, ask = Idempotency(store), IdempotentRequest("1", "body")
    assert await service.once(ask, noting(store, "thing_1")) == "thing_1"
    again, work = await restarted(store), Work("found")
    assert await again.once(ask, work) == "found"
    assert work.made == ["thing_1"]
    with pytest.raises(ReusedRequestIdError):
        await again.once(IdempotentRequest("1", "another body"), work)
    with pytest.raises(ReusedRequestIdError):
        await (await restarted(store)).once(IdempotentRequest("1", "another body"), work)


async def test_who_waits_hears_the_same_error_and_who_comes_later_tries_again(store: Store) -> None:
    service, begun, go = Idempotency(store), asyncio.Event(), asyncio.Event()
    tries = 0

    async def failing(_claim: Attempt) -> str:
        nonlocal tries
        tries += 1
        begun.set()
        await go.wait()
        raise NotFoundError("no such thing")

    first = asyncio.create_task(service.once(IdempotentRequest("1", ""), failing))
    await begun.wait()
    second = asyncio.create_task(service.once(IdempotentRequest("1", ""), failing))
    with pytest.raises(ReusedRequestIdError):
        await service.once(IdempotentRequest("1", "another body"), failing)
    go.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no such thing"] * 2
    assert tries == 1
    assert await service.once(IdempotentRequest("1", ""), Work("done")) == "done"


async def test_one_that_is_cancelled_leaves_it_to_the_next(store: Store) -> None:
    service, begun = Idempotency(store), asyncio.Event()

    async def endless(_claim: Attempt) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    first = asyncio.create_task(service.once(IdempotentRequest("1", ""), endless))
    await begun.wait()
    second = asyncio.create_task(service.once(IdempotentRequest("1", ""), Work("done")))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "done"
    with pytest.raises(asyncio.CancelledError):
        await first


class FullStore(Store):
    """Has room for everything but notes."""

    async def put(self, *documents: Document, urgent: bool = False) -> None:
        raise DiskFullError("full")


async def test_what_was_done_on_a_full_disk_is_answered_and_remembered_while_the_service_lives(tmp_path: Path) -> None:
    full = FullStore.open(tmp_path / "service.db")
    service, work = Idempotency(full), Work("done")
    assert [await service.once(IdempotentRequest("1", ""), work) for _ in range(2)] == ["done"] * 2
    assert work.done == 1
    await full.aclose()


async def test_an_error_after_something_was_made_finds_it_again(store: Store) -> None:
    service = Idempotency(store)

    async def failing(attempt: Attempt) -> str:
        await store.put(Document("thing", "thing_1", {}), *attempt.note("thing_1"))
        raise NotFoundError("its answer went wrong")

    with pytest.raises(NotFoundError):
        await service.once(IdempotentRequest("1", ""), failing)
    work = Work("found")
    assert await service.once(IdempotentRequest("1", ""), work) == "found"
    assert work.made == ["thing_1"]


async def test_notes_are_kept_with_what_they_are_about_or_not_at_all(store: Store) -> None:
    attempt = Attempt(IdempotentRequest("1", ""))
    broken = Document("thing", "thing_1", {"not": {"JSON"}})
    with pytest.raises(TypeError):
        await store.put(*attempt.note("thing_1"), broken)
    assert await store.index(REQUEST) == []
    await store.put(Document("thing", "thing_1", {}))
    await store.modify("thing", "thing_1", lambda text: text, lambda _: attempt.note_reply({}), delete=True)
    assert await store.get("thing", "thing_1") is None
    assert [name for name, _, _ in await store.index(REQUEST)] == ["1"]
