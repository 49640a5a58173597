"""`%%devbox script`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UsageError
from ..option_groups import TemplateOption, add_template_option
from ..parser import Parser
from ..run_options import CaptureOptions, add_capture_options
from ..running import MISTAKES, RESULT, CommandInput, command_spec, execute, run_maker

if TYPE_CHECKING:
    from ...session import Session


class Options(CaptureOptions, TemplateOption):
    """The options of `%%devbox script`."""

    proc: str | None


def parser() -> Parser[Options]:
    """The parser of `%%devbox script`."""
    made = Parser(
        Options,
        "%devbox script",
        "Run the cell below %%devbox script --proc PROGRAM by any interpreter: it gets the cell as its input.",
    )
    made.shows_output = made.needs_cell = True
    made.cell, made.cell_language, made.cell_language_argument = "the script", "shell", "--proc"
    made.add_argument("--proc", metavar="PROGRAM", help="the interpreter, with its arguments: node, 'perl -w'")
    add_capture_options(made)
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


async def run(session: Session, options: Options) -> object:
    """Run the interpreter, its output streaming into the cell. The variables get the result in any case."""
    if not options.proc or not options.proc.strip():
        raise UsageError("Which program is to run the cell? Name it: %%devbox script --proc node")
    spec = command_spec(session, options, options.proc, CommandInput(options.invocation.text))
    return await execute(session, options, run_maker(session, spec))
