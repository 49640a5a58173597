"""`%devbox push`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...operations.lifecycle import handle_of
from ...operations.syncing import Synced, push
from ...operations.transfers import here, listed_paths, local_name, spelled_notes
from ...output.progress import progress
from ...rendering import Done
from ...text.quoting import as_word
from ...text.sizes import spell_size
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class SyncOptions(OnOption):
    """Options of push and pull."""

    delete: bool
    no_ignore: bool


class Options(SyncOptions):
    """The options of `%devbox push`."""

    local: str
    remote: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox push`."""
    made = Parser(
        Options,
        "%devbox push",
        "Send a folder to the devbox: only what is new or differs in size, time, permissions or target.",
        ".git and what git ignores stay here, as `git ls-files -co --exclude-standard` lists it.",
    )
    made.shows_progress = True
    made.add_name("local path", "local", metavar="DIR", help="the folder here")
    made.add_name("remote path", "remote", metavar="REMOTE", nargs="?", help="the folder there; of the same name")
    add_sync_options(made, "here")
    return made.explain(
        ("a folder; the second time only what has changed", "%devbox push project"),
        ("make the other side the same, files that are gone included", "%devbox push project /srv/project --delete"),
        returns="A sentence; its `.item` has `.sent`, `.deleted`, `.unchanged` and `.size` in bytes.",
        mistakes=[
            "A file in place of a folder is named: %devbox upload takes it.",
            "Stop leaves each file whole, old or new; the next push goes on.",
            "What cannot be read is left out, and named: it is in `.left_out`.",
            "Where one side has a file and the other a folder, --delete replaces it; without it nothing moves.",
        ],
    )


def add_sync_options(made: Parser[SyncOptions], source: str) -> None:
    """Add the options of push and pull; `source` is the side that files come from."""
    made.add_argument("--delete", action="store_true", help=f"remove files that are not {source}")
    made.add_argument("--no-ignore", action="store_true", help="also what .gitignore files name, and .git")
    add_on_option(made)


async def run(session: Session, options: Options) -> Done[Synced]:
    """Send what has changed in the folder; the changes are `.item`."""
    folder = _folder(options.local)
    remote = options.remote or local_name(folder)
    devbox = await current_or_new_devbox(session, options.on)
    async with progress(f"pushing {options.local} to {devbox.short}") as made:
        done = await push(
            await handle_of(session, devbox), folder, remote, made, delete=options.delete, all_files=options.no_ignore
        )
    text = f"{spelled('Pushed', done)} to {remote} on {devbox.short}."
    return Done(text + spelled_sync_notes(done), done)


def _folder(name: str) -> Path:
    folder = here(name)
    if not folder.is_dir():
        raise UsageError(f"{name!r} is not a folder. To send a file: %devbox upload {as_word(name)}")
    return folder


def spelled(verb: str, done: Synced) -> str:
    """A count of what was sent, made and deleted, in words."""
    sent = f"{verb} {_files(len(done.sent))}, {spell_size(done.size)}" if done.sent else f"{verb} nothing"
    files = [path for path in done.deleted if not path.endswith("/")]
    parts = [sent, f"made {_folders(len(done.made))}" if done.made else ""]
    parts.append(f"deleted {_files(len(files))}" if files else "")
    parts.append(f"deleted {_folders(len(done.deleted) - len(files))}" if len(done.deleted) > len(files) else "")
    parts.append(f"{done.unchanged:,} unchanged" if done.unchanged else "")
    return ", ".join(filter(None, parts)) + ","


def spelled_sync_notes(done: Synced) -> str:
    """Sentences on what was left out or kept, to follow another."""
    gaps = " Nothing was deleted: the devbox did not list the whole folder." if done.gaps else ""
    return spelled_notes(done) + listed_paths("Could not be deleted", done.kept) + gaps


def _folders(count: int) -> str:
    return f"{count:,} folder{'' if count == 1 else 's'}"


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"
