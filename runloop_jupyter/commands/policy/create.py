"""`%runloop policy create`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...operations.policies import create_policy
from ...rendering import Done
from ...resources.kind import label
from ...resources.kinds.network_policy import allowed
from ...text.quoting import reference
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView

    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop policy create`."""

    name: str
    description: str | None
    hosts: Sequence[str]
    ranges: Sequence[str]
    allow_all: bool
    allow_devboxes: bool
    allow_mirrors: bool


def parser() -> Parser[Options]:
    """The parser of `%runloop policy create`."""
    made = Parser(
        Options,
        "%runloop policy create",
        "Make a network policy: what it does not allow, devboxes cannot connect to.",
        "%devbox create --policy NAME puts a devbox under it.",
    )
    made.add_argument("name", metavar="NAME", help="what to call it")
    made.add_argument("--description", help="what it is for")
    made.add_argument(
        "--host", metavar="NAME", action="append", default=[], dest="hosts", help="allow this host, like *.example.com"
    )
    made.add_argument(
        "--cidr", metavar="RANGE", action="append", default=[], dest="ranges", help="allow addresses, like 10.0.0.0/8"
    )
    made.add_argument("--allow-all", action="store_true", help="allow everything")
    made.add_argument("--allow-devboxes", action="store_true", help="allow other devboxes")
    made.add_argument("--allow-mirrors", action="store_true", help="allow Runloop's package mirrors")
    return made.explain(
        ("only these hosts", "%runloop policy create only-github --host github.com --host '*.githubusercontent.com'"),
        ("nothing at all", "%runloop policy create offline --description 'no network'"),
        ("then a devbox under it", "%devbox create --policy only-github"),
        returns="A sentence about what was done, with the fields of the policy: `.id`, `.name`, `.egress`.",
        mistakes=[
            "A host or a range that the service does not take is refused with its reason.",
        ],
    )


async def run(session: Session, options: Options) -> Done[NetworkPolicyView]:
    """Create the network policy."""
    view = await create_policy(
        session,
        name=options.name,
        description=options.description,
        allowed_hostnames=options.hosts,
        allowed_cidrs=[{"cidr": each} for each in options.ranges],
        allow_all=options.allow_all,
        allow_devbox_to_devbox=options.allow_devboxes,
        allow_runloop_mirrors=options.allow_mirrors,
    )
    use = f"Use it: %devbox create --policy {reference(view.name, view.id)}"
    return Done(f"Made network policy {label(view)}: it allows {allowed(view.egress.model_dump())}. {use}", view)
