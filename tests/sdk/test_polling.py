"""How often a wait looks."""

import asyncio
import itertools

import pytest

from runloop_sdk import PollingConfig
from runloop_sdk._polling import Wait


async def pauses(monkeypatch: pytest.MonkeyPatch, config: PollingConfig | None, looks: int) -> list[float]:
    """What a wait that ends at this look slept between them."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    numbers = itertools.count(1)

    async def look() -> int:
        return next(numbers)

    assert await Wait[int]("a number", config).polled(look, lambda seen: seen == looks) == looks
    return slept


async def test_soon_at_first_and_never_slower_than_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pauses(monkeypatch, None, 9) == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


async def test_as_often_as_the_caller_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pauses(monkeypatch, PollingConfig(interval_seconds=0.3), 4) == [0.3, 0.3, 0.3]
