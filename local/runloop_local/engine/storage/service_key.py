"""The service's own key, from which the keys of its parts come."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

_BYTES = 32


class ServiceKey:
    """A random key, kept in a file that only the service's user can read."""

    def __init__(self, secret: bytes, *, is_new: bool = False) -> None:
        self._secret = secret
        self.is_new = is_new
        """Whether there was none before."""

    @classmethod
    def open(cls, file: Path) -> ServiceKey:
        """The key in `file`, made if there is none. `OSError` where that cannot be."""
        is_new = not file.exists()
        if is_new:
            _make(file)
        secret = file.read_bytes()
        if len(secret) != _BYTES:
            raise OSError(f"The key in {file} is damaged: what it has sealed cannot be read any more; move it away")
        return cls(secret, is_new=is_new)

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, the same after each start."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")


def _make(file: Path) -> None:
    """Whole or not at all: a key that was cut short would be lost with all it has sealed."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as made:
        made.write(secrets.token_bytes(_BYTES))
        made.flush()
        os.fsync(made.fileno())
    fresh.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed into a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
