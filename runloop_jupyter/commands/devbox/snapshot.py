"""`%devbox snapshot`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ...operations.snapshots import take_snapshot
from ...output.progress import progress
from ...rendering import Done
from ...resources.kind import label
from ...text.durations import spell_duration
from ...text.quoting import reference
from ..option_groups import MetadataOption, OnOption, add_metadata_option, add_on_option, one_name
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ...session import Session


class Options(MetadataOption, OnOption):
    """The options of `%devbox snapshot`."""

    word: str | None
    name: str | None
    message: str


def parser() -> Parser[Options]:
    """The parser of `%devbox snapshot`."""
    made = Parser(
        Options,
        "%devbox snapshot",
        "Keep the devbox's disk as it is now; the devbox runs on.",
        "%runloop snapshot restore NAME makes a new devbox of it.",
    )
    made.shows_progress = True
    made.add_argument("word", metavar="NAME", nargs="?", help="what to call the snapshot")
    made.add_argument("--name", help="the same as NAME")
    made.add_argument("--message", default="", help="what it is for")
    add_metadata_option(made)
    add_on_option(made)
    return made.explain(
        ("of the current devbox", "%devbox snapshot ready"),
        ("of another, with a message", "%devbox snapshot ready --on web --message 'after the setup'"),
        returns=("A sentence about what was done, with the fields of the snapshot: `.id`, `.name`, `.create_time_ms`."),
        mistakes=[
            "A snapshot that fails raises an error with the service's reason.",
            "Stop in the middle deletes what there is of it; the devbox runs on.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxSnapshotView]:
    """Take the snapshot, and wait until it is complete."""
    name = one_name("%devbox snapshot", options.word, options.name)
    devbox = await session.find(options.on)
    started = time.monotonic()
    async with progress(f"taking a snapshot of {devbox.short}"):
        view = await take_snapshot(session, devbox, name=name, message=options.message, metadata=dict(options.metadata))
    took = spell_duration(time.monotonic() - started)
    use = f"%runloop snapshot restore {reference(view.name or '', view.id)}"
    text = f"Took snapshot {label(view)} of {devbox.short} in {took}. Use it: {use}"
    return Done(text, view)
