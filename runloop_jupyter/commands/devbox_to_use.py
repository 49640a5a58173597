"""The devbox that a command runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..operations.lifecycle import create
from ..output.progress import waiting

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..session import Session


async def current_or_new_devbox(session: Session, reference: str | None) -> DevboxInfo:
    """Return the devbox to run a command on; creates one, and says so, where none was named or chosen."""
    if reference is not None:
        return await session.find(reference)
    await session.client.sdk()
    if session.current is None:
        async with waiting("creating a devbox"):
            created = await create(session, {"name": f"notebook-{os.urandom(2).hex()}"})
        session.say(f"No devbox was chosen: created {created.label}. It ends with this {session.host}.")
    assert session.current is not None
    return session.current
