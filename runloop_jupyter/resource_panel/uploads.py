"""Files that come from the page in pieces and become storage objects or a devbox's files, never whole in memory."""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING, BinaryIO, cast

from ..resources.kinds.storage_object import OBJECT
from ..text.progress import Progress

if TYPE_CHECKING:
    from ..session import Session
    from .feed import Feed

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

    async def finish(self, session: Session, feed: Feed) -> str:
        """Make it a storage object, deleted again where its bytes cannot be sent; return what was made in words."""
        from ..operations.transfers import upload_object

        content = await self.content()
        view = await upload_object(await session.client.sdk(), content, self.name, progress=Progress(""))
        session.names.add(OBJECT.name, view.name)
        feed.put(OBJECT.name, view.model_dump(exclude={"upload_url", "upload_headers"}))
        return f"Uploaded {self.name}."

    def close(self) -> None:
        """Forget the file."""
        self._file.close()
