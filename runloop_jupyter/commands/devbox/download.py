"""`%devbox download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...operations.lifecycle import handle_of
from ...operations.transfers import download, place, spelled_notes
from ...output.progress import progress
from ...rendering import Done
from ...text.sizes import spell_size
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(OnOption):
    """The options of `%devbox download`."""

    remote: str
    local: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox download`."""
    made = Parser(
        Options,
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


async def run(session: Session, options: Options) -> Done[Path]:
    """Download the file or folder; the local path is `.item`."""
    local = None if options.local is None else place(options.local)
    devbox = await current_or_new_devbox(session, options.on)
    async with progress(f"downloading {options.remote} from {devbox.short}") as made:
        done = await download(await handle_of(session, devbox), options.remote, devbox.label, local, made)
    text = f"Downloaded {options.remote} from {devbox.short} into {done.path}, {spell_size(made.done)}."
    return Done(text + spelled_notes(done), done.path)
