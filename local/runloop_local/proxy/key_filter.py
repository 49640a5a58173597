"""Removes the service's API keys from requests to devboxes, whose code must not get one."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .connection import TunnelRejected

if TYPE_CHECKING:
    from ..engine.storage.keys import Keys
    from .headers import Header

_CREATED_KEY = re.compile(r"(?<![\w-])[ar]k_[\w-]{43}(?![\w-])", re.ASCII)
"""The format of keys that the API creates."""
_BASIC = re.compile(r"basic\s+([\w+/=-]+)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Finds API keys of the service: the one that it was started with, and those that it has created."""

    api_key: str = field(repr=False)
    keys: Keys

    def contains_key(self, text: str) -> bool:
        """True if a text contains a key as a word: plain, percent-encoded or in basic authorization."""
        return any(map(self._contains_key, {text, unquote(text), *_decoded(text)}))

    def _contains_key(self, text: str) -> bool:
        own = re.search(rf"(?<![\w-]){re.escape(self.api_key)}(?![\w-])", text, re.ASCII)
        return own is not None or any(self.keys.find(found) is not None for found in _CREATED_KEY.findall(text))

    def strip_headers(self, headers: list[Header]) -> list[Header]:
        """Remove headers that contain a key; from a cookie header only those cookies."""
        return [(name, kept) for name, value in headers if (kept := self._kept(name, value)) is not None]

    def strip_target(self, target: bytes) -> bytes:
        """Remove query parameters that contain a key. Raises `TunnelRejected` if the path contains one."""
        path, mark, query = target.partition(b"?")
        if self.contains_key(path.decode("latin-1")):
            raise TunnelRejected(400, "The path contains an API key of the service, which no devbox may get.")
        kept = [each for each in query.split(b"&") if not self.contains_key(each.decode("latin-1"))]
        return path + (mark + b"&".join(kept) if kept else b"")

    def _kept(self, name: bytes, value: bytes) -> bytes | None:
        if not self.contains_key(value.decode("latin-1")):
            return value
        if name != b"cookie":
            return None
        return (
            b";".join(each for each in value.split(b";") if not self.contains_key(each.decode("latin-1"))).strip()
            or None
        )


def _decoded(text: str) -> list[str]:
    found = _BASIC.fullmatch(text.strip())
    if found is None:
        return []
    try:
        return [base64.b64decode(found[1], altchars=b"-_" if set("-_") & set(found[1]) else None).decode("latin-1")]
    except binascii.Error:
        return []
