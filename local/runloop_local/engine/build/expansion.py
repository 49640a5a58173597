"""Expands words, quotes and variables of Dockerfiles, without I/O; raises `ValueError` for malformed text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_PATTERN_PIECE = re.compile(r"\\.|.", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*|\d")
_OPERATOR = re.compile(r":?[-+?]|##?|%%?|//?")


def split_words(text: str, escape: str = "\\") -> list[str]:
    """Split a line into words, which keep their quotes and escapes."""
    words, word, quote, position = [], "", "", 0
    while position < len(text):
        character = text[position]
        taken = 2 if character == escape and quote != "'" else 1
        if taken == 1 and character in "'\"":
            quote = "" if quote == character else quote or character
        if not quote and taken == 1 and character.isspace():
            words.append(word)
            word = ""
        else:
            word += text[position : position + taken]
        position += taken
    return [word for word in (*words, word) if word]


def pairs(text: str, escape: str = "\\") -> list[tuple[str, str]]:
    """Parse the names and raw values of `ENV a=1 b=2`, or of the old form `ENV a 1 2`."""
    words = split_words(text, escape)
    if "=" not in words[0]:
        name, *value = text.split(maxsplit=1)
        if not value:
            raise ValueError(f"{name!r} has no value: write {name}=value")
        return [(name, value[0].rstrip())]
    for word in words:
        if "=" not in word.lstrip("="):
            raise ValueError(f"{word!r} must be name=value; a value with spaces needs quotes")
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def expand(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """Remove quotes and escapes, and expand variables such as `$x` and `${x:-y}`."""
    return _Expansion(text, variables, escape).whole()


def expand_document(text: str, variables: Mapping[str, str]) -> str:
    r"""Expand variables in a heredoc, in which quotes are plain text and `\$` is a dollar sign."""
    return _Expansion(text, variables, "\\").document()


class _Expansion:
    """The expansion of one text, read from left to right."""

    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text = text
        self._variables = variables
        self._escape = escape
        self._position = 0

    def whole(self) -> str:
        return self._until("")

    def document(self) -> str:
        found = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            if self._text[self._position : self._position + 2] in ("\\$", "\\\\"):
                found += self._text[self._position + 1]
                self._position += 2
            elif character == "$":
                found += self._variable()
            else:
                found += character
                self._position += 1
        return found

    def _until(self, end: str, *, pattern: bool = False) -> str:
        """Read up to and including the character `end`; a pattern keeps its escapes."""
        readers: dict[str, Callable[[], str]] = {
            "'": self._single,
            '"': self._double,
            "$": self._variable,
            self._escape: self._escape_of_pattern if pattern else self._escaped,
        }
        found = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            if character == end:
                self._position += 1
                return found
            found += readers.get(character, self._plain)()
        if end:
            raise ValueError(f"{end!r} is missing")
        return found

    def _plain(self) -> str:
        self._position += 1
        return self._text[self._position - 1]

    def _escaped(self) -> str:
        self._position += 2
        return self._text[self._position - 1 : self._position]

    def _escape_of_pattern(self) -> str:
        return f"\\{self._escaped()}"

    def _single(self) -> str:
        end = self._text.find("'", self._position + 1)
        if end < 0:
            raise ValueError("a ' is not closed")
        found = self._text[self._position + 1 : end]
        self._position = end + 1
        return found

    def _double(self) -> str:
        self._position += 1
        found = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            following = self._text[self._position + 1 : self._position + 2]
            if character == '"':
                self._position += 1
                return found
            # As in a shell, within double quotes any other escape is plain text.
            if character == self._escape and following in ('"', "$", self._escape):
                found += self._escaped()
            else:
                found += self._variable() if character == "$" else self._plain()
        raise ValueError('a " is not closed')

    def _variable(self) -> str:
        self._position += 1
        if self._text[self._position : self._position + 1] == "{":
            self._position += 1
            return self._braced()
        name = _NAME.match(self._text, self._position)
        if name is None:
            return "$"
        self._position = name.end()
        return self._variables.get(name[0], "")

    def _braced(self) -> str:
        name = _NAME.match(self._text, self._position)
        if name is None:
            raise ValueError("${ needs the name of a variable")
        self._position = name.end()
        operator = _OPERATOR.match(self._text, self._position)
        if operator is not None:
            self._position = operator.end()
            return self._modified(name[0], operator[0])
        if self._text[self._position : self._position + 1] != "}":
            raise ValueError(f"${{{name[0]}...}} has no }}, or a modifier other than :- :+ :? - + ? # ## % %% / //")
        self._position += 1
        return self._variables.get(name[0], "")

    def _modified(self, name: str, operator: str) -> str:
        value = self._variables.get(name, "")
        if operator in ("/", "//"):
            pattern, replacement = self._until("/", pattern=True), self._until("}")
            return _replaced(value, pattern, replacement, everywhere=operator == "//")
        if operator[0] in "#%":
            pattern, is_longest = self._until("}", pattern=True), len(operator) == 2
            return (
                _remove_prefix(value, pattern, is_longest)
                if operator[0] == "#"
                else _remove_suffix(value, pattern, is_longest)
            )
        return self._chosen(name, operator, self._until("}"))

    def _chosen(self, name: str, operator: str, word: str) -> str:
        value = self._variables.get(name)
        given = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return word if given else ""
        if given:
            return value or ""
        if operator.endswith("?"):
            raise ValueError(f"{name} is not set{': ' if word else ''}{word}")
        return word


class _Pattern:
    """A shell pattern: `*` matches any text, `?` one character, and a backslash escapes the next one.

    The text between two `*` has a fixed length, so one search for each part is enough, without backtracking: the time
    is linear in the text, whatever the pattern.
    """

    def __init__(self, pattern: str) -> None:
        parts: list[list[str]] = [[]]
        for piece in _PATTERN_PIECE.findall(pattern):
            if piece == "*":
                parts.append([])
            else:
                parts[-1].append("." if piece == "?" else re.escape(piece[-1]))
        first, *self._rest = ("".join(part) for part in parts)
        self._first = re.compile(first, re.DOTALL)

    def end(self, text: str, start: int, *, is_longest: bool) -> int | None:
        """The end of the match that begins at `start`, or None."""
        found = self._first.match(text, start)
        return None if found is None else self._end_of_rest(text, found.end(), is_longest)

    def find(self, text: str, start: int) -> tuple[int, int] | None:
        """The first match that is not empty, as long as possible: its start and end."""
        while (found := self._first.search(text, start)) is not None:
            end = self._end_of_rest(text, found.end(), is_longest=True)
            if end is None:
                return None  # if the rest does not match after this, it does not match later
            if end > found.start():
                return found.start(), end
            start = found.end() + 1
            if start > len(text):
                return None
        return None

    def _end_of_rest(self, text: str, end: int, is_longest: bool) -> int | None:
        for number, part in enumerate(self._rest, 1):
            goes_far = is_longest and number == len(self._rest)
            found = re.compile(f".*{part}" if goes_far else f".*?{part}", re.DOTALL).match(text, end)
            if found is None:
                return None
            end = found.end()
        return end


def _remove_prefix(value: str, pattern: str, is_longest: bool) -> str:
    return value[_Pattern(pattern).end(value, 0, is_longest=is_longest) or 0 :]


def _remove_suffix(value: str, pattern: str, is_longest: bool) -> str:
    """Match on the reversed text, as a match is anchored at its start only."""
    backwards = "".join(reversed(_PATTERN_PIECE.findall(pattern)))
    return _remove_prefix(value[::-1], backwards, is_longest)[::-1]


def _replaced(value: str, pattern: str, replacement: str, *, everywhere: bool) -> str:
    sought, found, position = _Pattern(pattern), "", 0
    if pattern and not value and sought.end(value, 0, is_longest=True) is not None:
        return replacement
    while (match := sought.find(value, position)) is not None:
        found += value[position : match[0]] + replacement
        position = match[1]
        if not everywhere:
            break
    return found + value[position:]
