"""Input transformers for lines that IPython would misread: `%devbox create?`, `%devbox list;`, a bare `%%devbox exec`.

IPython runs every cell through lists of transformers, to which an extension may add its own.
"""

from __future__ import annotations

import re
import tokenize
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import TokenTransformBase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

_MAGICS = ("devbox", "runloop")
_CELL = re.compile(r"%%(?:devbox|runloop)(?:\s|\Z)")
_LINE = re.compile(r"%(?P<name>devbox|runloop)(?:\s+(?P<rest>.*?))?\s*(?P<end>\?{1,2}|;)?")
_HELP = " --help')"


def add(shell: InteractiveShell) -> None:
    """Install the transformers."""
    manager: Any = shell.input_transformer_manager
    manager.cleanup_transforms.append(line_of_empty_cell)
    manager.token_transformers.append(LineEnd)


def remove(shell: InteractiveShell) -> None:
    """Uninstall the transformers."""
    manager: Any = shell.input_transformer_manager
    manager.cleanup_transforms.remove(line_of_empty_cell)
    manager.token_transformers.remove(LineEnd)


def line_of_empty_cell(lines: list[str]) -> list[str]:
    """Turn a cell magic that has no body, or that asks for help, into the line magic, which says what is missing."""
    # IPython rejects a cell magic without a body itself ("cell body is empty"), before our parser could give advice.
    if not lines or not _CELL.match(lines[0]):
        return lines
    return lines if lines[1:] and _HELP not in call_of(lines[0][1:]) else [lines[0][1:]]


# Terminals ask whether a cell is complete before Enter runs it. A transformer with this mark is skipped then: otherwise
# the first line of a `%%devbox` cell would count as a complete line magic, and its body could never be typed.
vars(line_of_empty_cell)["has_side_effects"] = True


class LineEnd(TokenTransformBase):
    """Handles the end of a line that is IPython's and not the magic's: `?` asks for help, `;` hides the result."""

    priority = 4  # before IPython's own HelpEnd, whose priority is 5

    def __init__(self, start: tuple[int, int], magic_column: int, call: str) -> None:
        super().__init__(start)  # type: ignore[no-untyped-call]  # IPython's has no types
        self._magic_column = magic_column
        self._call = call

    @classmethod
    def find(cls, tokens_by_line: Sequence[Sequence[tokenize.TokenInfo]]) -> LineEnd | None:
        """Find the first such line of the cell."""
        for line in tokens_by_line:
            words = [token for token in line if token.type not in (tokenize.INDENT, tokenize.DEDENT)]
            at = _index_of_magic(words)
            if at is None:
                continue
            text = words[at].line.splitlines()[0][words[at].start[1] :]
            call = call_of(text, asked=at > 0 and words[at - 1].string == "?")
            if call:
                return cls(
                    words[0].start, words[at].start[1] if words[at - 1].string == "=" else words[0].start[1], call
                )
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Replace the line by a call of `run_line_magic`."""
        line = f"{lines[self.start_line][: self._magic_column]}{self._call}\n"
        return [*lines[: self.start_line], line, *lines[self.start_line + 1 :]]


def _index_of_magic(words: Sequence[tokenize.TokenInfo]) -> int | None:
    """Find the % of one of our magics: at the beginning of the line, or after `=` or the `?` of help."""
    for at, (sign, name) in enumerate(pairwise(words)):
        may_begin = at == 0 or words[at - 1].string == "=" or all(word.string == "?" for word in words[:at])
        if sign.string == "%" and name.string in _MAGICS and name.start == sign.end and may_begin:
            return at
    return None


def call_of(text: str, *, asked: bool = False) -> str:
    """The Python call for a line, given from its % on; empty where IPython's own is right. `asked`: `?` precedes it."""
    line = _LINE.fullmatch(text.rstrip())
    if line is None:
        return ""
    name, rest, end = line["name"], line["rest"] or "", line["end"] or ""
    if asked or end.startswith("?"):
        return _call(*_help(name, rest, end))
    return f"{_call(name, rest)};" if end and not _ends_in_command(name, rest) else ""


def _help(name: str, rest: str, end: str) -> tuple[str, str]:
    """The magic and the line that show a subcommand's help. In a command for a devbox, `?` is part of the command."""
    from ..commands import resolve
    from ..errors import UsageError

    if _ends_in_command(name, rest):  # as in `%devbox exec ls file?`
        return name, f"{rest}{end}"
    try:
        noun, verb, _ = resolve(rest, _noun(name))
    except UsageError:
        return name, rest  # running it raises the error again, with its advice
    magic, _, words = noun.typed.removeprefix("%").partition(" ")
    return magic, " ".join(filter(None, [words, verb, "--help"]))


def _ends_in_command(name: str, rest: str) -> bool:
    """True if the end of the line is part of a command for the devbox."""
    from ..commands import resolve
    from ..errors import UsageError

    try:
        noun, verb, command = resolve(rest, _noun(name))
        return bool(command) and noun.parser(verb).takes_command
    except UsageError:
        return False


def _noun(name: str) -> Any:
    from ..commands import DEVBOX

    return DEVBOX if name == "devbox" else None


def _call(name: str, line: str) -> str:
    return f"get_ipython().run_line_magic({name!r}, {line!r})"
