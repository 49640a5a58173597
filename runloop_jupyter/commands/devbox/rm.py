"""`%devbox rm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...operations.lifecycle import handle_of
from ...operations.transfers import there
from ...rendering import Done
from ...text.quoting import as_word
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(OnOption):
    """The options of `%devbox rm`."""

    paths: Sequence[str]
    recursive: bool


def parser() -> Parser[Options]:
    """The parser of `%devbox rm`."""
    made = Parser(Options, "%devbox rm", "Remove files of the devbox.")
    made.add_name("remote path", "paths", metavar="PATH", nargs="+", help="a file, or an empty folder")
    made.add_argument("--recursive", "-r", action="store_true", help="also folders, with all that they have")
    add_on_option(made)
    return made.explain(
        ("files", "%devbox rm a.txt b.txt"),
        ("a folder with all that it has", "%devbox rm -r build"),
        returns="A sentence; its `.item` has the paths.",
        mistakes=[
            "All paths are looked up first, so that a mistyped one removes none.",
            "A folder that is not empty needs -r.",
        ],
    )


async def run(session: Session, options: Options) -> Done[list[str]]:
    """Remove the files. All paths are looked up first, so that a mistyped one removes none."""
    from runloop_sdk import CommandError

    devbox = await current_or_new_devbox(session, options.on)
    handle = await handle_of(session, devbox)
    found = [(path, await there(handle, path, devbox.label, follow=False)) for path in options.paths]
    for path, info in found:
        try:
            await handle.file.remove(path, recursive=options.recursive)
        except CommandError as error:
            if info.kind == "directory" and not options.recursive:
                raise UsageError(f"{path!r} is a folder that is not empty: %devbox rm -r {as_word(path)}") from error
            raise
    return Done(f"Removed {', '.join(options.paths)} on {devbox.short}.", list(options.paths))
