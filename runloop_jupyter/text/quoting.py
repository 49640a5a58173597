"""Quotes names for cells, and makes them printable. Names come from the API, so anybody may have chosen them.

A magic's line and its cell are parsed three times: by IPython, for `{{expr}}`, and as shell words. Everything that is
offered to be typed (completions, hints, cards, the panel's cells) is quoted here, so that all three leave it unchanged.
"""

from __future__ import annotations

import re
import shlex

_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_SPECIAL = re.compile(r"^-|^all$|^$|[*?\[\]{},]")
_BRACE_BEFORE_BRACE = re.compile(r"\{(?=\{)")


def printable(text: str) -> str:
    """`text` on one line, with a � for each character that is not printable or changes the writing direction."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def is_typable(text: str) -> bool:
    """True if `text` can be typed as a word: it is printable, and does not look like an option."""
    return text.isprintable() and not text.startswith("-")


def as_word(text: str) -> str:
    """Quote `text` as one word of a magic's line or of a shell command; a leading `~/` still means the home folder."""
    if text.startswith("~/"):
        return "~/" + (as_word(text[2:]) if len(text) > 2 else "")
    if _PLAIN.fullmatch(text):
        return text
    # '' ends the single quotes and opens them again, so that no two braces are adjacent, which would begin {{expr}}.
    return _BRACE_BEFORE_BRACE.sub("{''", shlex.quote(text))


def reference(name: str, identity: str) -> str:
    """The word to type for a resource: its name, or its id if the name would be parsed as something else.

    That is the case for a name that is an option, a pattern or an expression. "NAME" if there is neither.
    """
    fitting = (text for text in (name, identity) if text.isprintable() and not _SPECIAL.search(text))
    return shlex.quote(next(fitting, "NAME"))
