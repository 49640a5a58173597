"""`%devbox download`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...operations.actions import handle_of
from ...operations.transfers import download, place, spelled_notes
from ...output.progress import progress
from ...rendering import Done
from ...text.sizes import spell_size
from ..parser import Parser, add_on_option

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox download`."""
    made = Parser(
        "%devbox download",
        "Download a file, or a folder's content, of any size.",
        "%devbox pull fetches only what has changed in a folder.",
    )
    made.shows_progress = True
    made.add_name("remote path", "remote", metavar="REMOTE", help="the file or folder of the devbox")
    made.add_name("local path", "local", metavar="LOCAL", nargs="?", help="where to; here by default")
    add_on_option(made)
    return made.explain(
        ("a file into the folder of the notebook", "%devbox download results.csv"),
        ("a folder to a place of its own", "%devbox download /var/log logs --on web"),
        returns="A sentence; its `.item` is the `Path` here.",
        mistakes=[
            "A path that is not in the devbox is named; so is a folder here that is missing.",
            "Stop in the middle leaves what was here before.",
            "Links out of the folder, devices and set-id bits are left out, and named.",
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Done[Path]:
    """Download it; where it went is `.item`."""
    local = None if args.local is None else place(args.local)
    devbox = await session.target(args.on)
    async with progress(f"downloading {args.remote} from {devbox.short}") as made:
        done = await download(await handle_of(session, devbox), args.remote, devbox.label, local, made)
    text = f"Downloaded {args.remote} from {devbox.short} into {done.path}, {spell_size(made.done)}."
    return Done(text + spelled_notes(done), done.path)
