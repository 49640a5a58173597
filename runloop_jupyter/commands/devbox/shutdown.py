"""`%devbox shutdown`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...devboxes import describe
from ...rendering import DevboxTable, Outcome
from ..parser import Parser, add_devbox_argument

if TYPE_CHECKING:
    from ...devboxes import DevboxInfo
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox shutdown`."""
    made = Parser("%devbox shutdown", "End devboxes for good, disk included: the current one unless others are named.")
    add_devbox_argument(made, nargs="*")
    return made


async def run(session: Session, args: argparse.Namespace) -> Outcome | DevboxTable:
    """Shut them down. All are looked up first, so that a mistyped name ends none."""
    found = [await session.find(reference) for reference in args.devbox or [None]]
    ended = [await _end(session, devbox) for devbox in found]
    if len(ended) == 1:
        return Outcome(f"Shut down {ended[0].label}.", ended[0])
    return DevboxTable(ended)


async def _end(session: Session, devbox: DevboxInfo) -> DevboxInfo:
    view = await (await session.sdk()).devbox.from_id(devbox.id).shutdown()
    session.ended(devbox)
    return describe(view)
