"""The images on this machine, as people manage them: pulled, listed, and removed when nothing uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ..images import ImageError, Reference
from ..images.store import ImageStore
from .build.cache import HOLDER
from .errors import InvalidError, NotServedError
from .ids import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..images import Image
    from .storage.layers import Layers


class Images:
    """Images by their references."""

    def __init__(self, store: ImageStore | None, layers: Layers) -> None:
        self._store = store
        self._layers = layers

    async def pull(self, text: str, log: Callable[[str], None]) -> Image:
        """Bring an image here, or up to date; raises `InvalidError` with the registry's answer."""
        try:
            return await self._required().pull(Reference.parse(text), log)
        except ImageError as error:
            raise InvalidError(str(error)) from error

    def list(self) -> list[Image]:
        """All images that are here, by name."""
        return [] if self._store is None else self._store.images()

    async def prune(self, older_than_ms: int) -> int:
        """Remove the images that no devbox, snapshot or blueprint uses, last used so long ago; returns the freed bytes.

        Steps of builds that stand on one are built again when they are needed.
        """
        if self._store is None:
            return 0
        async with self._layers.choosing:
            in_use = await self._layers.in_use(besides=HOLDER)
            return await self._store.prune(in_use, now_ms() - older_than_ms + 1)

    def _required(self) -> ImageStore:
        return self._store if self._store is not None else _refuse()


def _refuse() -> NoReturn:
    raise NotServedError("Devboxes are plain processes here, on this machine's own userland: they cannot have images.")
