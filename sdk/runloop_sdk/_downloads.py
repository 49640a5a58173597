"""Downloads of any size, in constant memory, resumed where a connection was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from ._errors import APIConnectionError, StreamError
from ._retry import backoff

T = TypeVar("T")
Progress = Callable[[int], None]
"""Called with the number of bytes that were transferred so far."""


async def resumed(
    open_at: Callable[[int], AbstractAsyncContextManager[AsyncIterator[T]]], max_retries: int, size: Callable[[T], int]
) -> AsyncGenerator[T, None]:
    """The pieces that `open_at(offset)` yields, reopened after each cut at the offset of it; `size` is that of a piece.

    Raises `APIConnectionError` after `max_retries` cuts in a row without a byte between them.
    """
    position, failures = 0, 0
    while True:
        try:
            async with open_at(position) as pieces:
                async for piece in pieces:
                    position, failures = position + size(piece), 0  # progress: earlier cuts do not count
                    yield piece
            return
        except APIConnectionError:
            if failures >= max_retries:
                raise
            await asyncio.sleep(backoff(failures))
            failures += 1


async def skip_bytes(pieces: AsyncIterator[bytes], skip: int) -> AsyncGenerator[bytes, None]:
    """The bytes after the first `skip`; raises `StreamError` if there are fewer."""
    left = skip
    async for piece in pieces:
        if left < len(piece):
            yield piece[left:]
        left = max(0, left - len(piece))
    if left:
        again = f"{skip:,} bytes had come before a cut, and there are {skip - left:,}"
        raise StreamError(f"The file became shorter while it was read: {again}.")


async def reported(sizes: AsyncIterator[int], progress: Progress | None) -> None:
    """Wait for the end of a transfer that yields the sizes of its pieces."""
    total = 0
    async for size in sizes:
        total += size
        if progress is not None:
            progress(total)
