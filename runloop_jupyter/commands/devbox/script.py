"""`%%devbox script`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..parser import Parser, add_template_option
from ..running import add_running_options, execute, order_of, runs

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%%devbox script`."""
    made = Parser(
        "%devbox script",
        "Run the cell below %%devbox script --proc PROGRAM by any interpreter: it gets the cell as its input.",
        "%%devbox script --proc node\n%%devbox script --proc 'perl -w'\n%%devbox script --proc 'psql -d shop' --json",
    )
    made.shows_output = made.needs_cell = True
    made.cell = "the script"
    made.add_argument("--proc", metavar="PROGRAM", help="the interpreter, with its arguments: node, 'perl -w'")
    add_running_options(made)
    add_template_option(made, "on")
    return made


async def run(session: Session, args: argparse.Namespace) -> object:
    """Run the interpreter, its output streaming into the cell. The variables get the result in any case."""
    if not args.proc or not args.proc.strip():
        raise UsageError("Which program is to run the cell? Name it: %%devbox script --proc node")
    return await execute(session, args, runs(session, order_of(args, args.proc, stdin=args.cell)))
