"""Parses Dockerfiles to instructions, without I/O.

It handles line continuations, comments, the escape directive, flags and heredocs; `expansion` handles words and
variables. Errors name the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from ..errors import InvalidError
from .expansion import split_words

KEYWORDS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_FLAGGED = frozenset({"ADD", "COPY", "FROM", "HEALTHCHECK", "RUN"})
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][\w.-]*)\s*=\s*(.+?)\s*")
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=((?:[^\s'\"\\]|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\")*))?(?:\s+|$)", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)", re.DOTALL)
_REPEATED = frozenset({"exclude", "mount"})
"""Flags that may be given several times."""
_HEREDOC = re.compile(r"\d*<<(-?)(['\"]?)([A-Za-z_][\w.-]*)\2(?=[>|;&)]|$)")


class Heredoc(msgspec.Struct, frozen=True):
    """A heredoc."""

    name: str
    text: str
    expand: bool = True
    """True if variables in it are expanded: not if its name was quoted."""


class Instruction(msgspec.Struct, frozen=True):
    """One instruction, with its lines joined."""

    keyword: str
    text: str
    """The rest after the keyword and the flags."""
    line: int
    """The number of its first line, from 1."""
    flags: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """The values of each flag, which may be given several times."""
    heredocs: tuple[Heredoc, ...] = ()
    escape: str = "\\"

    @property
    def title(self) -> str:
        """The instruction as build logs show it."""
        given = [(name, value) for name, values in self.flags.items() for value in values]
        flags = "".join(f" --{name}={value}" if value else f" --{name}" for name, value in given)
        return f"{self.keyword}{flags} {' '.join(self.text.split())}"

    def flag(self, name: str, default: str = "") -> str:
        """The value of a flag that can be given only once."""
        return self.flags.get(name, (default,))[0]


def error_at(line: int | None, sentence: str) -> InvalidError:
    """An error with the line of the Dockerfile."""
    return InvalidError(sentence if line is None else f"Dockerfile line {line}: {sentence}")


def parse(text: str) -> tuple[Instruction, ...]:
    """Parse a Dockerfile; raises `InvalidError` with the line of the first mistake."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    escape = _escape(lines)
    _refuse_nul(lines)
    found: list[Instruction] = []
    index = 0
    while index < len(lines):
        if _is_blank_or_comment(lines[index]):
            index += 1
            continue
        start = index + 1
        logical, index = _join_lines(lines, index, escape)
        bare = _instruction(logical.strip(), start, escape)
        heredocs, index = _heredocs(bare, lines, index)
        found.append(msgspec.structs.replace(bare, heredocs=tuple(heredocs)))
    return tuple(found)


def trigger_text(instruction: Instruction) -> str:
    """The instruction in an ONBUILD, as a separate Dockerfile; raises `ValueError` if it is not allowed there."""
    directive = "" if instruction.escape == "\\" else f"# escape={instruction.escape}\n"
    documents = "".join(f"{document.text}{document.name}\n" for document in instruction.heredocs)
    found = f"{directive}{instruction.text}\n{documents}"
    try:
        inner = parse(found)
    except InvalidError as error:
        raise ValueError(str(error).partition(": ")[2].removesuffix(".")) from error
    if len(inner) != 1 or inner[0].keyword in ("FROM", "MAINTAINER", "ONBUILD"):
        raise ValueError(f"{inner[0].keyword} cannot follow it")
    return found


def json_form(text: str) -> tuple[str, ...] | None:
    """Parse the JSON form `["a", "b"]`; None if the text does not have that form."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    strings = isinstance(found, list) and all(isinstance(word, str) for word in found)
    return tuple(found) if strings else None


def _escape(lines: list[str]) -> str:
    """The escape character that the parser directives at the top choose."""
    for number, line in enumerate(lines, 1):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape":
            if directive[2] not in ("\\", "`"):
                raise error_at(number, f"escape must be \\ or `, not {directive[2]!r}.")
            return directive[2]
    return "\\"


def _refuse_nul(lines: list[str]) -> None:
    # Neither paths nor arguments of programs can contain one.
    number = next((number for number, line in enumerate(lines, 1) if "\0" in line), None)
    if number is not None:
        raise error_at(number, "a Dockerfile must not contain a NUL character.")


def _is_blank_or_comment(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith("#")


def _join_lines(lines: list[str], index: int, escape: str) -> tuple[str, int]:
    """Join the lines of the instruction that begins here; returns it and the index of the line after it."""
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    logical = ""
    first = index
    while index < len(lines):
        line = lines[index]
        index += 1
        if index - 1 > first and _is_blank_or_comment(line):
            continue  # comments and blank lines within an instruction
        end = continued.search(line)
        logical += line if end is None else line[: end.start()]
        if end is None:
            break
    return logical, index


def _instruction(logical: str, line: int, escape: str) -> Instruction:
    keyword, _, rest = logical.replace("\t", " ", 1).partition(" ")
    name = keyword.upper()
    if name not in KEYWORDS:
        raise error_at(line, f"unknown instruction {keyword[:40]!r}.")
    rest = rest.strip()
    flags: dict[str, tuple[str, ...]] = {}
    while name in _FLAGGED and (flag := _FLAG.match(rest)) is not None:
        if flag[1] in flags and flag[1] not in _REPEATED:
            raise error_at(line, f"{name}: --{flag[1]} is given twice.")
        flags[flag[1]] = (*flags.get(flag[1], ()), _QUOTED.sub(_unquoted, flag[2] or ""))
        rest = rest[flag.end() :]
    if not rest:
        raise error_at(line, f"{name} needs an argument.")
    return Instruction(name, rest, line, flags, escape=escape)


def _unquoted(quoted: re.Match[str]) -> str:
    """Remove quotes from a flag's value, in which variables are expanded whatever the quotes."""
    return quoted[1] if quoted[1] is not None else re.sub(r"\\(.)", r"\1", quoted[2] or quoted[3] or "")


def _heredocs(instruction: Instruction, lines: list[str], index: int) -> tuple[list[Heredoc], int]:
    """The heredocs that an instruction announces, and the index of the line after them."""
    found: list[Heredoc] = []
    keyword = instruction.text.split()[0].upper() if instruction.keyword == "ONBUILD" else instruction.keyword
    if keyword not in _WITH_HEREDOCS or "<<" not in instruction.text:
        return found, index
    for word in split_words(instruction.text, instruction.escape):
        announced = _HEREDOC.match(word)
        if announced is not None:
            text, index = _document(lines, index, announced[3], tabs=announced[1] == "-", line=instruction.line)
            found.append(Heredoc(announced[3], text, expand=not announced[2]))
    return found, index


def _document(lines: list[str], index: int, name: str, *, tabs: bool, line: int) -> tuple[str, int]:
    found: list[str] = []
    while index < len(lines):
        text = lines[index].lstrip("\t") if tabs else lines[index]
        index += 1
        if text == name:
            return "".join(f"{text}\n" for text in found), index
        found.append(text)
    raise error_at(line, f"the document {name} has no end: a line with {name} alone is missing.")
