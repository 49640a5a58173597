"""Every exception that a magic raises on purpose. Each shows as one clear sentence instead of a traceback.

MagicError
├── UsageError                  what was typed makes no sense; says what to type instead
├── RemoteError                 Runloop, or the embedded service, refused or is out of reach
│   └── ConnectionLostError     an answer, or the rest of a command's output, was lost; the command may go on
├── DevboxUnavailableError      the devbox is suspended, shut down, failed or unknown
└── DevboxCommandError          the command's exit code was not 0; `.result` has everything
    └── DevboxTimeoutError      --timeout passed; the text says whether the command was killed

The last two are in `results`, which they carry.
"""

from __future__ import annotations

from collections.abc import Iterable

from IPython.core.error import UsageError as IPythonUsageError

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class MagicError(Exception):
    """The base of all errors of the magics; its text is one sentence for a person."""

    def _render_traceback_(self) -> list[str]:
        return error_lines(type(self).__name__, str(self))


class UsageError(MagicError, IPythonUsageError):
    """What was typed makes no sense; the text says what to type instead."""


class RemoteError(MagicError):
    """Runloop, or the embedded service, refused the request or is out of reach."""


class ConnectionLostError(RemoteError):
    """An answer, or the rest of a command's output, was lost; the text says what is known of the command."""


class DevboxUnavailableError(MagicError):
    """The devbox cannot run commands now; the text says why and what to do."""


def error_lines(name: str, text: str) -> list[str]:
    """What IPython shows in place of a traceback: the error's name in red and its sentence."""
    from .output.terminal_text import plain_message

    return [f"{_RED}{name}{_PLAIN}: {plain_message(text)}"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'create'?" when one of the known words is near, else nothing."""
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
