"""The API key that `serve` was given: from a file, the environment or the command line, and then hidden from others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .service import ServiceError

VARIABLE = "RUNLOOP_LOCAL_API_KEY"
SHOWN = (
    f"--api-key can be read by every account while the service starts: use --api-key-file, or {VARIABLE} in the "
    "environment."
)
_MOST_BYTES = 4096


def given_key(option: str | None, file: Path | None) -> str | None:
    """The key, None where none was given. It is not shown in the list of processes from here on. Raises `ServiceError`.

    What the command line says goes before the environment.
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
            content = opened.read(_MOST_BYTES)
        return content.decode("ascii").strip()
    except OSError as error:
        raise ServiceError(f"The API key cannot be read from {file}: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        return ""


def _checked(key: str, where: str) -> str:
    if not (key.isascii() and key.isprintable() and key and " " not in key and len(key) < _MOST_BYTES):
        raise ServiceError(f"{where} holds no API key: one line of letters, digits and signs, without spaces.")
    return key


def _hide(secret: bytes) -> None:
    """Cover a secret where the system shows how this process was started."""
    if sys.platform == "linux":
        from .sandbox import linux

        linux.cover_in_start(secret, VARIABLE)
