"""`%runloop panel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...rendering import Listing
    from ...resource_panel.panel import Panel
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop panel`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop panel`."""
    return Parser(
        Options,
        "%runloop panel",
        "Open the resource panel: devboxes, blueprints, snapshots and storage objects, live.",
        "It stays alive while cells run. Closing its output ends it; `runloop_jupyter.panel()` opens it from Python.",
    ).explain(
        ("open it", "%runloop panel"),
        returns="The panel, a widget that the notebook shows.",
        mistakes=[
            "In a terminal it shows as text.",
            "On ipykernel 6 clicks wait until the running cell has ended; the panel says so.",
        ],
    )


async def run(session: Session, options: Options) -> Panel | Listing[DevboxInfo]:
    """The panel, which the notebook shows as the cell's result."""
    from ...resource_panel import connected_panel

    return await connected_panel(session)
