"""`%devbox exec` and `%%devbox exec`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..parser import Parser, add_template_option
from ..running import MISTAKES, RESULT, add_input_options, add_running_options, execute, order_of, runs

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
    return made.explain(
        ("a line", "%devbox exec uname -a"),
        (
            "a cell, with a Python value in it, its result kept in a variable",
            "%%devbox exec -o result --timeout 10m\ncd project\npytest --maxfail {{limit}}",
        ),
        ("JSON comes back as a Python value", "usage = %devbox exec --json echo '{\"used\": 3}'"),
        ("a shell whose directory and variables last", "%%devbox exec --shell work\ncd project && export MODE=test"),
        ("on many devboxes at once", "%%devbox exec --on 'web-*' --fail-fast\ngit pull --quiet && make test"),
        (
            "in the background, with a handle on it",
            "server = %devbox exec --bg python3 -m http.server 8000\nserver.kill()",
        ),
        ("with text or the value of a variable as its input", "%devbox exec --stdin 'some text' wc -w"),
        ("and answer its questions, which it asks at a terminal", "%devbox exec -i ssh-keygen -f key"),
        (
            "with a terminal: colours, widths, bars that are drawn in their place",
            "%devbox exec --tty docker compose pull",
        ),
        returns=RESULT,
        mistakes=[
            *MISTAKES,
            (
                "An expression in {{ }} that fails is named, and nothing runs; --template off sends {{ and }} "
                "as they are."
            ),
            (
                "Without --tty a command has no terminal, but knows by TERM and COLUMNS what the cell can show; so "
                "ps cuts its lines unless it is ps -ww. With it stdout and stderr are one: --err cannot be used, "
                "nor --shell, and the devbox needs a python3. Only with -i can it ask at its terminal."
            ),
            (
                "Output that is not UTF-8 shows with � for what cannot be read; output that is long shows its "
                "beginning and its end."
            ),
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> object:
    """Run the command, its output streaming into the cell. The variables get the result in any case."""
    command = args.cell or args.command
    if not command.strip():
        raise UsageError("There is no command: write it after %devbox exec, or below %%devbox exec.")
    return await execute(session, args, runs(session, order_of(session, args, command)))
