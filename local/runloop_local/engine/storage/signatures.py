"""Signed URLs, which grant access with one method to one resource until they expire."""

from __future__ import annotations

import hmac
from typing import Literal

from ..errors import ForbiddenError
from ..ids import now_ms

Method = Literal["GET", "PUT"]


class Signer:
    """Signs and verifies URLs with a key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def query(self, method: Method, thing: str, seconds: int) -> str:
        """The query of a signed URL that is valid for `seconds`."""
        expires = now_ms() // 1000 + seconds
        return f"expires={expires}&signature={self._signature(method, thing, str(expires))}"

    def check(self, method: Method, thing: str, expires: str, signature: str) -> None:
        """Raise `ForbiddenError` unless the signature is valid and has not expired."""
        expected = self._signature(method, thing, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape")):
            raise ForbiddenError(f"The address is not signed for {method} on {thing}: ask the API for a new one.")
        if int(expires) < now_ms() // 1000:
            raise ForbiddenError(f"The signed address of {thing} has expired: ask the API for a new one.")

    def _signature(self, method: Method, thing: str, expires: str) -> str:
        return hmac.new(
            self._key, f"{method}\n{thing}\n{expires}".encode("utf-8", "surrogateescape"), "sha256"
        ).hexdigest()
