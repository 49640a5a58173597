"""Refuses request heads that two parsers could read differently (request smuggling), beyond what ours refuses.

The parser itself refuses folded lines, bare line ends, control characters, and two lengths for one body.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST = re.compile(rb"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?|")
_ABSOLUTE = re.compile(rb"http://([^/?#]*)(?=[/?])", re.IGNORECASE)


def check_head(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The reason to refuse a head, as a sentence, or None. Header names are in lower case."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return f"A request has one Host header, and this one has {len(hosts)}."
    if not _HOST.fullmatch(hosts[0]):
        return "The Host header is not a valid host name."
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.match(target)
        if absolute is None or absolute[1].lower() != hosts[0].lower():
            return "The request names another host than its Host header."
    encodings = [value for name, value in headers if name == b"transfer-encoding"]
    if len(encodings) > 1 or (encodings and (version != "1.1" or encodings[0].lower() != b"chunked")):
        return "A body comes with its length, or chunked."
    return None
