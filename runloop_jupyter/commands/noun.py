"""What a magic's first words can be."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ..session import Session
    from .parser import Parser


class Command(Protocol):
    """What the module of each subcommand is."""

    def parser(self) -> Parser:
        """The options that the subcommand takes."""
        ...

    async def run(self, session: Session, args: argparse.Namespace) -> object:
        """Do it; the result is what the magic returns. `args` also has `.cell` and `.variables`."""
        ...


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of resource, or `%runloop` itself: how it is typed, and its subcommands with what each does.

    The module of a subcommand is in the package `folder`: `keep_alive.py` is `keep-alive`. `cells` are those that can
    have a cell below them.
    """

    typed: str
    folder: str
    summary: str
    verbs: Mapping[str, str]
    cells: Sequence[str] = ()

    def load(self, verb: str) -> Command:
        """The subcommand of this name. Raises `UsageError` that suggests the nearest one."""
        if verb not in self.verbs:
            suggestion = did_you_mean(verb, self.verbs)
            raise UsageError(f"{self.typed} has no subcommand {verb!r}.{suggestion} {self.typed} --help lists them.")
        return cast("Command", import_module(f"{self.folder}.{verb.replace('-', '_')}"))

    def verb_is_missing(self) -> UsageError:
        """The error about a cell of which nothing says what to do with it."""
        known = " or ".join(f"%{self.typed} {verb}" for verb in self.cells) or "%%devbox exec"
        return UsageError(
            f"%{self.typed} does not say what to do with the cell, and nothing was run: write {known}. "
            f"{self.typed} --help explains them."
        )

    def usage(self) -> str:
        """What `--help` prints in place of a subcommand."""
        width = max(map(len, self.verbs))
        lines = [f"  {self.typed} {verb:<{width}}  {summary}" for verb, summary in self.verbs.items()]
        explains = f"{self.typed} VERB --help explains one of them."
        return "\n".join([f"usage: {self.typed} VERB [options]", "", *lines, "", explains])
