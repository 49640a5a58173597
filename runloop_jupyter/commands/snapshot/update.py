"""`%runloop snapshot update`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UsageError
from ...rendering import Done
from ...resources.kind import label
from ...resources.kinds.snapshot import SNAPSHOT
from ..option_groups import MetadataOption, add_metadata_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView
    from runloop_sdk.params.disk_snapshots import DiskSnapshotUpdateParams

    from ...session import Session


class Options(MetadataOption):
    """The options of `%runloop snapshot update`."""

    snapshot: str
    name: str | None
    message: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop snapshot update`."""
    made = Parser(Options, "%runloop snapshot update", "Change a snapshot's name, message or metadata.")
    made.add_name(SNAPSHOT.name, "snapshot", metavar="NAME|ID", help="a snapshot's name or id")
    made.add_argument("--name", help="its new name")
    made.add_argument("--message", help="its new message")
    add_metadata_option(made, "its new metadata, all of it")
    return made.explain(
        ("a new name", "%runloop snapshot update ready --name tested"),
        ("a message and metadata", "%runloop snapshot update tested --message 'all tests pass' --metadata release=2"),
        returns="A sentence about what was done, with the fields of the snapshot: `.id`, `.name`.",
        mistakes=[
            "Without anything to change it says what can be.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxSnapshotView]:
    """Change the snapshot."""
    changes: DiskSnapshotUpdateParams = {}
    if options.name is not None:
        changes["name"] = options.name
    if options.message is not None:
        changes["commit_message"] = options.message
    if options.metadata:
        changes["metadata"] = dict(options.metadata)
    if not changes:
        raise UsageError("There is nothing to change: give --name, --message or --metadata.")
    sdk = await session.client.sdk()
    before = await SNAPSHOT.find(sdk, options.snapshot)
    view = await sdk.snapshot.from_id(before.id).update(**changes)
    session.names.drop(SNAPSHOT.name, before.name or before.id)
    session.names.add(SNAPSHOT.name, view.name or view.id)
    return Done(f"Changed snapshot {label(view)}.", view)
