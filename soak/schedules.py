"""Generates schedules of network faults for one client, before it connects."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import random

Action = Literal[
    "cut request",  # the service gets the first bytes of a request, and the end of the connection
    "cut answer",  # the client gets the first bytes of an answer, and the end of the connection
    "reset answer",  # the same with a reset
    "end early",  # the client gets the first bytes of an answer's body, in good order
    "refuse",  # the connection ends before the request is read by anybody
    "status before",  # an error in place of the service
    "status after",  # an error in place of the service's answer
    "twice at once",  # the service gets the same bytes over two connections
    "twice",  # the service gets the same bytes again once it has answered
    "late request",
    "late answer",
    "lost answer",  # nothing for a while, then the end of the connection
    "drip",  # a few bytes at a time, both ways
    "idle cut",  # after the answer, when the client would use the connection again
]
ACTIONS: tuple[Action, ...] = Action.__args__  # type: ignore[attr-defined] # a Literal's values
STATUSES = (408, 429, 500, 502, 503, 504)
TARGETS = {
    "any": b"",
    "change": rb"^(POST|PUT|DELETE) ",
    "start": rb"/execute",
    "stream": rb"stream_std|subscribe",
    "wait": rb"wait_for_status",
    "bytes": rb"upload|download|file_contents|/storage/",
}
_SPREAD = 6


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for the `nth` request that matches the target (from 0)."""

    action: Action
    target: str
    nth: int
    after: int = 0
    """The number of bytes that pass before it."""
    seconds: float = 0.0
    status: int = 503
    told: str = ""
    """A header that asks for a retry."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The faults, and if comments of streams are forwarded."""

    faults: tuple[Fault, ...]
    heartbeats: bool = True

    def __str__(self) -> str:
        lines = [
            f"{fault.action}, {fault.target} {fault.nth}: "
            f"after {fault.after} bytes, {fault.seconds:.2f} s, {fault.status} {fault.told.strip()}"
            for fault in self.faults
        ]
        return "\n".join([*lines, "no heartbeats"] if not self.heartbeats else lines)


def schedule(order: random.Random) -> Schedule:
    """Generate a few faults; fewer in a row than a client must tolerate."""
    faults = tuple(_fault(order) for _ in range(order.choice((1, 1, 2, 2, 3, 4))))
    return Schedule(faults, order.random() < 0.7)


def _fault(order: random.Random) -> Fault:
    return Fault(
        order.choice(ACTIONS),
        order.choice(list(TARGETS)),
        int(_SPREAD * order.random() ** 2),
        order.choice((0, 1, order.randrange(20, 300), order.randrange(20_000))),
        order.uniform(0.02, 0.6),
        order.choice(STATUSES),
        order.choice(("", "", "retry-after: 0\r\n", "retry-after-ms: 20\r\n", "x-should-retry: true\r\n")),
    )


class Course:
    """The progress of a schedule: assigns its faults to requests."""

    def __init__(self, plan: Schedule) -> None:
        self.heartbeats = plan.heartbeats
        self._left = list(plan.faults)
        self._seen: Counter[str] = Counter()

    def next(self, line: bytes) -> Fault | None:
        """The fault for a request with this request line, or None; each fault is used once."""
        fitting = [target for target, pattern in TARGETS.items() if re.search(pattern, line)]
        found = next((f for f in self._left if f.target in fitting and f.nth <= self._seen[f.target]), None)
        self._seen.update(fitting)
        if found is not None:
            self._left.remove(found)
        return found
