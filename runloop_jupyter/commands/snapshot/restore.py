"""`%runloop snapshot restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.snapshot import SNAPSHOT
from ..devbox.create import Disk, NewDevboxOptions, add_new_devbox_options, create
from ..parser import Parser

if TYPE_CHECKING:
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(NewDevboxOptions):
    """The options of `%runloop snapshot restore`."""

    snapshot: str


def parser() -> Parser[Options]:
    """The parser of `%runloop snapshot restore`."""
    made = Parser(
        Options,
        "%runloop snapshot restore",
        "Create a devbox with a snapshot's disk, wait until it runs and make it the current one.",
    )
    made.shows_progress = True
    made.add_name(SNAPSHOT.name, "snapshot", metavar="NAME|ID", help="a snapshot's name or id")
    add_new_devbox_options(made)
    return made.explain(
        ("a devbox with the snapshot's disk", "%runloop snapshot restore ready"),
        ("with a name, and larger", "%runloop snapshot restore ready --name web-2 --size large"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "A name that several snapshots share lists their ids: type one of those.",
            "Stop in the middle shuts down what has been made so far.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo]:
    """Create a devbox from the snapshot."""
    snapshot = await SNAPSHOT.find(await session.client.sdk(), options.snapshot)
    return await create(session, options, options.name or "", Disk(snapshot=snapshot.id))
