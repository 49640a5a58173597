"""`%devbox pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...operations.lifecycle import handle_of
from ...operations.syncing import Synced, pull
from ...operations.transfers import own_name, place
from ...output.progress import progress
from ...rendering import Done
from ..devbox_to_use import current_or_new_devbox
from ..parser import Parser
from .push import SyncOptions, add_sync_options, spelled, spelled_sync_notes

if TYPE_CHECKING:
    from ...session import Session


class Options(SyncOptions):
    """The options of `%devbox pull`."""

    remote: str
    local: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox pull`."""
    made = Parser(
        Options,
        "%devbox pull",
        "Fetch a folder of the devbox: only what is new or differs in size, time, permissions or target.",
        ".git and what git ignores there stay there; files that it tracks all the same, too.",
    )
    made.shows_progress = True
    made.add_name("remote path", "remote", metavar="DIR", help="the folder of the devbox")
    made.add_name("local path", "local", metavar="LOCAL", nargs="?", help="the folder here; of the same name")
    add_sync_options(made, "there")
    return made.explain(
        ("a folder, into one of the same name here", "%devbox pull project"),
        ("into another, with what .gitignore names", "%devbox pull project/build build --no-ignore"),
        returns="A sentence; its `.item` has `.sent`, `.deleted`, `.unchanged` and `.size` in bytes.",
        mistakes=[
            "The home folder itself needs a name for the folder here: it is asked for.",
            "What cannot be read or would lead out of the folder here is left out, as are devices: see `.left_out`.",
            "Where one side has a file and the other a folder, --delete replaces it; without it nothing moves.",
            "Nothing is deleted where the devbox could not list a folder.",
        ],
    )


async def run(session: Session, options: Options) -> Done[Synced]:
    """Fetch what has changed in the folder; the changes are `.item`."""
    folder = _folder(options)
    devbox = await current_or_new_devbox(session, options.on)
    async with progress(f"pulling {options.remote} from {devbox.short}") as made:
        done = await pull(
            await handle_of(session, devbox),
            options.remote,
            folder,
            made,
            delete=options.delete,
            all_files=options.no_ignore,
        )
    text = f"{spelled('Pulled', done)} from {options.remote} on {devbox.short} into {folder}."
    return Done(text + spelled_sync_notes(done), done)


def _folder(options: Options) -> Path:
    name = options.local or own_name(options.remote)
    # The folder here is the current one only where that was typed: `pull ..` means no more than a folder there.
    if not options.local and (not name or name in (".", "~")):
        raise UsageError("Say which folder here to pull into: %devbox pull DIR LOCAL")
    folder = place(name)
    if folder.is_file():
        raise UsageError(f"{name!r} is a file here: choose another folder.")
    return folder
