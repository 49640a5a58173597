"""`%%devbox script`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..parser import Parser, add_template_option
from ..running import MISTAKES, RESULT, add_running_options, execute, order_of, runs

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%%devbox script`."""
    made = Parser(
        "%devbox script",
        "Run the cell below %%devbox script --proc PROGRAM by any interpreter: it gets the cell as its input.",
    )
    made.shows_output = made.needs_cell = True
    made.cell = "the script"
    made.add_argument("--proc", metavar="PROGRAM", help="the interpreter, with its arguments: node, 'perl -w'")
    add_running_options(made)
    add_template_option(made, "on")
    return made.explain(
        ("JavaScript", "%%devbox script --proc node\nconsole.log([1, 2, 3].map(n => n * n))"),
        ("an interpreter with arguments", "%%devbox script --proc 'perl -w'\nprint \"hello\\n\";"),
        ("its output as a Python value", "%%devbox script --proc 'python3 -' --json --out found\nprint('[1, 2]')"),
        returns=RESULT,
        mistakes=[
            "Without --proc it asks for one: the cell is its input.",
            *MISTAKES,
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> object:
    """Run the interpreter, its output streaming into the cell. The variables get the result in any case."""
    if not args.proc or not args.proc.strip():
        raise UsageError("Which program is to run the cell? Name it: %%devbox script --proc node")
    return await execute(session, args, runs(session, order_of(session, args, args.proc, stdin=args.cell)))
