"""`%devbox attach`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...executions.reattach import find_execution
from ...output.progress import waiting
from ..option_groups import OnOption, add_on_option
from ..parser import Parser
from ..run_options import FollowOptions, add_background_option, add_display_options, add_result_option
from ..running import in_background, watch

if TYPE_CHECKING:
    from ...session import Session


class Options(FollowOptions, OnOption):
    """The options of `%devbox attach`."""

    execution: str


def parser() -> Parser[Options]:
    """The parser of `%devbox attach`."""
    made = Parser(
        Options,
        "%devbox attach",
        "Stream the output of a command that runs, from its beginning, until it ends.",
        "Stop ends the watching and leaves the command alone; %devbox kill ID ends it. --bg gives a handle on it.",
    )
    made.shows_output = True
    made.add_name("execution", "execution", metavar="ID", help="an execution's id, or its beginning")
    add_on_option(made, "the devbox it runs on, if no kernel of yours started it")
    add_result_option(made)
    add_background_option(made)
    add_display_options(made)
    return made.explain(
        ("by the beginning of its id, which %runloop executions shows", "%devbox attach exec_3f"),
        ("a handle on it, also after a restart of the kernel", "job = %devbox attach exec_3f --bg\njob.wait()"),
        returns="The result once it has ended, or with --bg a handle with .wait(), .kill() and `.output`.",
        mistakes=[
            "Stop ends the watching; the command runs on.",
            (
                "An id of none that runs is named, and how to see those that do; of a command that another "
                "machine started, give the whole id and --on NAME."
            ),
            (
                "A cell of %%devbox python shows what it shows in its own cell, where a kernel of yours started it; of "
                "others the lines that carry its displays show as well."
            ),
            ("A command that failed fails the cell, as it would have in its own; --no-raise-error lets it succeed."),
        ],
    )


async def run(session: Session, options: Options) -> object:
    """Wait for the command's result, or with --bg return a handle on it."""
    async with waiting("looking for the execution"):
        found = await find_execution(session, options.execution, options.on)
    return in_background(session, found, options) if options.bg else await watch(session, found, options)
