"""The first words of a magic's line: a kind of resource, and its subcommands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ..session import Session
    from .parser import Parser


OptionsT = TypeVar("OptionsT")


class Command(Protocol[OptionsT]):
    """The module of a subcommand. Its `Options` are a frozen dataclass with a field for each argument."""

    def parser(self) -> Parser[OptionsT]:
        """The parser that makes the options of a line."""
        ...

    async def run(self, session: Session, options: OptionsT) -> object:
        """Do it; the result is what the magic returns."""
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

    def load(self, verb: str) -> Command[object]:
        """The subcommand of this name. Raises `UsageError` that suggests the nearest one."""
        if verb not in self.verbs:
            suggestion = did_you_mean(verb, self.verbs)
            raise UsageError(f"{self.typed} has no subcommand {verb!r}.{suggestion} {self.typed} --help lists them.")
        return cast("Command[object]", import_module(f"{self.folder}.{verb.replace('-', '_')}"))

    def verb_is_missing(self) -> UsageError:
        """The error about a cell without a subcommand that says what to do with it."""
        known = " or ".join(f"%{self.typed} {verb}" for verb in self.cells) or "%%devbox exec"
        return UsageError(
            f"%{self.typed} does not say what to do with the cell, and nothing was run: write {known}. "
            f"{self.typed} --help explains them."
        )

    def usage(self) -> str:
        """The text of `--help` in place of a subcommand."""
        width = max(map(len, self.verbs))
        lines = [f"  {self.typed} {verb:<{width}}  {summary}" for verb, summary in self.verbs.items()]
        explains = f"{self.typed} VERB --help explains one of them."
        return "\n".join([f"usage: {self.typed} VERB [options]", "", *lines, "", explains])
