"""Files that come from a page in pieces, never whole in memory."""

from __future__ import annotations

import asyncio
import tempfile
from typing import BinaryIO, cast

_SMALL = 8 << 20  # bytes that stay in memory


class Upload:
    """One file on its way. It is kept on disk until it is whole: a store wants to know its size at the beginning."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received = 0
        self._turn = asyncio.Lock()  # pieces are written in the order in which they came
        self._file = cast("BinaryIO", tempfile.SpooledTemporaryFile(_SMALL))  # noqa: SIM115 - closed by `close`

    async def put(self, piece: bytes) -> None:
        """The next piece."""
        async with self._turn:
            await asyncio.to_thread(self._file.write, piece)
            self.received += len(piece)

    async def content(self) -> BinaryIO:
        """All that came, to be read from its start."""
        async with self._turn:
            await asyncio.to_thread(self._file.seek, 0)
        return self._file

    def close(self) -> None:
        """Forget the file."""
        self._file.close()
