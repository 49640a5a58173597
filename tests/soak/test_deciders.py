"""What the instruments decide before and after anything happens."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from runloop_sdk import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    ConflictError,
    RateLimitError,
    RunloopError,
    ServerError,
    StreamError,
)
from soak import kernel_steps, printer, scenarios
from soak.cases import Limit, chance, described
from soak.cuts import is_honest
from soak.findings import Finding, Found, Report, table
from soak.odd_requests import Target, odd_request
from soak.odd_values import ODD, spoiled
from soak.plan import SHARES, Wanted, limits
from soak.scenarios.context import Printing, Run, judge, same
from soak.schedules import ACTIONS, TARGETS, Course, Fault, Schedule, schedule
from soak.service import Footprint, leaks, tracebacks

TARGET = Target(
    "127.0.0.1:1", "key", {"/v1/devboxes/{id}": "dbx_1"}, "13-k.tunnel.localhost:1", "token", "/storage/o?s=1"
)


def times(*seconds: float) -> Callable[[], float]:
    """A clock that tells these, one after the other."""
    return iter(seconds).__next__


@pytest.mark.parametrize(
    ("limit", "clock", "numbers"),
    [
        (Limit(count=3), times(0), [0, 1, 2]),
        (Limit(count=0), times(0), []),
        (Limit(seconds=10), times(0, 1, 9, 10), [0, 1]),
        (Limit(count=2, seconds=10), times(0, 1, 2), [0, 1]),
        (Limit(count=2, only=17), times(0), [17]),
        (Limit(count=2, first=5), times(0), [5, 6]),
    ],
)
def test_a_limit_gives_its_numbers(limit: Limit, clock: Callable[[], float], numbers: list[int]) -> None:
    assert list(limit.numbers(clock)) == numbers


def test_a_limit_is_split_into_numbers_that_are_apart() -> None:
    first, rest = Limit(count=9, seconds=90).split(2 / 3)
    assert (first.count, rest.count, first.seconds, rest.seconds) == (6, 3, 60, 30)
    numbers = [*first.numbers(itertools.repeat(0).__next__), *rest.numbers(itertools.repeat(0).__next__)]
    assert len(set(numbers)) == 9
    for number in (numbers[0], numbers[-1]):
        parts = Limit(only=number).split(2 / 3)
        assert [list(part.numbers()) for part in parts].count([number]) == 1
        assert parts.index(Limit(only=number)) == (number == numbers[-1])


def test_minutes_are_shared_by_those_without_a_count() -> None:
    found = limits(["load", "kills", "fuzz"], Wanted(45, {"kills": 100}))
    assert found["kills"] == Limit(count=100)
    shares = SHARES["load"] + SHARES["fuzz"]
    assert found["load"] == Limit(seconds=45 * 60 * SHARES["load"] / shares)
    assert limits(["cuts"], Wanted(10, {}, only=3))["cuts"] == Limit(seconds=600, only=3)
    assert limits(["load", "commands"], Wanted(10, {})) == {"commands": Limit(None, 360), "load": Limit(None, 600)}
    assert limits(["commands"], Wanted(10, {})) == {"commands": Limit(None, 600)}


def test_chances_are_the_same_for_a_case_and_others_for_its_neighbours() -> None:
    assert chance(1, "cuts", 2).random() == chance(1, "cuts", 2).random()
    near = [chance(*case).random() for case in ((1, "cuts", 2), (1, "cuts", 3), (2, "cuts", 2), (1, "load", 2))]
    assert len(set(near)) == 4


def test_a_finding_says_how_to_meet_it_again() -> None:
    assert Finding("cuts", "hangs", "x", 7, 17).command == "python -m soak cuts --seed 7 --only 17"
    assert Finding("load", "leaks", "x", 7).command == "python -m soak load --seed 7"


def test_the_table_counts_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(1)
    report.found("fuzz", "other", "a 500", 3)
    report.found("fuzz", "other", "another", 4)
    report.done("load", "9 scenarios")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.table().splitlines()]
    assert rows[0] == ["instrument", "amount", "wrong bytes", "losses", "leaks", "double runs", "hangs", "other"]
    assert rows[2] == ["load", "9 scenarios", *"000000"]
    assert rows[3] == ["fuzz", "not finished", *"000002"]
    assert "--seed 1 --only 3\n    a 500\n" in capsys.readouterr().out
    assert table({}, Counter()).count("\n") == 1


def test_every_error_of_a_case_is_told() -> None:
    group = ExceptionGroup("both", [Found("losses", "one"), ExceptionGroup("", [ValueError("two")])])
    [(first, one), (second, two)] = described(group)
    assert (first, one, second) == ("losses", "one", "other")
    assert two.endswith("ValueError: two\n")


@pytest.mark.parametrize(
    ("run", "begun", "ended", "kind"),
    [
        (Run("t", "f"), 0, 0, None),
        (Run("t", "f"), 1, 1, None),
        (Run("t", "f", done=True), 1, 1, None),
        (Run("t", "f", stopped=True), 1, 0, None),
        (Run("t", "f", done=True, stopped=True), 0, 0, None),
        (Run("t", "f"), 2, 2, "double runs"),
        (Run("t", "f", stopped=True), 2, 0, "double runs"),
        (Run("t", "f", done=True), 0, 0, "losses"),
        (Run("t", "f"), 1, 0, "losses"),
    ],
)
def test_marks_tell_how_often_a_command_ran(run: Run, begun: int, ended: int, kind: str | None) -> None:
    found = None
    try:
        judge(run, begun, ended)
    except Found as caught:
        found = caught.kind
    assert found == kind


def test_different_bytes_are_shown_where_they_begin() -> None:
    same("a", "a", "x")
    with pytest.raises(Found, match="5 instead of 4, different from 2 on: 'abXde' instead of 'abcd'") as found:
        same("abXde", "abcd", "x")
    assert found.value.kind == "wrong bytes"


@pytest.mark.parametrize("kind", printer.KINDS)
@pytest.mark.parametrize("streams", printer.STREAMS)
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_the_printer_prints_what_is_expected_of_it(kind: str, streams: str, size: int) -> None:
    printing = Printing(5, size, kind, streams, 0)
    command = [sys.executable, "-I", printer.__file__, *printing.command.split(" ")[2:]]
    done = subprocess.run(command, capture_output=True, check=True)
    wanted = printing.bytes()
    assert (done.stdout, done.stderr) == (wanted["stdout"], wanted["stderr"])
    assert len(done.stdout + done.stderr) == size


@pytest.mark.parametrize(
    ("error", "honest"),
    [
        (APIConnectionError("cut", method="GET", path="/"), True),
        (APITimeoutError("late", method="GET", path="/"), True),
        (StreamError("lost"), True),
        (ServerError("busy", status_code=503, method="GET", path="/"), True),
        (RateLimitError("slowly", status_code=429, method="GET", path="/"), True),
        (ConflictError("is complete", status_code=409, method="POST", path="/"), False),
        (BadRequestError("is suspended", status_code=400, method="POST", path="/"), False),
        (ServerError("not served", status_code=501, method="GET", path="/"), False),
        (RunloopError("what else"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_honest_that_tells_what_the_network_did(error: RunloopError, honest: bool) -> None:
    assert is_honest(error) is honest


def test_a_fault_comes_once_with_the_request_it_is_for() -> None:
    second = Fault("cut answer", "stream", 1)
    first = Fault("refuse", "any", 0)
    course = Course(Schedule((second, first)))
    lines = (b"POST /v1/devboxes/d/execute_async HTTP/1.1", b"GET /x/stream_stdout_updates HTTP/1.1")
    assert [course.next(line) for line in (*lines, lines[1], lines[1], lines[0])] == [first, None, second, None, None]


def test_schedules_have_every_fault_for_every_target() -> None:
    plans = [schedule(chance(1, "cuts", number)) for number in range(2000)]
    assert {(f.action, f.target) for plan in plans for f in plan.faults} == set(itertools.product(ACTIONS, TARGETS))
    assert {plan.heartbeats for plan in plans} == {True, False}
    assert schedule(chance(1, "cuts", 3)) == plans[3]


def test_every_scenario_and_every_step_is_drawn() -> None:
    assert {scenarios.drawn(chance(1, "load", number)) for number in range(1000)} == set(scenarios.WEIGHTS)
    plans = [kernel_steps.sequence(chance(1, "kernels", number)) for number in range(200)]
    assert {step for plan in plans for step in plan.steps} == set(kernel_steps.STEPS)
    assert {plan.ending for plan in plans} == set(kernel_steps.ENDINGS)
    assert {extra for plan in plans for extra in plan.extras} == set(kernel_steps.EXTRAS)


def test_leaks_are_what_is_more_than_before() -> None:
    before = Footprint(3, 5, 40.0, Counter(socket=2), Counter(serve=1), folders=frozenset({"layers/a"}))
    assert leaks(before, before) == []
    after = Footprint(
        4, 9, 90.0, Counter(socket=5, pipe=1), Counter(serve=1, _pump=2), 1, frozenset({"g"}), frozenset({"layers/b"})
    )
    assert leaks(before, after) == [
        "1 more processes",
        "1 more mounts",
        "3 more descriptors of socket",
        "1 more descriptors of pipe",
        "2 more tasks of _pump",
        "1 control groups left: g",
        "1 on disk left: layers/b",
        "memory grew from 40 to 90 MB",
    ]


def test_tracebacks_are_told_once_of_each_kind() -> None:
    one = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x()\nValueError: x\n'
    other = 'Traceback (most recent call last):\n  File "b.py", line 2, in g\n    y()\nKeyError: 1\n'
    log = f"hello\n{one}more\n{one}{other}"
    assert [text.splitlines()[-1] for text in tracebacks(log).values()] == ["ValueError: x", "KeyError: 1"]
    assert tracebacks("all is well\n") == {}


def test_odd_requests_are_the_same_again_and_of_all_kinds() -> None:
    odd = [odd_request(chance(1, "fuzz", number), TARGET) for number in range(3000)]
    assert odd[:50] == [odd_request(chance(1, "fuzz", number), TARGET) for number in range(50)]
    assert {one.kind for one in odd} == {"whole", "holds", "broken"}
    assert len({one.raw for one in odd}) > 2500
    asked = b"\n".join(one.raw.split(b"\r\n", 1)[0] for one in odd)
    assert all(word in asked for word in (b"/v1/devboxes/dbx_1", b"/storage/", b"/pty/", b"%00", b"limit=-1"))


def test_whole_requests_are_well_formed() -> None:
    for number in range(2000):
        odd = odd_request(chance(2, "fuzz", number), TARGET)
        if odd.kind == "whole":
            head, _, body = odd.raw.partition(b"\r\n\r\n")
            lengths = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length")]
            assert lengths in ([], [str(len(body)).encode()]), odd
            assert head.split(b"\r\n")[0].count(b" ") == 2, odd


def test_spoiling_puts_odd_values_anywhere() -> None:
    value = {"a": [1, {"b": "x"}], "c": {"d": True}}
    assert json.loads(spoiled(value, chance(1, "fuzz", 0), 0)) == value
    texts = [spoiled(value, chance(1, "fuzz", number), 1) for number in range(3000)]
    assert all(any(literal and literal in text for text in texts) for literal in ODD if literal)
    assert len(set(texts)) > 200
