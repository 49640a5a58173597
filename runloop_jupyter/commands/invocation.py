"""The command or the cell that a magic was called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .options import OptionGroup

if TYPE_CHECKING:
    from ..variables import Variables


class Invocation(NamedTuple):
    """The text that a magic works on, and the notebook's variables, which it reads and sets."""

    text: str
    """The cell below the line, else the command on it, with the value of each {{expr}} in its place."""
    typed: str
    """The same as it was typed, for notes that must not keep those values."""
    is_cell: bool
    variables: Variables


class InvocationOptions(OptionGroup):
    """The options of a subcommand that takes a command or a cell, or sets variables."""

    invocation: Invocation
