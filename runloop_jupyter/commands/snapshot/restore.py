"""`%runloop snapshot restore`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.lookup import SNAPSHOT
from ..devbox import create
from ..parser import Parser

if TYPE_CHECKING:
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop snapshot restore`."""
    made = Parser(
        "%runloop snapshot restore",
        "Create a devbox with a snapshot's disk, wait until it runs and make it the current one.",
    )
    made.shows_progress = True
    made.add_name("snapshot", "snapshot", metavar="NAME|ID", help="a snapshot's name or id")
    create.add_options(made)
    return made.explain(
        ("a devbox with the snapshot's disk", "%runloop snapshot restore ready"),
        ("with a name, and larger", "%runloop snapshot restore ready --name web-2 --size large"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "A name that several snapshots share lists their ids: type one of those.",
            "Stop in the middle shuts down what has been made so far.",
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Done[DevboxInfo]:
    """Create it."""
    args.snapshot = (await SNAPSHOT.find(await session.sdk(), args.snapshot)).id
    args.blueprint = None
    return await create.run(session, args)
