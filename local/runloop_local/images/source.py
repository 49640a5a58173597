"""Where an image comes from: a registry, or files on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from runloop_local.images.manifest import Descriptor


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer as it came: a part of a file. Whether it is the right one is found out as it is unpacked."""

    path: Path
    offset: int
    size: int
    is_temporary: bool = False
    """True if the file was made for it alone."""

    def discard(self) -> None:
        """Delete the file, if it was made for this blob."""
        if self.is_temporary:
            self.path.unlink(missing_ok=True)


class Source(Protocol):
    """Gives the parts of one image. The methods raise SourceError."""

    async def top(self, known: str | None) -> bytes | None:
        """The manifest or index that the reference means; None if that still has the digest `known`."""
        ...

    async def document(self, wanted: Descriptor) -> bytes:
        """A manifest of an index, or a configuration."""
        ...

    async def blob(self, wanted: Descriptor) -> Blob:
        """A layer."""
        ...
