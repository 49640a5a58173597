"""Text that lies encrypted on disk."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

from ..errors import EngineError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Vault:
    """Seals text with a key; the library for it is loaded when it is first needed."""

    def __init__(self, key: bytes) -> None:
        self._key = base64.urlsafe_b64encode(key)
        self.key_id = hashlib.sha256(b"key id" + key).hexdigest()[:16]
        """Tells which key this is, and nothing of it."""
        self._fernet: Fernet | None = None

    async def seal(self, text: str) -> str:
        """`text`, encrypted."""
        fernet = await self._opened()
        return fernet.encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")

    async def unseal(self, sealed: str, what: str) -> str:
        """The text again; `EngineError` that begins with `what` where another key sealed it or it has been altered."""
        from cryptography.fernet import InvalidToken

        fernet = await self._opened()
        try:
            return fernet.decrypt(sealed).decode("utf-8", "surrogatepass")
        except InvalidToken:
            raise EngineError(sealed_with_another(what)) from None

    async def _opened(self) -> Fernet:
        if self._fernet is None:
            self._fernet = await asyncio.to_thread(_load, self._key)
        return self._fernet


def sealed_with_another(what: str) -> str:
    """What to tell of something that cannot be read with this key."""
    return f"{what} sealed with another service.key than the one that is there: put the former back, or store anew."


def _load(key: bytes) -> Fernet:
    from cryptography.fernet import Fernet

    return Fernet(key)
