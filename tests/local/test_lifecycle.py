"""The state machine as tables."""

from itertools import pairwise
from typing import get_args

import pytest

from runloop_local.engine.devbox.lifecycle import (
    MOVES,
    DevboxRecord,
    Status,
    Transition,
    after_restart,
    durations,
    move,
)
from runloop_local.engine.errors import InvalidError


def statuses(path: str) -> list[Status]:
    return [status for word in path.split() for status in MOVES if status == word]


def record(*path: Status) -> DevboxRecord:
    return DevboxRecord("dbx_1", 0, transitions=tuple(Transition(status, at) for at, status in enumerate(path)))


PATHS = {
    "a whole life": "queued provisioning initializing running suspending suspended resuming running shutdown",
    "shut down while queued": "queued shutdown",
    "failed while launching": "queued provisioning failure",
    "a failed one is shut down": "queued failure shutdown",
    "a lost service": "queued provisioning initializing running suspended",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_allowed_paths_keep_every_transition_with_its_time(path: str) -> None:
    found = DevboxRecord("dbx_1", 0)
    for time, status in enumerate(statuses(path)):
        found = move(found, status, time)
    assert [transition.status for transition in found.transitions] == path.split()
    assert all(earlier.time_ms < later.time_ms for earlier, later in pairwise(found.transitions))


ALLOWED = {(source, target) for source, targets in MOVES.items() for target in targets}
FORBIDDEN = sorted({(a, b) for a in get_args(Status) for b in get_args(Status)} - ALLOWED)


@pytest.mark.parametrize(("source", "target"), FORBIDDEN)
def test_any_other_move_is_refused(source: Status, target: Status) -> None:
    with pytest.raises(InvalidError, match=f"is {source}, so it cannot become {target}"):
        move(record(source), target, 1)


def test_nothing_leaves_shutdown_and_everything_reaches_it() -> None:
    assert MOVES["shutdown"] == frozenset()
    assert all("shutdown" in MOVES[status] for status in get_args(Status) if status != "shutdown")


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("queued", "failure"),
        ("provisioning", "failure"),
        ("initializing", "failure"),
        ("running", "suspended"),
        ("suspending", "suspended"),
        ("resuming", "suspended"),
        ("suspended", "suspended"),
        ("failure", "failure"),
        ("shutdown", "shutdown"),
    ],
)
def test_a_restart_leaves_no_devbox_between_states(status: Status, becomes: Status) -> None:
    found = after_restart(record(status), 9)
    assert found.status == becomes
    assert status == becomes or "service restarted" in (found.transitions[-1].reason or "")


def running_ms(found: DevboxRecord, time_ms: int, current_ms: int | None = None) -> int:
    return sum(ms for status, ms in durations(found, time_ms, current_ms) if status == "running")


@pytest.mark.parametrize(
    ("path", "active"),
    [("queued", 0), ("queued running", 8), ("queued running suspending", 1), ("running suspended resuming running", 7)],
)
def test_only_running_time_is_active(path: str, active: int) -> None:
    assert running_ms(record(*statuses(path)), 9) == active


def test_end_is_the_first_end() -> None:
    assert record("queued", "running").end_time_ms is None
    assert record("queued", "failure", "shutdown").end_time_ms == 1


def test_nothing_is_counted_after_the_end() -> None:
    ended = record("queued", "provisioning", "initializing", "running", "failure", "shutdown")
    assert durations(ended, 100) == [("queued", 1), ("provisioning", 1), ("initializing", 1), ("running", 1)]


HOUR = 3_600_000
CLOCKS: dict[str, tuple[int, int, int | None, int | None, int]] = {
    # The clock when it began to run, when it was suspended, and what was measured: of the run, and since.
    "as ever": (0, 5000, 5000, 7, 5000),
    "set back in a run": (HOUR, 5000, 5000, 7, 5000),
    "set forward in a run": (0, HOUR, 5000, 7, 5000),
    "set back, and not measured": (HOUR, 5000, None, None, 0),
    "not measured": (0, 5000, None, None, 5000),
}


@pytest.mark.parametrize(("began", "ended", "lasted", "since", "active"), CLOCKS.values(), ids=CLOCKS.keys())
def test_a_clock_that_is_set_counts_for_nothing(
    began: int, ended: int, lasted: int | None, since: int | None, active: int
) -> None:
    found = DevboxRecord("dbx_1", began, transitions=(Transition("running", began),))
    found = move(found, "suspended", ended, lasted_ms=lasted)
    assert running_ms(found, ended - HOUR, since) == active
    assert all(ms >= 0 for _, ms in durations(found, ended - HOUR, since))


def test_times_of_moves_never_go_back() -> None:
    found = DevboxRecord("dbx_1", HOUR)
    times = (HOUR, 1, HOUR + 2, 3)
    for time, status in zip(times, statuses("queued provisioning initializing running"), strict=True):
        found = move(found, status, time)
    assert [transition.time_ms for transition in found.transitions] == [HOUR, HOUR, HOUR + 2, HOUR + 2]
