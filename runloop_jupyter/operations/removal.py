"""Deletion of resources of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from ..resources.kind import AnyKind
    from ..session import Session


async def delete(session: Session, kind: AnyKind, identity: str, name: str, observer: Observer = UNOBSERVED) -> None:
    """Delete the resource with this id. `name` is forgotten by completion."""
    assert kind.delete is not None
    await observer.confirmed(kind.delete(await session.client.sdk(), identity))
    session.names.drop(kind.name, name or identity)
