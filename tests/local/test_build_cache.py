"""How much the cached steps take: what is on disk and nothing else needs, kept count of as that changes."""

import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runloop_local.engine.build.cache import BuildCache
from runloop_local.engine.storage.layers import Layers
from runloop_local.engine.storage.retention import Item, Removal, Retention, size_of
from runloop_local.engine.storage.retention_limits import Limit
from runloop_local.engine.storage.store import Store
from runloop_local.sandbox import Isolation, open_isolation
from tests.local.test_layers import made


@pytest.fixture
async def isolation(tmp_path: Path) -> AsyncIterator[Isolation]:
    opened = await open_isolation(tmp_path / "sandboxes", "process")
    yield opened
    await opened.aclose()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store.open(tmp_path / "service.db")
    yield opened
    await opened.aclose()


class Service:
    """What a service knows of layers and steps; counts how often it was asked who needs a layer."""

    def __init__(self, isolation: Isolation, store: Store) -> None:
        self.asked = 0
        self.grown = 0
        self._isolation = isolation
        self.layers = Layers(isolation)
        holders = self.layers.holders

        def counted(layer: str) -> int:
            self.asked += 1
            return holders(layer)

        self.layers.holders = counted  # type: ignore[method-assign]
        self.cache = BuildCache(store, self.layers, self._grow)
        self.steps: dict[str, tuple[str, ...]] = {}
        self.others: dict[str, tuple[str, ...]] = {}

    def _grow(self) -> None:
        self.grown += 1

    async def add(self, key: str, *layers: str) -> None:
        await self.cache.add(key, layers)
        self.steps[key] = layers

    async def remove(self, key: str) -> None:
        await self.cache.remove(Removal(Item(key, 0, {}), 0))
        del self.steps[key]

    def need(self, *layers: str) -> None:
        self.layers.hold("blueprint/b", layers)
        self.others = {"b": layers}

    async def bytes_that_only_steps_need(self) -> int:
        """The same, looked up."""
        cached = {layer for layers in self.steps.values() for layer in layers}
        needed = {layer for layers in self.others.values() for layer in layers}
        there = (cached - needed) & self._isolation.layers()
        return sum([await self._isolation.layer_bytes(layer) for layer in there])


def lose(tmp_path: Path, layer: str) -> None:
    """A layer that is no longer on disk, by no doing of the service."""
    shutil.rmtree(tmp_path / "sandboxes" / "process" / "layers" / layer)


async def test_what_something_else_needs_is_no_cache_until_it_is_let_go(isolation: Isolation, store: Store) -> None:
    await made(isolation, "low", "top")
    service = Service(isolation, store)
    service.need("low", "top")
    await service.add("one", "low")
    await service.add("two", "top", "low")
    assert (service.cache.total(), service.grown) == (0, 0)
    service.need()
    assert service.cache.total() == await service.bytes_that_only_steps_need() > 0
    assert service.grown == 1
    service.need("low")
    assert service.cache.total() == await service.bytes_that_only_steps_need() > 0


@pytest.mark.parametrize("again", [False, True], ids=["the same service", "the next service"])
async def test_a_layer_that_is_no_longer_on_disk_does_not_count(
    isolation: Isolation, store: Store, tmp_path: Path, again: bool
) -> None:
    await made(isolation, "old", "new")
    service = Service(isolation, store)
    await service.add("step", "old")
    lose(tmp_path, "old")
    if again:
        service = Service(isolation, store)
        await service.cache.load()
    assert service.cache.find("step") is None
    assert service.cache.total() == 0
    await service.add("step", "new")
    step = service.cache.find("step")
    assert step is not None
    assert step.layers == ("new",)
    assert service.cache.total() == await isolation.layer_bytes("new")
    assert size_of(service.cache.items()) == service.cache.total()


async def test_what_a_forgotten_step_has_left_to_others_is_known_to_the_next_service(
    isolation: Isolation, store: Store
) -> None:
    await made(isolation, "low", "top")
    service = Service(isolation, store)
    await service.add("one", "low")
    await service.add("two", "top", "low")
    await service.remove("one")
    for _ in range(2):
        following = Service(isolation, store)
        await following.cache.load()
        await following.cache.restore()
        assert following.cache.total() == service.cache.total() == await service.bytes_that_only_steps_need()


@pytest.mark.parametrize("seed", range(5))
async def test_the_count_is_right_after_whatever_happens(
    isolation: Isolation, store: Store, tmp_path: Path, seed: int
) -> None:
    chance, names = random.Random(seed), [f"l{number}" for number in range(8)]
    await made(isolation, *names)
    service = Service(isolation, store)
    for number in range(60):
        there = sorted(isolation.layers())
        event = chance.choice(["add", "add", "need", "remove", "find", "lose", "restart"])
        if event == "add":
            await service.add(f"s{chance.randrange(6)}", *chance.sample(there, chance.randint(1, min(3, len(there)))))
        elif event == "need":
            service.need(*chance.sample(there, chance.randint(0, len(there))))
        elif event == "remove" and service.steps:
            await service.remove(chance.choice(sorted(service.steps)))
        elif event == "lose" and number % 10 == 0 and len(there) > 3:
            lose(tmp_path, chance.choice(there))
        elif event == "restart":
            known = service
            service = Service(isolation, store)
            await service.cache.load()
            await service.cache.restore()
            service.steps = known.steps
        for key in service.steps:
            service.cache.find(key)  # what is lost is seen by whoever looks for it
        assert service.cache.total() == await service.bytes_that_only_steps_need(), (number, event)
        assert size_of(service.cache.items()) == service.cache.total()


async def test_a_step_more_costs_the_same_however_many_there_are(isolation: Isolation, store: Store) -> None:
    names = [f"l{number}" for number in range(20)]
    await made(isolation, *names)
    service, costs = Service(isolation, store), []
    retention = Retention({"cache": Limit(10**9, 10**9)})
    retention.add("cache", service.cache)
    for name in names:
        before = service.asked
        await service.add(name, name)
        retention.notice("cache")
        costs.append(service.asked - before)
    assert set(costs) == {costs[0]}


class Unasked:
    """Data of which nothing is known to have grown."""

    async def restore(self) -> None: ...

    def items(self) -> list[Item]:
        raise AssertionError("looked through")

    def total(self) -> int:
        raise AssertionError("asked")

    async def remove(self, removal: Removal) -> int:
        raise AssertionError("removed")


def test_only_what_has_grown_is_asked(isolation: Isolation, store: Store) -> None:
    retention = Retention({"cache": Limit(0, 0), "logs": Limit(0, 0)})
    retention.add("cache", Service(isolation, store).cache)
    retention.add("logs", Unasked())
    retention.notice("cache")
