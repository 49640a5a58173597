"""Every exception that a magic raises on purpose. Each shows as one clear sentence instead of a traceback.

MagicError
├── UsageError                  what was typed makes no sense; says what to type instead
├── RemoteError                 Runloop, or the embedded service, refused or is out of reach
├── DevboxUnavailableError      the devbox is suspended, shut down, failed or unknown
└── DevboxCommandError          the command's exit code was not 0; `.result` has everything
    └── DevboxTimeoutError      --timeout passed, and the command was killed
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from IPython.core.error import UsageError as IPythonUsageError

if TYPE_CHECKING:
    from .results import DevboxResult, FanOutResult

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class MagicError(Exception):
    """The base of all errors of the magics; its text is one sentence for a person."""

    def _render_traceback_(self) -> list[str]:
        return error_lines(type(self).__name__, str(self))


class UsageError(MagicError, IPythonUsageError):
    """What was typed makes no sense; the text says what to type instead."""


class RemoteError(MagicError):
    """Runloop, or the embedded service, refused the request or is out of reach."""


class DevboxUnavailableError(MagicError):
    """The devbox cannot run commands now; the text says why and what to do."""


class DevboxCommandError(MagicError):
    """The command ended with an exit code other than 0, somewhere at least; `result` has its output."""

    def __init__(self, message: str, result: DevboxResult | FanOutResult) -> None:
        super().__init__(message)
        self.result = result


class DevboxTimeoutError(DevboxCommandError):
    """The command ran for longer than --timeout and was killed; `result` has its output so far."""


def error_lines(name: str, text: str) -> list[str]:
    """What IPython shows in place of a traceback: the error's name in red and its sentence."""
    return [f"{_RED}{name}{_PLAIN}: {text}"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'create'?" when one of the known words is near, else nothing."""
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
