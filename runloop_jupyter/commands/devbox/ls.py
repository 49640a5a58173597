"""`%devbox ls`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...operations.lifecycle import handle_of
from ...operations.transfers import there
from ...rendering import Listing
from ...text.sizes import spell_size
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import FileInfo

    from ...session import Session

_SIGNS = {"directory": "/", "symlink": "@", "file": ""}
_COLUMNS = {
    "name": lambda info: info.name + _SIGNS.get(info.kind, "?") + (f" → {info.target}" if info.target else ""),
    "size": lambda info: spell_size(info.size) if info.kind == "file" else "",
    "changed": lambda info: info.modified.astimezone().strftime("%Y-%m-%d %H:%M"),
    "mode": lambda info: f"{info.mode:o}",
}


class Options(OnOption):
    """The options of `%devbox ls`."""

    path: str
    all: bool


def parser() -> Parser[Options]:
    """The parser of `%devbox ls`."""
    made = Parser(Options, "%devbox ls", "Show what a folder of the devbox has.")
    made.add_name("remote path", "path", metavar="PATH", nargs="?", default=".", help="the folder; home by default")
    made.add_argument("--all", "-a", action="store_true", help="also names that begin with a dot")
    add_on_option(made)
    return made.explain(
        ("the home folder", "%devbox ls"),
        ("another, with hidden names", "%devbox ls -a /etc"),
        ("in Python", "files = %devbox ls project\n[each.name for each in files if each.size > 1000]"),
        returns=(
            "A sequence of entries with `.name`, `.kind`, `.size`, `.modified` and `.mode` that shows as a table."
        ),
        mistakes=[
            "A path that is not in the devbox is named.",
            "A folder that is empty says so, and how many hidden names it has.",
        ],
    )


async def run(session: Session, options: Options) -> Listing[FileInfo]:
    """A table of the folder's entries; a file shows as itself."""
    devbox = await current_or_new_devbox(session, options.on)
    handle = await handle_of(session, devbox)
    found = await there(handle, options.path, devbox.label)
    entries = await handle.file.list(options.path) if found.kind == "directory" else [found]
    shown = [each for each in entries if options.all or not each.name.startswith(".") or each is found]
    hidden = len(entries) - len(shown)
    none = f"{options.path} is empty" + (f" but for {hidden} hidden: --all shows them." if hidden else ".")
    return Listing(shown, _COLUMNS, none=none)
