"""Encrypts text that is stored on disk."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

from ..errors import EngineError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Vault:
    """Encrypts text with a key; the cryptography library is imported when first needed."""

    def __init__(self, key: bytes) -> None:
        self._key = base64.urlsafe_b64encode(key)
        self.key_id = hashlib.sha256(b"key id" + key).hexdigest()[:16]
        """Identifies the key without revealing it."""
        self._fernet: Fernet | None = None

    async def seal(self, text: str) -> str:
        """Encrypt a text."""
        fernet = await self._get_fernet()
        return fernet.encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")

    async def unseal(self, sealed: str, what: str) -> str:
        """Decrypt a text; raises `EngineError` about `what` if it has another key or was altered."""
        from cryptography.fernet import InvalidToken

        fernet = await self._get_fernet()
        try:
            return fernet.decrypt(sealed).decode("utf-8", "surrogatepass")
        except InvalidToken:
            raise EngineError(encrypted_with_another_key(what)) from None

    async def _get_fernet(self) -> Fernet:
        if self._fernet is None:
            self._fernet = await asyncio.to_thread(_load, self._key)
        return self._fernet


def encrypted_with_another_key(what: str) -> str:
    """The sentence about something that was encrypted with another key."""
    return f"{what} encrypted with another service.key: put that key back, or set it again."


def _load(key: bytes) -> Fernet:
    from cryptography.fernet import Fernet

    return Fernet(key)
