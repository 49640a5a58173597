"""`%devbox exec` and `%%devbox exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UsageError
from ..option_groups import TemplateOption, add_template_option
from ..parser import Parser
from ..run_options import CaptureOptions, InputOptions, add_capture_options, add_input_options
from ..running import MISTAKES, RESULT, command_input, command_spec, execute, run_maker

if TYPE_CHECKING:
    from ...session import Session


class Options(CaptureOptions, InputOptions, TemplateOption):
    """The options of `%devbox exec`."""

    shell: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox exec`."""
    made = Parser(
        Options,
        "%devbox exec",
        "Run a shell command in the current devbox; %%devbox exec runs the whole cell.",
        "Stop kills the command with all that it started. {{expr}} is replaced by the value of a Python expression.\n"
        "An exit code other than 0 fails the cell.",
    )
    made.takes_command = made.shows_output = True
    made.cell, made.cell_language = "the command", "shell"
    made.usage = "%%devbox exec [options] COMMAND\n       %%%%devbox exec [options]"  # argparse halves them
    add_capture_options(made)
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


async def run(session: Session, options: Options) -> object:
    """Run the command, its output streaming into the cell. The variables get the result in any case."""
    command = options.invocation.text
    if not command.strip():
        raise UsageError("There is no command: write it after %devbox exec, or below %%devbox exec.")
    spec = command_spec(session, options, command, command_input(options), shell=options.shell)
    return await execute(session, options, run_maker(session, spec))
