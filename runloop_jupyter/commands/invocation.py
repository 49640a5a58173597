"""The command or the cell that a magic was called with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..variables import Variables


@dataclass(frozen=True, slots=True)
class Invocation:
    """The text that a magic works on, and the notebook's variables, which it reads and sets."""

    text: str
    """The cell below the line, else the command on it, with the value of each {{expr}} in its place."""
    typed: str
    """The same as it was typed, for notes that must not keep those values."""
    is_cell: bool
    variables: Variables


@dataclass(frozen=True, kw_only=True)
class InvocationOptions:
    """The options of a subcommand that takes a command or a cell, or sets variables."""

    __slots__ = ()
    invocation: Invocation
