"""What becomes of a stream after each of its answers; no I/O here."""

from typing import TypedDict

import pytest

from runloop_sdk import APIConnectionError, APITimeoutError, NotFoundError, RunloopError, StreamError
from runloop_sdk._errors import status_error
from runloop_sdk._resume import UNKNOWN, Reading, Resumption, SourceState
from runloop_sdk._retry import LONGEST_DELAY


class RequestLine(TypedDict):
    """The request that an error is about."""

    method: str
    path: str


RETRIES = 3
WHERE: RequestLine = {"method": "GET", "path": "/v1/x"}


def refusal(status: int) -> RunloopError:
    return status_error(status, {}, b"", **WHERE)


SLOW, CUT_OFF = APITimeoutError("slow", **WHERE), APIConnectionError("cut", **WHERE)
END, END_NEW, END_LATE = Reading(), Reading(progressed=True), Reading(was_stable=True)
CUT, CUT_NEW, CUT_LATE = Reading(CUT_OFF), Reading(CUT_OFF, progressed=True), Reading(CUT_OFF, was_stable=True)
HELD, HELD_LATE, BUSY = Reading(refusal(408)), Reading(refusal(408), was_stable=True), Reading(refusal(503))
QUIET, QUIET_NEW = Reading(SLOW, was_stable=True), Reading(SLOW, progressed=True, was_stable=True)
RUNS, ENDED = SourceState(ended=False), SourceState(ended=True)
WHOLE, SHORT = SourceState(ended=True, whole=True), SourceState(ended=True, whole=False)
LOST, GONE, FOREIGN = (SourceState(error=error) for error in (CUT_OFF, refusal(404), refusal(401)))


def outcome(steps: list[tuple[Reading, SourceState]]) -> list[str]:
    """What is decided after each: `over`, `at once`, `later`, or the error's name, with which it ends."""
    resumption = Resumption("stdout", RETRIES)
    decided: list[str] = []
    for reading, state in steps:
        try:
            pause = resumption.next(reading, state)
        except RunloopError as error:
            return [*decided, type(error).__name__]
        decided.append("over" if pause is None else "later" if pause else "at once")
        assert pause is None or 0 <= pause <= LONGEST_DELAY
    return decided


AGAIN = 1000
FOR_EVER = {
    "silent": (QUIET, RUNS, "at once"),
    "a line now and then": (QUIET_NEW, RUNS, "at once"),
    "held for some time": (HELD_LATE, UNKNOWN, "at once"),
    "ended early by a proxy": (END_LATE, RUNS, "at once"),
    "cut after some time": (CUT_LATE, UNKNOWN, "later"),
    "cut after each piece": (CUT_NEW, UNKNOWN, "later"),
    "cut at once": (CUT, RUNS, "later"),
    "turned away at once with 408": (HELD, RUNS, "later"),
    "refused by a busy service": (BUSY, RUNS, "later"),
    "ended at once": (END, RUNS, "later"),
}


@pytest.mark.parametrize(("reading", "state", "decided"), FOR_EVER.values(), ids=FOR_EVER)
def test_while_the_command_runs_its_stream_is_asked_for_again_for_ever(
    reading: Reading, state: SourceState, decided: str
) -> None:
    assert outcome([(reading, state)] * AGAIN) == [decided] * AGAIN


GIVEN_UP = {
    "cut for good after its end": (CUT, SHORT),
    "silent for good after its end": (QUIET, SHORT),
    "ends too early for good": (END, SHORT),
    "nobody can be asked": (CUT, LOST),
    "silent, and nobody can be asked": (QUIET, LOST),
    "lives, and nobody can be asked": (END_LATE, LOST),
    "cut late after its end": (CUT_LATE, SHORT),
}


@pytest.mark.parametrize("step", GIVEN_UP.values(), ids=GIVEN_UP)
def test_it_is_given_up_after_so_many_tries_where_the_command_has_ended_or_is_out_of_reach(
    step: tuple[Reading, SourceState],
) -> None:
    decided = outcome([step] * AGAIN)
    assert decided[-1] == "StreamError"
    # The first look that shows the end is news, after which the tries are counted.
    assert len(decided) == RETRIES + 1 + (step[1] is SHORT)


ENDS = {
    "all has come": ([(END_NEW, WHOLE)], ["over"]),
    "all has come before a cut": ([(CUT, WHOLE)], ["over"]),
    "all has come before a silence": ([(QUIET, WHOLE)], ["over"]),
    "a view that is cut: one look more": ([(END_NEW, ENDED), (END, ENDED)], ["at once", "over"]),
    "there was more": ([(END, ENDED), (END_NEW, ENDED), (END, ENDED)], ["at once", "at once", "over"]),
    "no such command": ([(Reading(refusal(404)), UNKNOWN)], ["NotFoundError"]),
    "another key": ([(QUIET, FOREIGN)], ["AuthenticationError"]),
    "not known any more": ([(END, RUNS), (QUIET, GONE)], ["later", "NotFoundError"]),
    "not served": ([(Reading(refusal(501)), UNKNOWN)], ["ServerError"]),
    "progress forgives": ([(CUT, LOST)] * 3 + [(CUT_NEW, UNKNOWN)] + [(CUT, LOST)] * 3, ["later"] * 7),
}


@pytest.mark.parametrize(("steps", "decided"), ENDS.values(), ids=ENDS)
def test_it_ends(steps: list[tuple[Reading, SourceState]], decided: list[str]) -> None:
    assert outcome(steps) == decided


QUESTIONS = {
    "the body ended": (END, 1.0),
    "the body ended late": (END_LATE, 1.0),
    "silence": (QUIET, 0.0),
    "a cut": (CUT, None),
    "a cut after some time": (CUT_LATE, None),
    "408": (HELD, None),
}


@pytest.mark.parametrize(("reading", "seconds"), QUESTIONS.values(), ids=QUESTIONS)
def test_the_command_is_asked_about_after_an_end_and_a_silence(reading: Reading, seconds: float | None) -> None:
    assert Resumption("stdout", RETRIES).end_timeout(reading) == seconds


def test_and_after_too_many_cuts() -> None:
    resumption, asked = Resumption("stdout", RETRIES), []
    for _ in range(RETRIES + 3):
        asked.append(resumption.end_timeout(CUT))
        resumption.next(CUT, UNKNOWN if asked[-1] is None else RUNS)
    assert asked == [None] * RETRIES + [0.0] * 3


def test_the_error_says_what_stood_in_the_way() -> None:
    with pytest.raises(StreamError, match=r"stderr stream .* could not be resumed: cut"):
        Resumption("stderr", 0).next(CUT, LOST)
    with pytest.raises(StreamError, match="it ends before the output does"):
        Resumption("stderr", 0)._check_failures(SHORT, None)
    with pytest.raises(NotFoundError):
        Resumption("stderr", 0).next(CUT, GONE)
