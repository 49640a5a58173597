"""The first words of a magic's line: a kind of resource, and its subcommands."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ..session import Session
    from .parser import Parser


OptionsT = TypeVar("OptionsT")

_SAME_MEANING = (
    ("create", "set", "build", "upload", "new", "make", "add", "start", "launch"),
    ("shutdown", "delete", "remove", "rm", "stop", "end", "terminate", "destroy", "kill"),
    ("exec", "run", "bash", "sh", "command"),
    ("pty", "terminal", "shell", "console", "tty"),
    ("list", "ls", "ps", "all"),
    ("info", "show", "get", "describe", "inspect", "status", "details"),
    ("pull", "download", "fetch", "get"),
    ("push", "upload", "copy", "cp", "put"),
    ("suspend", "pause", "sleep", "hibernate"),
    ("resume", "wake", "unpause", "continue"),
    ("prune", "clean", "gc"),
)
"""What other tools call a subcommand, after what ours are called."""


class Command(Protocol[OptionsT]):
    """The module of a subcommand. Its `Options` are an `OptionGroup` with a field for each argument."""

    def parser(self) -> Parser[OptionsT]:
        """The parser that makes the options of a line."""
        ...

    async def run(self, session: Session, options: OptionsT) -> object:
        """Do it; the result is what the magic returns."""
        ...


class Noun(NamedTuple):
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
        return _command(self._module(verb))

    def parser(self, verb: str) -> Parser[object]:
        """Its parser, which is made once: to make it takes as long as to parse a line."""
        return _parser(self._module(verb))

    def _module(self, verb: str) -> str:
        if verb not in self.verbs:
            usual = usual_verb(verb, self.verbs)
            suggestion = f" Did you mean {usual!r}?" if usual else did_you_mean(verb, self.verbs)
            raise UsageError(f"{self.typed} has no subcommand {verb!r}.{suggestion} {self.typed} --help lists them.")
        return f"{self.folder}.{verb.replace('-', '_')}"

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


def _command(module: str) -> Command[object]:
    return cast("Command[object]", import_module(module))


@cache
def _parser(module: str) -> Parser[object]:
    return _command(module).parser()


def usual_verb(word: str, verbs: Container[str]) -> str:
    """What a subcommand that other tools call `word` is called among these; empty if there is none."""
    alike = (name for names in _SAME_MEANING if word in names for name in names if name in verbs)
    return next(alike, "")
