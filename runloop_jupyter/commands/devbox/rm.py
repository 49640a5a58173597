"""`%devbox rm`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...operations.actions import handle_of
from ...operations.transfers import there
from ...rendering import Done
from ...text.quoting import as_word
from ..parser import Parser, add_on_option

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox rm`."""
    made = Parser("%devbox rm", "Remove files of the devbox.")
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


async def run(session: Session, args: argparse.Namespace) -> Done[list[str]]:
    """Remove them. All are looked up first, so that a mistyped name removes none."""
    from runloop_sdk import CommandError

    devbox = await session.target(args.on)
    handle = await handle_of(session, devbox)
    found = [(path, await there(handle, path, devbox.label)) for path in args.paths]
    for path, info in found:
        try:
            await handle.file.remove(path, recursive=args.recursive)
        except CommandError as error:
            if info.kind == "directory" and not args.recursive:
                raise UsageError(f"{path!r} is a folder that is not empty: %devbox rm -r {as_word(path)}") from error
            raise
    return Done(f"Removed {', '.join(args.paths)} on {devbox.short}.", args.paths)
