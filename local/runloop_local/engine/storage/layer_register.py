"""Which layers this database has made: one that it does not know may belong to a later copy of it, and is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import Document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .store import Store

_KIND = "layer"
_ADOPTED = "*"
"""What stands for all layers that there were before they were announced."""


class LayerRegister:
    """Layers by name, those that were merged of others by the name of the first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def restore(self, on_disk: Iterable[str]) -> None:
        """Know the layers of earlier versions, which did not announce them."""
        if not await self._store.statuses(_KIND, {_ADOPTED}):
            await self._store.put(*[_document(name) for name in {*map(base_of, on_disk), _ADOPTED}])

    async def announce(self, layer: str) -> None:
        """Note that a layer is about to be made."""
        await self._store.put(_document(layer))

    async def unknown(self, layers: Collection[str]) -> set[str]:
        """Those of these layers that were never announced; a person is told of them."""
        known = await self._store.statuses(_KIND, {base_of(layer) for layer in layers})
        found = {layer for layer in layers if base_of(layer) not in known}
        self._store.notes.unowned(sorted(found), "layer", "in sandboxes/")
        return found

    async def forget(self, layers: Iterable[str], on_disk: Collection[str]) -> None:
        """These have been removed."""
        for name in {base_of(layer) for layer in layers} - {base_of(layer) for layer in on_disk}:
            await self._store.delete(_KIND, name)


def base_of(name: str) -> str:
    """The layer for which this one was made, or itself."""
    return name.partition(".")[0]


def _document(name: str) -> Document:
    return Document(_KIND, name, {}, listed=False)
