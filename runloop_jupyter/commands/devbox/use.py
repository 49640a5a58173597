"""`%devbox use`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...devboxes import unavailable
from ...rendering import Outcome
from ..parser import Parser, add_devbox_argument

if TYPE_CHECKING:
    from ...session import Session


def parser() -> Parser:
    """The options of `%devbox use`."""
    made = Parser("%devbox use", "Choose the devbox that the next cells run on.")
    add_devbox_argument(made, nargs=None)
    return made


async def run(session: Session, args: argparse.Namespace) -> Outcome:
    """Choose it; one that has ended is refused."""
    devbox = await session.find(args.devbox)
    error = unavailable(devbox)
    if error is not None and not devbox.alive:
        raise error
    session.choose(devbox)
    text = f"Using {devbox.label}, which is {devbox.status}."
    return Outcome(f"{text} Wake it: %devbox resume" if devbox.status == "suspended" else text, devbox)
