"""`%runloop object upload`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ...operations.transfers import here, local_name, upload_object
from ...output.progress import progress
from ...rendering import Done
from ...resources.kind import label
from ...text.sizes import spell_size
from ..argument_types import duration
from ..option_groups import MetadataOption, add_metadata_option
from ..parser import Parser
from .list import TYPES

if TYPE_CHECKING:
    from runloop_sdk.models.objects import ObjectView
    from runloop_sdk.params.objects import ObjectContentType

    from ...session import Session


class Options(MetadataOption):
    """The options of `%runloop object upload`."""

    path: str
    name: str | None
    type: ObjectContentType | None
    ttl: float | None


def parser() -> Parser[Options]:
    """The parser of `%runloop object upload`."""
    made = Parser(
        Options,
        "%runloop object upload",
        "Upload a file, or a folder as a .tar.gz without what its .gitignore names.",
        "%devbox create --mount NAME:PATH puts it into a devbox; archives are extracted there.",
    )
    made.shows_progress = True
    made.add_name("local path", "path", metavar="PATH", help="the file or folder")
    made.add_argument("--name", help="what to call it; its own name by default")
    made.add_argument("--type", choices=TYPES, metavar="TYPE", help="what it is: " + ", ".join(TYPES))
    made.add_argument("--ttl", metavar="DURATION", type=duration, help="delete it after so long: 30m, 2h, 7d")
    add_metadata_option(made)
    return made.explain(
        ("a file", "%runloop object upload data.csv"),
        (
            "a folder, as an archive that is deleted after a week",
            "%runloop object upload project --name project.tar.gz --ttl 7d",
        ),
        returns="A sentence about what was done, with the fields of the object: `.id`, `.name`, `.size_bytes`.",
        mistakes=[
            "A file or folder that is not here is named, with the nearest name.",
            "Stop in the middle deletes what there is of the object.",
        ],
    )


async def run(session: Session, options: Options) -> Done[ObjectView]:
    """Upload the file or folder as an object."""
    path = here(options.path)
    name = options.name or local_name(path) + (".tar.gz" if path.is_dir() else "")
    ttl = timedelta(seconds=options.ttl) if options.ttl else None
    async with progress(f"uploading {options.path}") as made:
        view = await upload_object(
            await session.client.sdk(),
            path,
            name,
            content_type=options.type,
            metadata=dict(options.metadata),
            ttl=ttl,
            progress=made,
        )
    session.names.add("object", view.name)
    return Done(f"Uploaded {label(view)}, {spell_size(view.size_bytes or made.total or 0)}.", view)
