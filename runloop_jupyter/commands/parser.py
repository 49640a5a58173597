"""Parsing of a magic's line: argparse with errors that say what to type, and no way to end the kernel."""

from __future__ import annotations

import argparse
import io
import shlex
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, NamedTuple, NoReturn, Self, TypedDict, TypeVar, Unpack

from ..errors import UsageError, did_you_mean
from ..text.templates import Evaluate, expand, fill, mark
from .invocation import Invocation, InvocationOptions

if TYPE_CHECKING:
    from ..variables import Variables

OptionsT_co = TypeVar("OptionsT_co", covariant=True)


class HelpRequested(Exception):  # noqa: N818 - not an error: `--help` was typed
    """The user asked for help; the text is what to print."""


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise HelpRequested(parser.format_help().rstrip())


class _Settings(TypedDict, total=False):
    """The settings of an argument, as argparse takes them."""

    action: str
    default: object
    help: str
    metavar: str
    nargs: str
    type: Callable[[str], object]


class Example(NamedTuple):
    """A description of what is done, and the cell that does it, as it is typed."""

    description: str
    cell: str


class Parser(argparse.ArgumentParser, Generic[OptionsT_co]):
    """Makes the `Options` of a subcommand of a line. `prog` is what is typed: "%devbox create".

    Mistakes are `UsageError`s. The arguments are the fields of the class of the options, no more and no less; that of
    an `InvocationOptions` gets the invocation, too.
    """

    takes_command = False
    """True if what follows the options is a command, which is kept as it is."""
    cell = ""
    """The name of the cell below the line, where one can be: "the command"."""
    needs_cell = False
    cell_language = ""
    """The language of the cell, by its name in JupyterLab. Empty for text of no language."""
    cell_language_argument = ""
    """The argument that says it instead, where given: an option that names a program, or one without dashes, a file."""
    keeps_line_ends = False
    """True if the ends of the cell's lines are kept as they are; else CRLF becomes LF, which all programs take."""
    shows_output = False
    """True if the subcommand shows in the cell itself what it does: no line about waiting."""
    shows_progress = False
    """True if it shows in the cell itself how far it is: no line about waiting."""
    examples: tuple[Example, ...] = ()
    returns = ""
    """The magic's value, described in a sentence or two."""
    mistakes: tuple[str, ...] = ()
    """Sentences on what can go wrong, and what happens then."""

    def __init__(self, options: type[OptionsT_co], prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.color = False  # Python 3.14 would colour the help
        self.options = options
        self.names: dict[str, str] = {}
        self.add_argument(
            "--help",
            "-h",
            action=_Help,
            nargs=0,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            help="show this help",
        )

    def add_name(self, kind: str, *names: str, **settings: Unpack[_Settings]) -> None:
        """Add an argument whose value names something, so that it can be completed: a "devbox", a "remote path"."""
        self.names[self.add_argument(*names, **settings).dest] = kind

    def explain(self, *examples: tuple[str, str], returns: str = "", mistakes: Sequence[str] = ()) -> Self:
        """Set what `--help` and the page of the subcommand say beside its options."""
        self.examples = tuple(Example(*each) for each in examples)
        self.returns = returns or self.returns
        self.mistakes = tuple(mistakes)
        return self

    @property
    def positionals(self) -> Sequence[argparse.Action]:
        """The positional arguments, in their order."""
        return [action for action in self._actions if not action.option_strings]

    @property
    def options_by_name(self) -> Mapping[str, argparse.Action]:
        """The options, under each of their names."""
        return self._option_string_actions

    @property
    def value_options(self) -> frozenset[str]:
        """The names of the options that take a value."""
        return frozenset(name for name, action in self._option_string_actions.items() if action.nargs != 0)

    def format_help(self) -> str:
        """Usage, options and examples, as `--help` prints them."""
        text = super().format_help().rstrip()
        shown = [f"  # {description}\n{textwrap.indent(cell, '  ')}" for description, cell in self.examples]
        text = "\n\n".join([text, "examples:\n" + "\n\n".join(shown)]) if shown else text
        return text.replace(f"usage: {self.prog}", f"usage: %{self.prog}", 1) if self.needs_cell else text

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` instead of ending the process."""
        raise UsageError(f"{self.prog}: {message}. {self.prog} --help explains.")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            known = tuple(map(str, action.choices))
            name = next(iter(action.option_strings), action.dest.upper())
            raise UsageError(
                f"{self.prog}: {name} is one of {', '.join(known)}, not {value!r}.{did_you_mean(str(value), known)}"
            )

    def parse(self, line: str, cell: str | None, evaluate: Evaluate, variables: Variables) -> OptionsT_co:
        """The options on `line`, with the command that follows them or the cell below it; {{expr}} is replaced.

        Raises `UsageError` for a mistake, and `HelpRequested`.
        """
        marked, expressions = mark(line)
        tokens, command = self._split(marked)
        literal = "off" in _values(tokens, "--template")

        def typed(number: int) -> str:
            return f"{{{{{expressions[number]}}}}}"

        def value(number: int) -> str:
            return typed(number) if literal else expand(typed(number), evaluate)

        namespace, rest = self.parse_known_args([fill(token, value) for token in tokens])
        if rest:
            self._refuse(rest)
        given = vars(namespace)
        text, source = fill(command, value), fill(command, typed)
        self._check_cell(cell, text)
        if cell is not None:
            source = cell if self.keeps_line_ends else cell.replace("\r\n", "\n")
            text = expand(source, evaluate) if given.get("template") == "on" else source
        if issubclass(self.options, InvocationOptions):
            given["invocation"] = Invocation(text, source, cell is not None, variables)
        return self.options(**given)

    def _split(self, line: str) -> tuple[list[str], str]:
        """The words of the line, and the command that follows them where one is taken."""
        if self.takes_command:
            return _split_command(line, self.value_options)
        return _split_words(line.rstrip().removesuffix(";")), ""

    def _check_cell(self, cell: str | None, command: str) -> None:
        """Raise `UsageError` if a cell is missing, or must not be."""
        if cell is None:
            if self.needs_cell:
                raise UsageError(f"{self.prog} needs {self.cell}: write %{self.prog} and put it below, in the cell.")
            return
        if not self.cell:
            raise UsageError(f"%{self.prog} takes no cell: write {self.prog}, or %%devbox exec to run a cell.")
        if command:
            raise UsageError(f"{command!r} follows %{self.prog}: {self.cell} belongs below it, in the cell.")

    def _refuse(self, rest: Sequence[str]) -> NoReturn:
        unknown = next((word for word in rest if word.startswith("-")), None)
        if unknown is None:
            self.error(f"{rest[0]!r} is one word too many")
        name = unknown.partition("=")[0]
        suggestion = did_you_mean(name, self._option_string_actions)
        raise UsageError(f"{self.prog} has no option {name!r}.{suggestion} {self.prog} --help lists them.")


def _split_words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line.strip()!r}: {str(error).lower()}: is a quote missing?") from error


def _split_command(line: str, value_options: frozenset[str]) -> tuple[list[str], str]:
    """The leading options, and the rest of the line untouched: it belongs to the shell in the devbox."""
    source = io.StringIO(line)
    lexer = shlex.shlex(source, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters = True, ""
    tokens: list[str] = []
    while True:
        start = source.tell()
        word = _next(lexer, line)
        if word is None or word == "--":
            return tokens, line[source.tell() :].strip()
        if not word.startswith("-"):
            return tokens, line[start:].strip()
        tokens.append(word)
        if word in value_options and (value := _next(lexer, line)) is not None:
            tokens.append(value)


def _next(lexer: shlex.shlex, line: str) -> str | None:
    try:
        return lexer.get_token()
    except ValueError as error:
        raise UsageError(f"{line.strip()!r}: {str(error).lower()}: is a quote missing?") from error


def _values(tokens: Sequence[str], option: str) -> list[str]:
    after = [value for name, value in pairwise(tokens) if name == option]
    return after + [token.partition("=")[2] for token in tokens if token.startswith(option + "=")]
