"""`%devbox upload`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...operations.lifecycle import handle_of
from ...operations.transfers import here, spelled_notes, upload
from ...output.progress import progress
from ...rendering import Done
from ...text.sizes import spell_size
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(OnOption):
    """The options of `%devbox upload`."""

    local: str
    remote: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox upload`."""
    made = Parser(
        Options,
        "%devbox upload",
        "Upload a file, or a folder's content, of any size.",
        "%devbox push sends only what has changed in a folder.",
    )
    made.shows_progress = True
    made.add_name("local path", "local", metavar="LOCAL", help="the file or folder here")
    made.add_name("remote path", "remote", metavar="REMOTE", nargs="?", help="where to; in the home folder by default")
    add_on_option(made)
    return made.explain(
        ("a file into the home folder", "%devbox upload data.csv"),
        ("a folder's content to a place of its own", "%devbox upload results /tmp/results"),
        returns="A sentence; its `.item` is the path in the devbox.",
        mistakes=[
            ("A file or folder that is not here is named, with the nearest name and the folder that was looked in."),
            "Stop in the middle leaves what was in the devbox before.",
        ],
    )


async def run(session: Session, options: Options) -> Done[str]:
    """Upload the file or folder; its path in the devbox is `.item`."""
    path = here(options.local)
    devbox = await current_or_new_devbox(session, options.on)
    async with progress(f"uploading {options.local} to {devbox.short}") as made:
        done = await upload(await handle_of(session, devbox), path, options.remote, made)
    size = "" if made.total is None else f", {spell_size(made.total)}"
    text = f"Uploaded {options.local} to {done.path} on {devbox.short}{size}."
    return Done(text + spelled_notes(done), done.path)
