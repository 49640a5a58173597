"""One file per subcommand: its `parser()` and its `run()`. They are imported when first used."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ..session import Session
    from .parser import Parser

VERBS = {
    "create": "create a devbox and make it the current one",
    "use": "choose the devbox that the next cells run on",
    "list": "show the devboxes",
    "info": "show one devbox in detail",
    "exec": "run a shell command; %%devbox exec runs the whole cell",
    "suspend": "end a devbox's processes and keep its disk",
    "resume": "start a suspended devbox again",
    "shutdown": "end devboxes for good",
}


class Command(Protocol):
    """What each module of this package is."""

    def parser(self) -> Parser:
        """The options that the subcommand takes."""
        ...

    async def run(self, session: Session, args: argparse.Namespace) -> object:
        """Do it; the result is what the magic returns."""
        ...


def load(verb: str) -> Command:
    """The subcommand of %devbox with this name. Raises `UsageError` that suggests the nearest one."""
    if verb not in VERBS:
        raise UsageError(f"%devbox has no subcommand {verb!r}.{did_you_mean(verb, VERBS)} %devbox --help lists them.")
    return cast("Command", import_module(f".{verb}", __name__))


def usage() -> str:
    """What `%devbox --help` prints."""
    width = max(map(len, VERBS))
    lines = [f"  %devbox {verb:<{width}}  {summary}" for verb, summary in VERBS.items()]
    return "\n".join(["usage: %devbox VERB [options]", "", *lines, "", "%devbox VERB --help explains one of them."])
