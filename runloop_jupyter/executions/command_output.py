"""The output of one command on its way to where it is kept and shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import RemoteError
from ..text.quoting import reference

if TYPE_CHECKING:
    from ..output.transcript import Stream, Transcript
    from .remote_command import RemoteCommand
    from .sink import Sink

CONCEAL, REVEAL = "\x1b[8m", "\x1b[28m"  # as `remote.terminal` writes them, which only a devbox can import
_CONCEALMENT = re.compile("|".join(map(re.escape, (CONCEAL, REVEAL))))


class CommandOutput:
    """Keeps each piece of a command's output in a transcript, and passes it on.

    With `terminal`, stderr is not the command's: the maker of its terminal tells by it what must be known here.
    """

    def __init__(self, transcript: Transcript, command: RemoteCommand, *, terminal: bool) -> None:
        self.transcript = transcript
        self.hides_input = False
        """True while what is typed must not be shown, as a password."""
        self._command = command
        self._terminal = terminal

    def take(self, stream: Stream, text: str, sink: Sink) -> None:
        """Keep and show a piece."""
        if stream == "stderr" and self._terminal:
            text = self._without_concealment(text)
        # Kept first: what was shown and is not in the result could not be found again.
        try:
            self.transcript.append(stream, text)
        except OSError as error:
            raise RemoteError(
                f"The output of {self._command.devbox.label} cannot be kept here: {error.strerror}; the command goes "
                f"on: %devbox kill {reference(self._command.execution_id, '')} ends it."
            ) from error
        sink.write(stream, text)

    def end(self, sink: Sink) -> None:
        """Take the end of the output."""

    def _without_concealment(self, text: str) -> str:
        """Heed what the maker of the terminal tells: all that the command prints comes by stdout."""
        told = _CONCEALMENT.findall(text)
        self.hides_input = told[-1] == CONCEAL if told else self.hides_input
        return _CONCEALMENT.sub("", text)
