"""`%runloop config`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ...rendering import Listing
from ...settings import Settings, format_setting
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session

_COLUMNS = {
    "setting": lambda row: row[0],
    "value": lambda row: row[1],
    "what it is": lambda row: row[2],
}


class Options(OptionGroup):
    """The options of `%runloop config`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop config`."""
    return Parser(
        Options,
        "%runloop config",
        "Show what can be set for this notebook, and how it is set.",
        "Change one: %config RunloopMagics.keep_alive = '2h'. For all notebooks: c.RunloopMagics.keep_alive = '2h'\n"
        "in ipython_config.py, which `ipython profile create` makes.",
    ).explain(
        ("what is set", "%runloop config"),
        ("set one, for this notebook", "%config RunloopMagics.keep_alive = '2h'"),
        returns="A table of settings with their values and what they are.",
        mistakes=[
            "A value that does not fit is refused, and the old one stays.",
            (
                "One that does not fit in ipython_config.py is left out with a sentence: the default counts, and all "
                "else works."
            ),
        ],
    )


async def run(session: Session, options: Options) -> Listing[tuple[str, str, str]]:
    """A table of the settings."""
    settings = session.settings
    shown = [each for each in dataclasses.fields(Settings) if each.metadata]
    rows = [(each.name, format_setting(settings, each.name), each.metadata["help"]) for each in shown]
    note = "\n".join([*settings.refused, "Change one: %config RunloopMagics.NAME = VALUE"])
    return Listing(rows, _COLUMNS, none="", note=note)
