"""`%devbox exec` and `%%devbox exec`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..parser import Parser, add_template_option
from ..running import add_input_options, add_running_options, execute, order_of, runs

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox exec`."""
    made = Parser(
        "%devbox exec",
        "Run a shell command in the current devbox; %%devbox exec runs the whole cell.",
        "Stop kills the command with all that it started. {{expr}} is replaced by the value of a Python expression.\n"
        "An exit code other than 0 fails the cell.",
    )
    made.takes_command = made.shows_output = True
    made.cell = "the command"
    made.usage = "%%devbox exec [options] COMMAND\n       %%%%devbox exec [options]"  # argparse halves them
    add_running_options(made)
    add_input_options(made)
    made.add_argument("--shell", metavar="NAME", help="a named shell: directory and variables last from cell to cell")
    add_template_option(made, "on")
    return made


async def run(session: Session, args: argparse.Namespace) -> object:
    """Run the command, its output streaming into the cell. The variables get the result in any case."""
    command = args.cell or args.command
    if not command.strip():
        raise UsageError("There is no command: write it after %devbox exec, or below %%devbox exec.")
    return await execute(session, args, runs(session, order_of(args, command)))
