"""Lists: `await` one for its first page, `async for` it to walk every item of every page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first. `total_count` is None if it was not requested or the API does not know it."""

    items: tuple[T, ...]
    has_more: bool = False
    total_count: int | None = None

    def __iter__(self) -> Iterator[T]:
        """The items of this page."""
        return iter(self.items)

    def __len__(self) -> int:
        """The number of items of this page."""
        return len(self.items)


class Listing(Generic[T]):
    """A lazy list: `await` requests its first `Page`, `async for` walks the items of all pages."""

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[Page[T]]],
        key: Callable[[T], str],
        starting_after: str | None = None,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._starting_after = starting_after

    def __await__(self) -> Generator[object, None, Page[T]]:
        return self._fetch(self._starting_after).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        page = await self._fetch(self._starting_after)
        while page.items:
            *items, last = page.items
            for item in items:
                yield item
            if not page.has_more:
                yield last
                return
            # Requested before the last item is yielded: the caller may delete it, and then it is no valid cursor.
            (outcome,) = await asyncio.gather(self._fetch(self._key(last)), return_exceptions=True)
            yield last
            if isinstance(outcome, BaseException):
                raise outcome
            page = outcome


class ResourceListing(Generic[T, U]):
    """A `Listing` that yields resources instead of views; `await` gives a list of the first page."""

    def __init__(self, listing: Listing[T], wrap: Callable[[T], U]) -> None:
        self._listing = listing
        self._wrap = wrap

    def __await__(self) -> Generator[object, None, list[U]]:
        return self._first_page().__await__()

    async def _first_page(self) -> list[U]:
        return [self._wrap(view) for view in await self._listing]

    async def __aiter__(self) -> AsyncIterator[U]:
        async for view in self._listing:
            yield self._wrap(view)
