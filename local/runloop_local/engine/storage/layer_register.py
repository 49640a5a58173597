"""Registers the layers that this database has created; unknown ones may belong to a newer copy of it, and are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import Document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .store import Store

_KIND = "layer"
_ADOPTED = "*"
"""Stands for all layers that existed before layers were registered."""


class LayerRegister:
    """The registered layers. Merged layers are registered by the name of the top one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def restore(self, on_disk: Iterable[str]) -> None:
        """Register the layers of earlier versions, which did not do so."""
        if not await self._store.statuses(_KIND, {_ADOPTED}):
            await self._store.put(*[_document(name) for name in {*map(base_of, on_disk), _ADOPTED}])

    async def announce(self, layer: str) -> None:
        """Register a layer that is about to be created."""
        await self._store.put(_document(layer))

    async def unknown(self, layers: Collection[str]) -> set[str]:
        """The layers that were never registered; the user is notified of them."""
        known = await self._store.statuses(_KIND, {base_of(layer) for layer in layers})
        found = {layer for layer in layers if base_of(layer) not in known}
        self._store.notes.unowned(sorted(found), "layer", "in sandboxes/")
        return found

    async def forget(self, layers: Iterable[str], on_disk: Collection[str]) -> None:
        """Unregister removed layers, unless one with the same base name is on disk."""
        # A merged layer with the same base name may still be there, and must stay known.
        for name in {base_of(layer) for layer in layers} - {base_of(layer) for layer in on_disk}:
            await self._store.delete(_KIND, name)


def base_of(name: str) -> str:
    """The base name of a layer: that of the top layer for a merged one."""
    return name.partition(".")[0]


def _document(name: str) -> Document:
    return Document(_KIND, name, {}, listed=False)
