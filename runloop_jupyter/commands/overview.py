"""`%runloop`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..rendering import DevboxTable, Overview
from . import VERBS
from .list import live

if TYPE_CHECKING:
    from ..connection import Connection
    from ..session import Session


async def run(session: Session, args: argparse.Namespace | None = None) -> Overview:
    """What the notebook is connected to, its devboxes, and what can be typed."""
    sdk = await session.sdk()
    assert session.connection is not None
    devboxes = await live(sdk)
    session.known_names = tuple(each.short for each in devboxes)
    table = DevboxTable(devboxes, current=session.current.id if session.current else None)
    lines = [(f"%devbox {verb}", summary) for verb, summary in VERBS.items()]
    return Overview(_connection(session.connection), table, tuple(lines))


def _connection(connection: Connection) -> tuple[str, ...]:
    if not connection.embedded:
        return (f"Connected to {connection.label}.",)
    first = f"Connected to {connection.label}, {connection.base_url} (isolation: {connection.isolation})."
    return (first, *connection.warnings, "Set RUNLOOP_API_KEY to use Runloop's cloud.")
