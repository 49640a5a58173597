"""The exceptions that magics raise on purpose. Each is shown as one clear sentence instead of a traceback.

MagicError
├── UsageError                  the input is wrong; the message says what to type instead
├── RemoteError                 Runloop, or the embedded service, refused the request or cannot be reached
│   └── ConnectionLostError     an answer, or the rest of a command's output, was lost; the command may go on
├── DevboxUnavailableError      the devbox is suspended, shut down, failed or unknown
└── DevboxCommandError          the command's exit code was not 0; `.result` has everything
    └── DevboxTimeoutError      the command exceeded --timeout; the message says whether it was killed

The last two are defined in `results`, because they have a result.
"""

from __future__ import annotations

from collections.abc import Iterable

from IPython.core.error import UsageError as IPythonUsageError

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class MagicError(Exception):
    """The base class of all errors of the magics. The message is one sentence for the user."""

    # IPython calls this method, if an exception has it, instead of rendering a traceback.
    def _render_traceback_(self) -> list[str]:
        return error_lines(type(self).__name__, str(self))


class UsageError(MagicError, IPythonUsageError):
    """The input is wrong; the message says what to type instead."""


class RemoteError(MagicError):
    """Runloop, or the embedded service, refused the request or cannot be reached."""


class ConnectionLostError(RemoteError):
    """An answer, or the rest of a command's output, was lost; the message says what is known about the command."""


class DevboxUnavailableError(MagicError):
    """The devbox cannot run commands now; the message says why and what to do."""


def error_lines(name: str, text: str) -> list[str]:
    """The lines that IPython shows instead of a traceback: the error's name in red, and its message."""
    from .output.terminal_text import plain_message  # only needed for an error, and errors are imported first

    return [f"{_RED}{name}{_PLAIN}: {plain_message(text)}"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'create'?" if one of the known words is similar; else empty."""
    import difflib  # only needed after a mistake

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
