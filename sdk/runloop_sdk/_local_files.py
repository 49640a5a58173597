"""Access to local files, with errors of this SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

from ._errors import LocalFileError


@contextmanager
def local_file() -> Iterator[None]:
    """Raise any `OSError` inside the `with` block as `LocalFileError`."""
    try:
        yield
    except LocalFileError:
        raise
    except OSError as error:
        raise LocalFileError(error.errno, error.strerror or str(error), error.filename) from error


async def open_local(path: Path, mode: Literal["rb", "wb"]) -> BinaryIO:
    """Open a file without blocking the event loop; raises `LocalFileError`."""
    with local_file():
        return cast("BinaryIO", await asyncio.to_thread(path.open, mode))


async def written(file: BinaryIO, pieces: AsyncIterator[bytes]) -> AsyncGenerator[int, None]:
    """Write the pieces to a file as they arrive; yields the number of bytes of each."""
    async for piece in pieces:
        with local_file():
            count = await asyncio.to_thread(file.write, piece)
        yield count
