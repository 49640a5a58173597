"""`%devbox info`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import DevboxCard
from ..parser import Parser, add_devbox_argument

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox info`."""
    made = Parser("%devbox info", "Show one devbox in detail: the current one unless another is named.")
    add_devbox_argument(made)
    return made


async def run(session: Session, args: argparse.Namespace) -> DevboxCard:
    """The card."""
    devbox = await session.find(args.devbox)
    notes: tuple[str, ...] = ()
    if devbox.id in session.leases and devbox.alive:
        ends = "stays when this kernel ends" if session.leases.keeps(devbox.id) else "ends with this kernel"
        notes = (f"Created by this kernel; {ends}.",)
    return DevboxCard(devbox, notes)
