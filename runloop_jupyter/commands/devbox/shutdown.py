"""`%devbox shutdown`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...kernel.prompts import confirm
from ...operations.lifecycle import shut_down_all
from ...rendering import Done, Listing, devbox_listing
from ...resources.devboxes import live
from ...resources.kinds.devbox import DEVBOX
from ..matching import is_pattern, matching
from ..option_groups import YesOption, add_yes_option
from ..parser import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(YesOption):
    """The options of `%devbox shutdown`."""

    devboxes: Sequence[str]
    mine: bool
    all: bool
    force: bool


def parser() -> Parser[Options]:
    """The parser of `%devbox shutdown`."""
    made = Parser(
        Options, "%devbox shutdown", "End devboxes for good, disk included: the current one unless others are named."
    )
    made.add_name("devbox", "devboxes", metavar="NAME|ID", nargs="*", help="a devbox's name or id, or its beginning")
    made.add_argument("--mine", action="store_true", help="all that this kernel created, also with --keep")
    made.add_argument("--all", action="store_true", help="all that there are, whoever created them; asks first")
    made.add_argument("--force", action="store_true", help="also while a snapshot is being taken")
    add_yes_option(made)
    return made.explain(
        ("the current devbox", "%devbox shutdown"),
        ("several", "%devbox shutdown web-1 web-2"),
        ("all whose names begin so, without the question", "%devbox shutdown 'web-*' --yes"),
        ("all that this kernel created", "%devbox shutdown --mine"),
        ("all that there are, without the question", "%devbox shutdown --all --yes"),
        returns="The devbox as a sentence with its fields, or the table of those that were shut down.",
        mistakes=[
            "All names are looked up first, so that a mistyped one ends none.",
            "--all and patterns such as 'web-*' show them and ask; where nobody can answer they need --yes.",
            "While a snapshot is being taken the service refuses; --force does it all the same.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo] | Listing[DevboxInfo]:
    """Shut the devboxes down. All names are looked up first, so that a mistyped one ends none."""
    selected = await _selected(session, options)
    asks = (options.all or any(map(is_pattern, options.devboxes))) and not options.yes
    if selected and asks and not await confirm_shutdown(session, await session.ownerships.described(selected)):
        return devbox_listing((), none="Nothing was shut down.")
    ended = await shut_down_all(session, selected, force=options.force)
    if len(ended) == 1 and not (options.mine or options.all):
        return Done(f"Shut down {ended[0].label}.", ended[0])
    return devbox_listing(ended, none="There are no devboxes to shut down.")


async def _selected(session: Session, options: Options) -> Sequence[DevboxInfo]:
    if bool(options.devboxes) + options.mine + options.all > 1:
        raise UsageError("%devbox shutdown takes names, --mine or --all, one of them.")
    if not (options.mine or options.all):
        if not options.devboxes:
            return [await session.find(None)]
        return await matching(session, options.devboxes, running=False)
    known = await live(await session.client.sdk())
    return [devbox for devbox in known if options.all or devbox.id in session.owned]


async def confirm_shutdown(session: Session, devboxes: Sequence[DevboxInfo]) -> bool:
    """Show the devboxes and ask; True if they are to be shut down."""
    session.say(repr(devbox_listing(devboxes, current=session.current.id if session.current else None)))
    return await confirm(
        f"Shut down {DEVBOX.counted(len(devboxes))} for good?", instead="Add --yes to do it without a question."
    )
