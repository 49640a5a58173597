"""The service's master key, from which other keys are derived."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

_BYTES = 32


class ServiceKey:
    """A random key in a file that only the service's user can read."""

    def __init__(self, secret: bytes, *, is_new: bool = False) -> None:
        self._secret = secret
        self.is_new = is_new
        """True if it was just created."""

    @classmethod
    def open(cls, file: Path) -> ServiceKey:
        """Read the key in `file`, creating it if it does not exist. Raises `OSError`."""
        is_new = not file.exists()
        if is_new:
            _make(file)
        secret = file.read_bytes()
        if len(secret) != _BYTES:
            raise OSError(f"The key in {file} is damaged, and what it has encrypted cannot be read: move it away")
        return cls(secret, is_new=is_new)

    def derived(self, purpose: str) -> bytes:
        """Derive a key of 32 bytes for one purpose."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")


def _make(file: Path) -> None:
    """Create the key atomically: a truncated key would make everything unreadable that it has encrypted."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as made:
        made.write(secrets.token_bytes(_BYTES))
        made.flush()
        os.fsync(made.fileno())
    fresh.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that renames in it survive a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
