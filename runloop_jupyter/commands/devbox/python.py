"""`%%devbox python`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..argument_types import variable
from ..option_groups import TemplateOption, add_template_option
from ..parser import Parser
from ..run_options import InputOptions, add_input_options, add_result_option, add_run_options
from ..running import command_input, command_spec, execute

if TYPE_CHECKING:
    from ...executions.python import PythonCell
    from ...executions.run import CommandRun
    from ...output.transcript import Transcript
    from ...resources.devboxes import DevboxInfo
    from ...results import DevboxResult, FanOutResult
    from ...session import Session

_SESSION = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Options(InputOptions, TemplateOption):
    """The options of `%%devbox python`."""

    sent: Sequence[str]
    wanted: Sequence[str]
    session: str
    restart: bool
    python: str


def parser() -> Parser[Options]:
    """The parser of `%%devbox python`."""
    made = Parser(
        Options,
        "%devbox python",
        "Run the cell below %%devbox python in the devbox's Python. Variables last from cell to cell.",
        "Tables, pictures and the last value show as in a notebook. Stop interrupts the cell and keeps the variables.\n"
        "await works at the top, and tasks go on from cell to cell in the one event loop of the session, in which\n"
        "asyncio.run cannot be used. Where the devbox's Python has IPython, it runs the cells, with all its magics;\n"
        "elsewhere !command, %pip and %matplotlib work. Figures of matplotlib, plotly, bokeh and altair show.\n"
        "Values arrive as they left, or are refused by name before anything is sent. Plain values (numbers, text,\n"
        "dates, containers), numpy arrays, pandas and polars frames and Arrow tables go both ways. --in also sends\n"
        "whatever can be pickled; --out does not: what a devbox sends is never unpickled here, and scripts in its\n"
        "HTML do not run in your page.",
    )
    made.shows_output = made.needs_cell = True
    made.cell, made.cell_language = "the code", "ipython"
    _add_variables(made, "--in", "sent", "variables to send to the devbox")
    _add_variables(made, "--out", "wanted", "variables to bring back")
    add_result_option(made)
    made.add_argument("--session", metavar="NAME", default="main", help="which of the devbox's Pythons (default main)")
    made.add_argument("--restart", action="store_true", help="end the session first: variables are gone")
    made.add_argument("--python", metavar="PROGRAM", default="python3", help="the interpreter, 3.8 or newer")
    add_run_options(made)
    add_input_options(made)
    add_template_option(made, "off")
    return made.explain(
        ("variables last from cell to cell", "%%devbox python\nimport platform\nsystem = platform.platform()"),
        ("send a value, bring one back", "%%devbox python --in numbers --out total\ntotal = sum(numbers)"),
        (
            "a new interpreter of one's own",
            "%%devbox python --session tests --python ~/venv/bin/python --restart\nimport sys; sys.version",
        ),
        (
            "on all devboxes: seen gets a value of each, by name",
            "%%devbox python --on all --out seen\nimport os; seen = os.cpu_count()",
        ),
        returns=(
            "Nothing: the last expression, tables and figures show as in a notebook. --out NAME sets "
            "variables, -o NAME keeps the result, whose `.values` has them too. With --bg it is a handle."
        ),
        mistakes=[
            "An exception fails the cell with its traceback, which names the cell's own lines.",
            (
                "--in of a value that cannot be pickled, or --out of one that would have to be (a subclass of an "
                "array, an object of one's own), names it and says what to send instead."
            ),
            "Stop interrupts the code and keeps the variables; --restart begins anew.",
            ("A Python that is missing in the devbox, or older than 3.8, is named: choose another with --python."),
        ],
    )


def _add_variables(made: Parser[Options], option: str, dest: str, description: str) -> None:
    made.add_argument(
        option,
        dest=dest,
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        type=variable,
        help=description,
    )


async def run(session: Session, options: Options) -> object:
    """Run the code, its output streaming into the cell. The variables get what --out names."""
    from ...executions.python import PythonCellRun

    cell = _cell(options)
    spec = command_spec(session, options, "", command_input(options))

    def make(devbox: DevboxInfo, transcript: Transcript) -> CommandRun:
        return PythonCellRun(session, devbox, spec, cell, transcript)

    def keep(result: DevboxResult | FanOutResult) -> None:
        for name in cell.out:
            found = _value(result, name)
            if found:
                options.invocation.variables[name] = found[0]

    return await execute(session, options, make, keep=keep)


def _cell(options: Options) -> PythonCell:
    from shlex import quote

    from ...executions.python import PythonCell

    if not options.invocation.text.strip():
        raise UsageError("There is no code: write it below %%devbox python.")
    if not _SESSION.fullmatch(options.session):
        raise UsageError(f"{options.session!r} cannot name a session: use up to 64 letters, digits, _ . or -")
    return PythonCell(
        options.invocation.text,
        offset=1,  # the line with the magic is the cell's first
        session=options.session,
        interpreter=quote(options.python),
        values={name: options.invocation.variables[name] for name in options.sent},
        out=tuple(options.wanted),
        restart=options.restart,
    )


def _value(result: DevboxResult | FanOutResult, name: str) -> list[object]:
    """The value of a variable in a list, by devbox where there were several; an empty list if it did not come back."""
    from ...results import FanOutResult, PythonResult

    if isinstance(result, PythonResult):
        return [result.values[name]] if name in result.values else []
    assert isinstance(result, FanOutResult)
    pythons = {box: each for box, each in result.items() if isinstance(each, PythonResult)}
    return [{box: each.values[name] for box, each in pythons.items() if name in each.values}]
