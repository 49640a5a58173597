"""Reads the API key given to `serve` in a file, the environment or an option, and hides it from other accounts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .service_error import ServiceError

VARIABLE = "RUNLOOP_LOCAL_API_KEY"
EXPOSED_KEY_WARNING = (
    f"Every account can read --api-key while the service starts: use --api-key-file, or {VARIABLE} in the environment."
)
_MAX_BYTES = 4096


def read_api_key(option: str | None, file: Path | None) -> str | None:
    """The given key, or None; from here on the process list no longer shows it. Raises `ServiceError`.

    The command line takes precedence over the environment.
    """
    variable = os.environ.pop(VARIABLE, None)
    for secret in (option, variable):
        if secret:
            _hide(os.fsencode(secret))
    if file is not None:
        return _checked(_read(file), f"The file {file}")
    if option is not None:
        return _checked(option, "--api-key")
    return _checked(variable, VARIABLE) if variable else None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES)
        return content.decode("ascii").strip()
    except OSError as error:
        raise ServiceError(f"The API key cannot be read from {file}: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        return ""


def _checked(key: str, where: str) -> str:
    if not (key.isascii() and key.isprintable() and key and " " not in key and len(key) < _MAX_BYTES):
        raise ServiceError(f"{where} is not an API key: it must be one line of letters, digits and signs, no spaces.")
    return key


def _hide(secret: bytes) -> None:
    """Overwrite a secret in the arguments and environment that the system shows for this process."""
    if sys.platform == "linux":
        from .sandbox import linux

        linux.mask_secret(secret, VARIABLE)
