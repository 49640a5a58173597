"""What can go wrong in the engine.

EngineError
├── NotFoundError       no such resource
├── InvalidError        the request cannot be carried out as it stands
├── ForbiddenError      whoever asks may not
├── ConflictError       something else is going on that forbids it
├── TooLargeError       more bytes than the service takes
├── WaitExpiredError    a wait ran out before the status was reached
├── NotServedError      an operation or option that the embedded service does not have
├── StoppingError       the service is on its way out
├── ExhaustedError      this machine is out of processes, descriptors or memory for now
└── DiskFullError       the disk of this machine is full or refuses writes
"""

from __future__ import annotations

import errno

_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_PROCESSES = frozenset({errno.EAGAIN, errno.ENOMEM})
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class EngineError(Exception):
    """One clear sentence for the person who made the request."""

    code = "internal_error"


class NotFoundError(EngineError):
    """There is no such resource."""

    code = "not_found"


class InvalidError(EngineError):
    """The request cannot be carried out as it stands."""

    code = "invalid_request"


class ForbiddenError(EngineError):
    """Whoever asks may not."""

    code = "forbidden"


class ConflictError(EngineError):
    """Something else is going on that forbids it for now."""

    code = "conflict"


class TooLargeError(EngineError):
    """More bytes than the service takes."""

    code = "too_large"


class WaitExpiredError(EngineError):
    """A wait ran out before the status was reached; asking again is right."""

    code = "wait_expired"


class NotServedError(EngineError):
    """The embedded service does not have this operation or option."""

    code = "not_served"


class StoppingError(EngineError):
    """The service is on its way out."""

    code = "stopping"


class ExhaustedError(EngineError):
    """This machine is out of processes, descriptors or memory for now; asking again later is right."""

    code = "exhausted"


class DiskFullError(EngineError):
    """The disk of this machine is full or refuses writes."""

    code = "disk_full"


def no_descriptors() -> ExhaustedError:
    """What to tell when there is none left."""
    return ExhaustedError("The service has no descriptors left: end commands or connections, then try again.")


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk has no room: in our own words, in the system's, or in those of a program that a helper ran."""
    if isinstance(error, DiskFullError) or isinstance(error.__cause__, DiskFullError):
        return True
    return (isinstance(error, OSError) and error.errno in _DISK) or "No space left" in str(error)


def of_machine(error: Exception) -> EngineError | None:
    """What to tell of an error that means that this machine has no more of something; None for any other."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _DESCRIPTORS:
        return no_descriptors()
    if number in _PROCESSES or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        return ExhaustedError("This machine starts no more processes for the service: end commands, then try again.")
    if number in _DISK:
        return DiskFullError("The service's disk is full: free some of it, then try again.")
    return None
