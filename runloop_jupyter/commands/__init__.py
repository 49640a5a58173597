"""A folder for each kind of resource and for `%runloop`, with a file for each subcommand, imported at first use."""

from __future__ import annotations

from ..errors import UsageError, did_you_mean
from ..resources import kind_names
from .blueprint import NOUN as BLUEPRINT
from .devbox import NOUN as DEVBOX
from .noun import Noun, usual_verb
from .object import NOUN as OBJECT
from .policy import NOUN as POLICY
from .runloop import NOUN as RUNLOOP
from .secret import NOUN as SECRET
from .snapshot import NOUN as SNAPSHOT

NOUNS = {
    kind_names.DEVBOX: DEVBOX,
    kind_names.BLUEPRINT: BLUEPRINT,
    kind_names.SNAPSHOT: SNAPSHOT,
    kind_names.OBJECT: OBJECT,
    kind_names.SECRET: SECRET,
    kind_names.POLICY: POLICY,
}
"""The kinds of resources, by the word that follows %runloop."""

__all__ = ["DEVBOX", "NOUNS", "RUNLOOP", "asks_for_help", "first_word", "resolve", "usage"]

_HELP = ("help", "-h", "--help")


def resolve(line: str, noun: Noun | None = None) -> tuple[Noun, str, str]:
    """The noun, the verb and the rest of a line after `%runloop`, or after `noun`'s own magic.

    The verb is empty where --help or nothing was typed. Raises `UsageError` for a word that is neither.
    """
    word, rest = first_word(line)
    word = word if rest else word.removesuffix(";")  # the cell that loads the magics has it still
    if noun is None and word in NOUNS:
        noun = NOUNS[word]
        word, rest = first_word(rest)
    elif noun is None:
        noun = RUNLOOP
        _check(word)
    return noun, "" if word in _HELP else word, rest


def asks_for_help(line: str) -> bool:
    """True if a line without a subcommand asks for help."""
    return line.split()[-1:] != [] and line.split()[-1] in _HELP


def usage() -> str:
    """The text of `%runloop --help`."""
    width = max(map(len, NOUNS))
    nouns = [f"  {noun.typed:<{width + 9}}  {noun.summary}: {', '.join(noun.verbs)}" for noun in NOUNS.values()]
    return "\n".join([RUNLOOP.usage(), "", *nouns])


def first_word(line: str) -> tuple[str, str]:
    """The first word of a line, and the rest."""
    word, *rest = line.split(maxsplit=1) or [""]
    return word, rest[0] if rest else ""


def _check(word: str) -> None:
    if not word or word in _HELP or word in RUNLOOP.verbs:
        return
    usual = word if word in DEVBOX.verbs else usual_verb(word, DEVBOX.verbs)
    if usual:
        raise UsageError(f"%runloop has no subcommand {word!r}, but a devbox has: %devbox {usual}")
    suggestion = did_you_mean(word, [*NOUNS, *RUNLOOP.verbs])
    raise UsageError(f"%runloop has no subcommand {word!r}.{suggestion} %runloop --help lists them.")
