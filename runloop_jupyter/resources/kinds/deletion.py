"""The action that deletes a resource, which most kinds have."""

from __future__ import annotations

from ...operations import removal
from ..kind import Action, ActionRequest
from ..specs import Cell


async def _delete(request: ActionRequest) -> str:
    """Delete the resource, and say so."""
    await removal.delete(request.session, request.kind, request.id, str(request.row[1] or ""), request.observer)
    return f"Deleted {request.name}."


def deletion(states: tuple[str, ...] | None = None) -> Action:
    """Return the action that deletes a resource in these states."""
    return Action("delete", "Delete…", states, _delete, "deleting", destructive=True)


def manage_cells(noun: str, reference: str) -> list[Cell]:
    """Return the cells that show and delete a resource."""
    return [Cell("Show", f"%runloop {noun} info {reference}"), Cell("Delete", f"%runloop {noun} delete {reference}")]
