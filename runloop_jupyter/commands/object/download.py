"""`%runloop object download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...operations.transfers import download_object, place
from ...output.progress import progress
from ...rendering import Done
from ...resources.kind import label
from ...resources.kinds.storage_object import OBJECT
from ...text.quoting import printable
from ...text.sizes import spell_size
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop object download`."""

    name: str
    path: str


def parser() -> Parser[Options]:
    """The parser of `%runloop object download`."""
    made = Parser(Options, "%runloop object download", "Download a storage object into a file.")
    made.shows_progress = True
    made.add_name(OBJECT.name, "name", metavar="NAME|ID", help="an object's name or id")
    made.add_name("local path", "path", metavar="PATH", nargs="?", default=".", help="the file, or the folder for it")
    return made.explain(
        ("into the folder of the notebook", "%runloop object download data.csv"),
        ("into a file of another name", "%runloop object download data.csv copy.csv"),
        returns="A sentence; its `.item` is the `Path`.",
        mistakes=[
            "A folder here that is missing is named.",
            "Stop in the middle leaves what was here before.",
        ],
    )


async def run(session: Session, options: Options) -> Done[Path]:
    """Download the object; the local path is `.item`."""
    sdk = await session.client.sdk()
    view = await OBJECT.find(sdk, options.name)
    async with progress(f"downloading {printable(view.name)}") as made:
        target = await download_object(sdk, view, place(options.path), made)
    return Done(f"Downloaded {label(view)} into {target}, {spell_size(target.stat().st_size)}.", target)
