"""The policy for resuming a stream of events after each of its responses. Decides, and does no I/O.

The requests are made by `_output.py` for a command's output and by `_axon_events.py` for an axon's events. The command
or the axon is called the source here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._errors import APITimeoutError, StreamError, WaitTimeoutError
from ._retry import backoff, is_retryable

if TYPE_CHECKING:
    from ._errors import RunloopError

_END_LAG = 1.0
"""Seconds by which the source may be reported as ended later than its stream ended."""


class Reading(NamedTuple):
    """The outcome of one response of a stream."""

    error: RunloopError | None = None
    """The error that ended it; None if its body ended regularly."""
    progressed: bool = False
    """True if it brought anything new."""
    was_stable: bool = False
    """True if it was open for a while, even without any event: a source may be silent."""

    @property
    def timed_out(self) -> bool:
        """True if it was silent for so long that the connection may be dead."""
        return isinstance(self.error, APITimeoutError)


class SourceState(NamedTuple):
    """The state of the source after a response; all None where it was not requested."""

    ended: bool | None = None
    whole: bool | None = None
    """True if everything of an ended source was received; None if its view is cut, so that this is unknown."""
    error: RunloopError | None = None
    """The error of the request for the state."""


UNKNOWN = SourceState()


class Resumption:
    """Decides whether and when one stream is requested again: always, as long as its source is known to run.

    Silence is no failure while the source runs. Any other response that brings nothing new and ends soon is one. More
    than `max_retries` failures in a row end the stream, but only if the source has ended or its state is unknown.
    """

    def __init__(self, stream: str, max_retries: int) -> None:
        self._stream = stream
        self._max_retries = max_retries
        self._failures = 0
        self._end_seen = False

    def end_timeout(self, reading: Reading) -> float | None:
        """Seconds to wait for the source to end before resuming; None to resume without a request for its state."""
        if reading.error is None:
            return _END_LAG  # probably the end of the source, but proxies end responses, too
        # A cut says nothing about the source; its state is requested after a silence, and before giving up.
        too_many = not self._is_success(reading, UNKNOWN) and self._failures >= self._max_retries
        return 0.0 if reading.timed_out or too_many or self._end_seen else None

    def next(self, reading: Reading, state: SourceState) -> float | None:
        """Seconds after which to request the stream again; None if it is complete.

        Raises an error that cannot be retried as it is, and `StreamError` after too many failures.
        """
        error = state.error or reading.error
        if error is not None and not is_retryable(error):
            raise error
        if state.whole or self._is_exhausted(reading, state):
            return None
        self._failures = 0 if self._is_success(reading, state) else self._failures + 1
        self._end_seen = self._end_seen or bool(state.ended)
        if self._failures > self._max_retries:
            self._check_failures(state, error)
        # After a silence, or when the service ends a held request, there is nothing that needs time to recover.
        waits = error is not None and not reading.timed_out and not isinstance(error, WaitTimeoutError)
        return backoff(max(0, self._failures - 1)) if self._failures or waits else 0.0

    def _is_exhausted(self, reading: Reading, state: SourceState) -> bool:
        """True if the source had ended before this response, and the response ended regularly with nothing new."""
        # Without a view to compare with, one more response is needed: the first may have ended before the last output.
        known = self._end_seen and state.whole is None and state.error is None
        return known and reading.error is None and not reading.progressed

    def _is_success(self, reading: Reading, state: SourceState) -> bool:
        # The first news of the end counts as progress: only from then on are the attempts to get the rest counted.
        if reading.progressed or (state.ended and not self._end_seen):
            return True
        if reading.timed_out:
            return state.ended is False
        return reading.was_stable and not self._end_seen and state.error is None

    def _check_failures(self, state: SourceState, error: RunloopError | None) -> None:
        """Raise `StreamError`, unless the source is known to run."""
        if state.ended is not False:
            reason = error or "it ends before the output does"
            message = f"The {self._stream} stream was cut and could not be resumed: {reason}"
            raise StreamError(message, cause=error) from error
        self._failures = self._max_retries + 1  # while the source runs, the delay stays at its longest
