"""Runs the same work for many items concurrently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Literal, TypeVar, get_args, overload

from .._errors import ConfigurationError, RunloopError

T = TypeVar("T")
R = TypeVar("R")
OnFailure = Literal["stop", "finish", "keep"]
"""`stop` cancels the rest at the first failure and raises it; `finish` lets the rest end, then raises all failures as
an `ExceptionGroup`; `keep` returns failures in place of results."""


@overload
async def fan_out(
    work: Callable[[T], Awaitable[R]],
    items: Iterable[T],
    *,
    concurrency: int,
    on_failure: Literal["stop", "finish"],
) -> list[R]: ...


@overload
async def fan_out(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, concurrency: int, on_failure: OnFailure
) -> list[R | RunloopError]: ...


async def fan_out(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, concurrency: int, on_failure: OnFailure
) -> list[R] | list[R | RunloopError]:
    """Await `work(item)` for all items, at most `concurrency` at a time; the results in the order of the items."""
    if concurrency < 1:
        raise ConfigurationError(f"concurrency is {concurrency}; it must be 1 or more.")
    if on_failure not in get_args(OnFailure):
        raise ConfigurationError(f"on_failure is {on_failure!r}; it is one of {', '.join(get_args(OnFailure))}.")
    queue = enumerate(items)
    outcomes: dict[int, R | RunloopError] = {}
    workers = [_drain(queue, work, outcomes, stop=on_failure == "stop") for _ in range(concurrency)]
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
    except* RunloopError as failures:
        raise _first(failures) from None
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, RunloopError)]
    if failed and on_failure == "finish":
        raise ExceptionGroup(f"{len(failed)} of {len(outcomes)} failed", failed)
    return [outcomes[index] for index in range(len(outcomes))]


async def _drain(
    queue: Iterator[tuple[int, T]],
    work: Callable[[T], Awaitable[R]],
    outcomes: dict[int, R | RunloopError],
    *,
    stop: bool,
) -> None:
    for index, item in queue:
        try:
            outcomes[index] = await work(item)
        except RunloopError as error:
            if stop:
                raise
            outcomes[index] = error


def _first(failures: BaseExceptionGroup[RunloopError]) -> RunloopError:
    error = failures.exceptions[0]
    return error if isinstance(error, RunloopError) else _first(error)
