"""Options that several subcommands have: each group of fields, and the function that adds its options to a parser.

A group is a base class of the `Options` of a subcommand; several of them can be combined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..errors import UsageError
from .argument_types import number_of, pair
from .options import OptionGroup
from .parser import Parser

LISTED = "A sequence, newest first, that shows as a table; `.to_dataframe()` makes it a pandas DataFrame."
"""The return value of each `list`."""
NONE_LISTED = "A list that has none says what to type; it is not an error."


class OnOption(OptionGroup):
    """--on: another devbox than the current one."""

    on: str | None


def add_on_option(
    parser: Parser[OnOption], description: str = "the devbox to work on instead of the current one"
) -> None:
    """Add --on NAME|ID."""
    parser.add_name("devbox", "--on", metavar="NAME|ID", help=description)


class DevboxArgument(OptionGroup):
    """A devbox by name or id; None is the current one."""

    devbox: str | None


def add_devbox_argument(parser: Parser[DevboxArgument]) -> None:
    """Add the optional place NAME|ID."""
    parser.add_name("devbox", "devbox", metavar="NAME|ID", nargs="?", help="a devbox's name or id, or its beginning")


class LimitOption(OptionGroup):
    """--limit: the greatest length of a list."""

    limit: int


def add_limit_option(parser: Parser[LimitOption], things: str, default: int = 1000) -> None:
    """Add --limit N."""
    parser.add_argument(
        "--limit", type=number_of(things), default=default, metavar="N", help=f"at most so many (default {default:,})"
    )


class SearchOption(OptionGroup):
    """--search: a part of a name or an id."""

    search: str | None


def add_search_option(parser: Parser[SearchOption]) -> None:
    """Add --search TEXT."""
    parser.add_argument("--search", metavar="TEXT", help="only those whose name or id has this text")


class MetadataOption(OptionGroup):
    """--metadata: keys with values."""

    metadata: Sequence[tuple[str, str]]


def add_metadata_option(parser: Parser[MetadataOption], description: str = "a key with a value, to find it by") -> None:
    """Add --metadata K=V, which can be given several times."""
    parser.add_argument("--metadata", metavar="K=V", action="append", default=[], type=pair, help=description)


class TemplateOption(OptionGroup):
    """--template: on if {{expr}} in the cell is replaced by the value of a Python expression."""

    template: Literal["on", "off"]


def add_template_option(parser: Parser[TemplateOption], default: Literal["on", "off"]) -> None:
    """Add --template on|off."""
    other = {"on": "off: leave {{ and }} as they are", "off": "on: replace {{expr}} in the cell by its value"}
    parser.add_argument("--template", choices=("on", "off"), default=default, help=other[default])


class YesOption(OptionGroup):
    """--yes: do it without asking."""

    yes: bool


def add_yes_option(parser: Parser[YesOption]) -> None:
    """Add --yes."""
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def one_name(prog: str, *names: str | None) -> str:
    """The name, which can be typed as a word or as an option. Raises `UsageError` where both were typed."""
    given = [name for name in names if name]
    if len(given) > 1:
        raise UsageError(f"{prog}: the name is given twice, {given[0]!r} and {given[1]!r}.")
    return given[0] if given else ""
