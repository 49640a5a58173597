"""How a name is typed in a cell, so that it stays a name, and shown. Names come from the wire, and so from anybody.

A magic's line and the cell below it are read three times: by IPython, for `{{expr}}`, and as a shell's words. What is
offered to be typed (completions, hints, cards, the panel's cells) passes here, and must come out of all three as it is.
"""

from __future__ import annotations

import re
import shlex

_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_OTHERWISE = re.compile(r"^-|^all$|^$|[*?\[\]{},]")
_BRACE_BEFORE_BRACE = re.compile(r"\{(?=\{)")


def printable(text: str) -> str:
    """`text` on one line as it may be shown: a � stands for what does not print or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def is_typable(text: str) -> bool:
    """Whether a line can hold it as a word of its own: what does not print, or reads as an option, cannot."""
    return text.isprintable() and not text.startswith("-")


def as_word(text: str) -> str:
    """`text` as one word of a magic's line or of a shell, `~/` at its beginning still the home folder."""
    if text.startswith("~/"):
        return "~/" + (as_word(text[2:]) if len(text) > 2 else "")
    if _PLAIN.fullmatch(text):
        return text
    # Within single quotes, '' ends them and begins them anew: no two braces stand side by side.
    return _BRACE_BEFORE_BRACE.sub("{''", shlex.quote(text))


def reference(name: str, identity: str) -> str:
    """How a resource is typed: by its name, or by its id where the name would be read as something else.

    Names that are an option, a pattern of several or an expression are left to the id; "NAME" where there is neither.
    """
    fitting = (text for text in (name, identity) if text.isprintable() and not _OTHERWISE.search(text))
    return shlex.quote(next(fitting, "NAME"))
