"""`%devbox suspend`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...devboxes import describe
from ...rendering import Outcome
from ..parser import Parser, add_devbox_argument

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox suspend`."""
    made = Parser("%devbox suspend", "End a devbox's processes and keep its disk; %devbox resume starts it again.")
    add_devbox_argument(made)
    return made


async def run(session: Session, args: argparse.Namespace) -> Outcome:
    """Suspend it and wait until that is done."""
    devbox = await session.find(args.devbox)
    handle = (await session.sdk()).devbox.from_id(devbox.id)
    await handle.suspend()
    suspended = describe(await handle.await_suspended())
    return Outcome(
        f"Suspended {suspended.label}; its files are kept. Wake it: %devbox resume {devbox.short}", suspended
    )
