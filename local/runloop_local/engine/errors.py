"""What can go wrong in the engine.

EngineError
├── NotFoundError       no such resource
├── PrunedError         it was there, and is no longer kept
├── InvalidError        the request cannot be carried out as it stands
├── ForbiddenError      whoever asks may not
├── ConflictError       something else is going on that forbids it
├── ReusedRequestIdError  another request came with the same x-request-id
├── TooLargeError       more bytes than the service takes
├── WaitExpiredError    a wait ran out before the status was reached
├── UnknownKernelError  the kernel that a devbox is to belong to is not seen to live
├── NotServedError      an operation or option that the embedded service does not have
├── StoppingError       the service is on its way out
├── ExhaustedError      this machine is out of processes, descriptors or memory for now
├── DiskFullError       there is no room for it on the disk
├── StorageError        the disk, or a file on it, cannot be used for another reason
└── UnreadableError     a record was stored that this service cannot read
"""

from __future__ import annotations

import errno

from ..sandbox.base import SandboxFull


class EngineError(Exception):
    """One clear sentence for the person who made the request."""

    code = "internal_error"


class NotFoundError(EngineError):
    """There is no such resource."""

    code = "not_found"


class PrunedError(EngineError):
    """It was there, and is no longer kept."""

    code = "pruned"


class InvalidError(EngineError):
    """The request cannot be carried out as it stands."""

    code = "invalid_request"


class ForbiddenError(EngineError):
    """Whoever asks may not."""

    code = "forbidden"


class ConflictError(EngineError):
    """Something else is going on that forbids it for now."""

    code = "conflict"


class ReusedRequestIdError(EngineError):
    """Another request came with the same `x-request-id`."""

    code = "request_id_reused"


class TooLargeError(EngineError):
    """More bytes than the service takes."""

    code = "too_large"


class WaitExpiredError(EngineError):
    """A wait ran out before the status was reached; asking again is right."""

    code = "wait_expired"


class UnknownKernelError(EngineError):
    """The kernel that a devbox is to belong to is not seen to live."""

    code = "unknown_kernel"


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
    """There is no room for it on the disk."""

    code = "disk_full"


class StorageError(EngineError):
    """The disk, or a file on it, cannot be used, and not for want of room."""

    code = "storage_error"


class UnreadableError(EngineError):
    """A record was stored that this service cannot read; it is kept as it is."""

    code = "unreadable_record"


def no_descriptors() -> ExhaustedError:
    """What to tell when there is none left."""
    return ExhaustedError("The service has no descriptors left: end commands or connections, then try again.")


_NO_PROCESSES = (ExhaustedError, "This machine starts no more processes for the service: end commands, then try again.")
_MEANINGS: dict[int, tuple[type[EngineError], str]] = {
    errno.EMFILE: (ExhaustedError, str(no_descriptors())),
    errno.ENFILE: (ExhaustedError, "This machine has no descriptors left: end programs on it, then try again."),
    errno.EAGAIN: _NO_PROCESSES,
    errno.ENOMEM: (ExhaustedError, "This machine has no memory left for the service: end commands, then try again."),
    errno.ENOSPC: (DiskFullError, "The disk is full: shut devboxes down or delete snapshots, blueprints or objects."),
    errno.EDQUOT: (DiskFullError, "The disk quota of the service's account is used up: delete something of it."),
    errno.EFBIG: (DiskFullError, "The service may not write a file that large: see ulimit -f, or the file system."),
    errno.EROFS: (StorageError, "The file system is mounted read-only."),
}


def of_machine(error: BaseException) -> EngineError | None:
    """What to tell of an error in which the system says what this machine lacks; None for any other."""
    number = error.errno if isinstance(error, OSError) else None
    known = _MEANINGS.get(number) if number is not None else None
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        known = _NO_PROCESSES
    return None if known is None else known[0](known[1])


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, was said to be for want of room by the system or by a program."""
    while error is not None:
        if isinstance(error, DiskFullError | SandboxFull) or isinstance(of_machine(error), DiskFullError):
            return True
        error = error.__cause__
    return False
