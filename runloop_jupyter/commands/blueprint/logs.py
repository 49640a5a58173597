"""`%runloop blueprint logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...operations.builds import follow
from ...output.progress import elapsed_status
from ...resources.kinds.blueprint import BLUEPRINT
from ...text.quoting import printable
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop blueprint logs`."""

    name: str
    follow: bool


def parser() -> Parser[Options]:
    """The parser of `%runloop blueprint logs`."""
    made = Parser(Options, "%runloop blueprint logs", "Show what the latest build of a name printed.")
    made.shows_output = True
    made.add_name(BLUEPRINT.name, "name", metavar="NAME|ID", help="a blueprint's name or id")
    made.add_argument("--follow", "-f", action="store_true", help="go on until the build has ended; Stop stops looking")
    return made.explain(
        ("of the latest build of a name", "%runloop blueprint logs science"),
        ("of one that is being built, until it has ended", "%runloop blueprint logs -f science"),
        returns="Nothing: it prints.",
        mistakes=[
            "With -f, Stop ends the looking; the build goes on.",
        ],
    )


async def run(session: Session, options: Options) -> None:
    """Print the log of the build."""
    from ...output.cell_output import CellOutput

    sdk = await session.client.sdk()
    view = await BLUEPRINT.find(sdk, options.name)
    blueprint = sdk.blueprint.from_id(view.id)
    async with CellOutput() as output:
        output.status(elapsed_status(f"building {printable(view.name)} {{}} — Stop stops looking"))
        if options.follow:
            async for line in follow(blueprint):
                output.write("stderr" if line.level == "error" else "stdout", line.message + "\n")
            return
        for line in (await blueprint.logs()).logs:
            output.write("stderr" if line.level == "error" else "stdout", line.message + "\n")
