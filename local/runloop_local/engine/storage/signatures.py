"""Addresses that carry their own permission: for one method, on one thing, until a time."""

from __future__ import annotations

import hmac
from typing import Literal

from ..errors import ForbiddenError
from ..ids import now_ms

Method = Literal["GET", "PUT"]


class Signer:
    """Signs with a key, and checks what comes back."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def query(self, method: Method, thing: str, seconds: int) -> str:
        """The query of an address that is good for `seconds`."""
        expires = now_ms() // 1000 + seconds
        return f"expires={expires}&signature={self._signature(method, thing, str(expires))}"

    def check(self, method: Method, thing: str, expires: str, signature: str) -> None:
        """`ForbiddenError` unless this was signed here, as it stands, and its time has not passed."""
        expected = self._signature(method, thing, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape")):
            raise ForbiddenError(f"The address is not signed for {method} on {thing}: ask the API for a new one.")
        if int(expires) < now_ms() // 1000:
            raise ForbiddenError(f"The signed address of {thing} has expired: ask the API for a new one.")

    def _signature(self, method: Method, thing: str, expires: str) -> str:
        return hmac.new(
            self._key, f"{method}\n{thing}\n{expires}".encode("utf-8", "surrogateescape"), "sha256"
        ).hexdigest()
