"""The statuses of a devbox and the moves between them, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ..build.image import Image
from ..errors import InvalidError
from ..storage.records import Record
from ..tunnel.tunnel import Tunnel

if TYPE_CHECKING:
    from ...sandbox.base import User

Status = Literal[
    "queued", "provisioning", "initializing", "running", "suspending", "suspended", "resuming", "failure", "shutdown"
]
ShutdownReason = Literal["api_shutdown", "keep_alive_timeout", "entrypoint_exit", "idle", "ttl_expired"]
FailureReason = Literal["out_of_memory", "out_of_disk", "execution_failed", "health_check_failed"]

_ENDS: frozenset[Status] = frozenset({"failure", "shutdown"})
# `running -> suspended` without `suspending` is what a restart of the service finds: the processes are gone.
MOVES: Mapping[Status, frozenset[Status]] = {
    "queued": frozenset({"provisioning", *_ENDS}),
    "provisioning": frozenset({"initializing", *_ENDS}),
    "initializing": frozenset({"running", *_ENDS}),
    "running": frozenset({"suspending", "suspended", *_ENDS}),
    "suspending": frozenset({"suspended", *_ENDS}),
    "suspended": frozenset({"resuming", *_ENDS}),
    "resuming": frozenset({"running", "suspended", *_ENDS}),
    "failure": frozenset({"shutdown"}),
    "shutdown": frozenset(),
}
TERMINAL: frozenset[Status] = _ENDS
LIVE: tuple[Status, ...] = tuple(status for status in MOVES if status not in TERMINAL)
BUSY: frozenset[Status] = frozenset({"queued", "provisioning", "initializing", "running", "suspending", "resuming"})


@dataclass(frozen=True, slots=True)
class Transition(Record):
    """One move to another status, with its time."""

    status: Status
    time_ms: int
    """By this machine's clock, which may be set, but never before the move before it."""
    reason: str | None = None
    lasted_ms: int | None = None
    """The milliseconds spent in the state before, by a clock that nobody sets; None where nobody measured them."""


@dataclass(frozen=True, slots=True)
class Owner(Record):
    """The kernel that a devbox belongs to."""

    id: str
    ends: bool = True
    """True if the devbox ends with the kernel."""
    holds: bool = True
    """True if the devbox's keep-alive time begins only when the kernel has ended."""


@dataclass(frozen=True, slots=True)
class DevboxRecord(Record):
    """The stored fields of a devbox, without its processes and its disk."""

    id: str
    create_time_ms: int
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    launch_parameters: Mapping[str, Any] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    file_mounts: Mapping[str, str] = field(default_factory=dict)
    object_mounts: Mapping[str, str] = field(default_factory=dict)
    """Paths, and the objects to put there."""
    code_mounts: tuple[Mapping[str, Any], ...] = ()
    """Repositories, their tokens sealed."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, and the names of the secrets that they hold."""
    entrypoint: str | None = None
    transitions: tuple[Transition, ...] = ()
    failure_reason: FailureReason | None = None
    shutdown_reason: ShutdownReason | None = None
    snapshot_id: str | None = None
    blueprint_id: str | None = None
    image: Image = field(default_factory=Image)
    layers: tuple[str, ...] = ()
    has_disk: bool = False
    tunnel: Tunnel | None = None
    owner: Owner | None = None

    @property
    def status(self) -> Status:
        """The current status."""
        return self.transitions[-1].status

    @property
    def end_time_ms(self) -> int | None:
        """The time of its end, if it has ended."""
        ends = (move.time_ms for move in self.transitions if move.status in TERMINAL)
        return next(ends, None)

    @property
    def user(self) -> User:
        """The account that its commands run as."""
        chosen = self.launch_parameters.get("user_parameters")
        if chosen is None:
            return self.image.account
        return "root" if chosen.get("username") == "root" or chosen.get("uid") == 0 else "user"

    @property
    def after_idle(self) -> Mapping[str, Any] | None:
        """The rule for the time when nobody uses it, if it has one; otherwise its keep-alive time counts."""
        parameters = self.launch_parameters
        rule: Mapping[str, Any] | None = parameters.get("after_idle") or self.lifecycle_rules.get("after_idle")
        return rule

    @property
    def lifecycle_rules(self) -> Mapping[str, Any]:
        """The launch parameter `lifecycle`."""
        return self.launch_parameters.get("lifecycle") or {}


def move(
    record: DevboxRecord, status: Status, time_ms: int, reason: str | None = None, lasted_ms: int | None = None
) -> DevboxRecord:
    """The record after a move to `status`; raises `InvalidError` where that is not possible from where it is."""
    if not record.transitions:
        return replace(record, transitions=(Transition(status, time_ms, reason),))
    if status not in MOVES[record.status]:
        raise InvalidError(f"Devbox {record.id} is {record.status}, so it cannot become {status}.")
    not_before = record.transitions[-1].time_ms
    moved = Transition(status, max(not_before, time_ms), reason, lasted_ms)
    tunnel = None if status in TERMINAL else record.tunnel
    return replace(record, transitions=(*record.transitions, moved), tunnel=tunnel)


def require(record: DevboxRecord, status: Status, action: str) -> None:
    """Raise `InvalidError` unless the devbox is in `status`, which `action` ("suspend", "run a command") needs."""
    if record.status != status:
        raise InvalidError(f"Devbox {record.id} is {record.status}; to {action} it must be {status}.")


def after_restart(record: DevboxRecord, time_ms: int) -> DevboxRecord:
    """The record once the service that ran the devbox is gone: suspended, or failed if it was still launching."""
    if record.status in TERMINAL or record.status == "suspended":
        return record
    if record.status in ("queued", "provisioning", "initializing"):
        return move(record, "failure", time_ms, "service restarted while the devbox was being created")
    return move(record, "suspended", time_ms, "service restarted")


def durations(record: DevboxRecord, time_ms: int, current_ms: int | None = None) -> list[tuple[Status, int]]:
    """The states it has been in until it ended, or until `time_ms`, each with its milliseconds.

    `current_ms` is how long it has been where it is now, where that was measured. What was not is what the machine's
    clock says, and nothing where that was set back.
    """
    moves = record.transitions
    ends = [(after.time_ms, after.lasted_ms) for after in moves[1:]] + [(time_ms, current_ms)]
    return [
        (state.status, max(0, end - state.time_ms) if measured is None else measured)
        for state, (end, measured) in zip(moves, ends, strict=True)
        if state.status not in TERMINAL
    ]
