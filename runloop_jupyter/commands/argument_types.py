"""Types of arguments: each reads what was typed, and says how to write it where that does not fit."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

from ..resources.api_limits import VARIABLE
from ..text.durations import parse_duration


def duration(text: str) -> float:
    """Seconds: 90, 90s, 30m, 2h."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def variable(text: str) -> str:
    """The name of a Python variable."""
    import keyword

    if not text.isidentifier() or keyword.iskeyword(text):
        raise ArgumentTypeError(f"{text!r} cannot be the name of a Python variable")
    return text


def assignment(text: str) -> tuple[str, str]:
    """An environment variable: K=V."""
    name, equals, value = text.partition("=")
    if not equals or not VARIABLE.fullmatch(name):
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE: write it like MODE=test")
    return name, value


def pair(text: str) -> tuple[str, str]:
    """A key with a value: K=V."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE: write it like team=web")
    return name, value


def size(text: str) -> str:
    """A devbox's size as the API spells it, but for its case."""
    return text.lower().replace("-", "_")


def number_of(things: str) -> Callable[[str], int]:
    """A number of things, one at least."""

    def number(text: str) -> int:
        if not text.isdecimal() or not int(text):
            raise ArgumentTypeError(f"{text!r} is not a number of {things}: write it like 20")
        return int(text)

    return number
