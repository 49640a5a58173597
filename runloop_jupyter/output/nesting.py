"""Measures how deeply HTML elements are nested without parsing them: a parser's time grows with the square of that."""

from __future__ import annotations

import re

_PART = re.compile(
    r"""
      <(?P<name>[a-z][a-z0-9]*) (?: \s+ [\w:.-]+ (?: \s*=\s* (?: "[^"<]*" | '[^'<]*' | [^\s"'<>=`]+ ) )? )* \s*/?>
    | </(?P<closed>[a-z][a-z0-9]*)\s*>
    | <!--[^<]*?--> | <!doctype[^<>]*>
    | (?P<unclear><)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_WITHOUT_END = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
_TEXT_INSIDE = frozenset(
    ("iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp")
)
_OTHER_RULES = frozenset({"math", "svg"})
"""Elements inside which HTML's rules for elements without an end tag do not hold."""


def nests_deeper(markup: str, most: int) -> bool:
    """True if elements may be nested deeper than `most`; also if that is unclear, as with tags in a comment."""
    if markup.count("<") <= most:  # too few tags to nest that deeply
        return False
    opened: list[str] = []
    for part in _PART.finditer(markup):
        inside = opened[-1] if opened else ""
        name, closed = (part["name"] or "").lower(), (part["closed"] or "").lower()
        if part["unclear"] or name in _OTHER_RULES or (inside in _TEXT_INSIDE and closed != inside):
            return True
        if closed and closed == inside:
            opened.pop()
        elif name and name not in _WITHOUT_END:
            opened.append(name)
            if len(opened) > most:
                return True
    return False
