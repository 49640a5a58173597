"""`%devbox pty`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...kernel.prompts import is_live
from ...operations.lifecycle import handle_of
from ...resources.devboxes import unavailable
from ..devbox_to_use import current_or_new_devbox
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox pty`."""

    session: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox pty`."""
    made = Parser(
        Options,
        "%devbox pty",
        "Open an interactive terminal in a devbox: in the cell of a notebook, or right here in a terminal.",
        "In a terminal Ctrl-] leaves it; a named one runs on and is found again by its name.",
    )
    made.shows_output = True
    add_devbox_argument(made)
    made.add_argument("--session", metavar="NAME", help="a terminal by name, that runs on when it is left")
    return made.explain(
        ("a terminal in the current devbox", "%devbox pty"),
        ("one that runs on when it is left, and is found again", "%devbox pty web --session work"),
        returns="Nothing in a terminal; in a notebook the terminal, as a widget.",
        mistakes=[
            "Where there is neither a notebook nor a terminal, as in a script, it says so.",
        ],
    )


async def run(session: Session, options: Options) -> object:
    """Open a terminal in the devbox."""
    from IPython.core.getipython import get_ipython

    devbox = await session.find(options.devbox) if options.devbox else await current_or_new_devbox(session, None)
    error = unavailable(devbox)
    if error is not None:
        raise error
    if getattr(get_ipython(), "kernel", None) is not None:
        if not is_live():
            raise UsageError("%devbox pty cannot be used here: nobody can type. %devbox exec runs single commands.")
        from ...widgets.terminal import Terminal

        return Terminal(session, devbox, options.session)
    if sys.platform == "win32":
        raise UsageError("%devbox pty needs a notebook on Windows; in a terminal, %devbox exec runs single commands.")
    else:  # noqa: RET506 - mypy leaves out a block, but not what comes after `raise`
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("%devbox pty needs a terminal or a notebook; %devbox exec runs single commands.")
        from .posix_terminal import pass_through

        size = os.get_terminal_size()
        handle = await handle_of(session, devbox)
        async with handle.pty(options.session, cols=size.columns, rows=size.lines) as pty:
            session.say(f"Terminal on {devbox.label}; Ctrl-] leaves it.")
            await pass_through(pty)
        session.say(f"\r\nLeft the terminal on {devbox.short}.")
        return None
