"""`%runloop snapshot prune`."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.snapshot import SNAPSHOT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.PruneOptions):
    """The options of `%runloop snapshot prune`."""

    devbox: str | None
    keep: int


def parser() -> Parser[Options]:
    """The parser of `%runloop snapshot prune`."""
    made = removing.pruning_parser(
        Options, SNAPSHOT, "Delete all but the newest snapshots of each devbox, after a question."
    )
    made.add_name("devbox", "--devbox", metavar="NAME|ID", help="only those of this devbox")
    made.add_argument("--keep", type=_count, default=1, metavar="N", help="how many to keep of each (default 1)")
    return made.explain(
        ("what would go if two of each devbox stayed", "%runloop snapshot prune --keep 2 --dry-run"),
        ("of one devbox, without the question", "%runloop snapshot prune --devbox web --yes"),
        returns="A sentence; its `.item` has the snapshots.",
        mistakes=[
            "Where nobody can answer the question it needs --yes.",
            "Those that cannot be deleted are named; the others are deleted all the same.",
        ],
    )


async def run(session: Session, options: Options) -> Done[object]:
    """List what can go, ask, and delete it."""
    filters = {"devbox_id": (await session.find(options.devbox)).id} if options.devbox else {}
    snapshots = await SNAPSHOT.all(await session.client.sdk(), limit=None, **filters)
    return await removing.prune(session, SNAPSHOT, snapshots, options, keep=options.keep)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a number of snapshots: write it like 3")
    return int(text)
