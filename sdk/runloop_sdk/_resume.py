"""What becomes of a stream after each of its answers. Decides only.

`_output.py` asks and reads for a command's output, `_axon_events.py` for an axon's events: either is the source here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._errors import APITimeoutError, StreamError, WaitTimeoutError
from ._retry import backoff, is_retryable

if TYPE_CHECKING:
    from ._errors import RunloopError

_PATIENCE = 1.0
"""Seconds by which a source's end may lag behind the end of its stream."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one answer of a stream went."""

    error: RunloopError | None = None
    """What ended it; None for the end of its body."""
    progressed: bool = False
    """Whether it brought something new."""
    lived: bool = False
    """Whether it was open for some time: a source may be silent."""

    @property
    def was_quiet(self) -> bool:
        """Whether nothing came for so long that nobody knows whether the connection is still there."""
        return isinstance(self.error, APITimeoutError)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of the source after that; nothing where nobody asked."""

    ended: bool | None = None
    whole: bool | None = None
    """Whether all of an ended source has come; None where its view does not have all of it to compare."""
    error: RunloopError | None = None
    """What asking for it led to instead."""


NOT_ASKED = SourceState()


class Resumption:
    """Decides how one stream goes on: for as long as its source is known to live, it does.

    A silence is no failure while the source lives. Other answers without anything new, cut or ended soon, are; more
    than `max_retries` of them in a row are too many only where the source has ended, or its state cannot be had.
    """

    def __init__(self, stream: str, max_retries: int) -> None:
        self._stream = stream
        self._max_retries = max_retries
        self._failures = 0
        self._had_ended = False

    def question(self, reading: Reading) -> float | None:
        """How many seconds to wait for the source's end before going on; None to go on without asking."""
        if reading.error is None:
            return _PATIENCE
        too_many = not self._is_fine(reading, NOT_ASKED) and self._failures >= self._max_retries
        return 0.0 if reading.was_quiet or too_many or self._had_ended else None

    def next(self, reading: Reading, state: SourceState) -> float | None:
        """Seconds after which to ask for the stream again; None where all of it has come.

        Raises the error that asking again cannot help, and `StreamError` once there were too many.
        """
        error = state.error or reading.error
        if error is not None and not is_retryable(error):
            raise error
        if state.whole or self._is_over(reading, state):
            return None
        self._failures = 0 if self._is_fine(reading, state) else self._failures + 1
        self._had_ended = self._had_ended or bool(state.ended)
        if self._failures > self._max_retries:
            self._bear(state, error)
        waits = error is not None and not reading.was_quiet and not isinstance(error, WaitTimeoutError)
        return backoff(max(0, self._failures - 1)) if self._failures or waits else 0.0

    def _is_over(self, reading: Reading, state: SourceState) -> bool:
        """Whether a stream of an ended source came to its own end with nothing more in it."""
        known = self._had_ended and state.whole is None and state.error is None
        return known and reading.error is None and not reading.progressed

    def _is_fine(self, reading: Reading, state: SourceState) -> bool:
        if reading.progressed or (state.ended and not self._had_ended):
            return True
        if reading.was_quiet:
            return state.ended is False
        return reading.lived and not self._had_ended and state.error is None

    def _bear(self, state: SourceState, error: RunloopError | None) -> None:
        if state.ended is not False:
            reason = error or "it ends before the output does"
            message = f"The {self._stream} stream was cut and could not be resumed: {reason}"
            raise StreamError(message, cause=error) from error
        self._failures = self._max_retries + 1
