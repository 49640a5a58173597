"""The engine's exceptions.

EngineError
├── NotFoundError         the resource does not exist
├── PrunedError           the data was deleted by the retention limits
├── InvalidError          the request is invalid
├── ForbiddenError        the API key does not allow it
├── ConflictError         the resource's state, or another operation, does not allow it
├── ReusedRequestIdError  a different request had the same x-request-id
├── TooLargeError         the request exceeds a size limit
├── WaitExpiredError      a wait timed out before the status was reached
├── UnknownKernelError    the service cannot see that the kernel is alive
├── NotServedError        the embedded service lacks the operation or option
├── StoppingError         the service is stopping
├── ExhaustedError        this machine is out of processes, descriptors or memory
├── DiskFullError         the disk is full
├── StorageError          the disk, or a file on it, cannot be used for another reason
└── UnreadableError       a stored record cannot be read
"""

from __future__ import annotations

import errno


class EngineError(Exception):
    """Base of the engine's errors; the text is one sentence for the user."""

    code = "internal_error"


class NotFoundError(EngineError):
    """The resource does not exist."""

    code = "not_found"


class PrunedError(EngineError):
    """The data was deleted by the retention limits."""

    code = "pruned"


class InvalidError(EngineError):
    """The request is invalid."""

    code = "invalid_request"


class ForbiddenError(EngineError):
    """The API key does not allow the request."""

    code = "forbidden"


class ConflictError(EngineError):
    """The resource's state, or another operation on it, does not allow the request now."""

    code = "conflict"


class ReusedRequestIdError(EngineError):
    """A different request had the same `x-request-id`."""

    code = "request_id_reused"


class TooLargeError(EngineError):
    """The request exceeds a size limit."""

    code = "too_large"


class WaitExpiredError(EngineError):
    """A wait timed out before the status was reached; the client should repeat it."""

    code = "wait_expired"


class UnknownKernelError(EngineError):
    """The service cannot see that the kernel is alive."""

    code = "unknown_kernel"


class NotServedError(EngineError):
    """The embedded service does not have this operation or option."""

    code = "not_served"


class StoppingError(EngineError):
    """The service is stopping."""

    code = "stopping"


class ExhaustedError(EngineError):
    """This machine is out of processes, descriptors or memory; the client may retry later."""

    code = "exhausted"


class DiskFullError(EngineError):
    """The disk is full."""

    code = "disk_full"


class StorageError(EngineError):
    """The disk, or a file on it, cannot be used for another reason than being full."""

    code = "storage_error"


class UnreadableError(EngineError):
    """A stored record cannot be read; it is kept unchanged."""

    code = "unreadable_record"


def no_descriptors() -> ExhaustedError:
    """The error for a service without free descriptors."""
    return ExhaustedError("The service has no descriptors left: end commands or connections, then try again.")


_NO_MORE_PROCESSES = (ExhaustedError, "This machine cannot start more processes: end commands, then try again.")
_BY_ERRNO: dict[int, tuple[type[EngineError], str]] = {
    errno.EMFILE: (ExhaustedError, str(no_descriptors())),
    errno.ENFILE: (ExhaustedError, "This machine has no descriptors left: end programs on it, then try again."),
    errno.EAGAIN: _NO_MORE_PROCESSES,
    errno.ENOMEM: (ExhaustedError, "This machine has no memory left for the service: end commands, then try again."),
    errno.ENOSPC: (DiskFullError, "The disk is full: shut devboxes down or delete snapshots, blueprints or objects."),
    errno.EDQUOT: (DiskFullError, "The disk quota of the service's account is used up: delete some of its files."),
    errno.EFBIG: (DiskFullError, "The service cannot write a file that large: see ulimit -f, or the file system."),
    errno.EROFS: (StorageError, "The file system is mounted read-only."),
}


def of_machine(error: BaseException) -> EngineError | None:
    """The engine's error for a system error that says what this machine lacks; None for any other."""
    number = error.errno if isinstance(error, OSError) else None
    known = _BY_ERRNO.get(number) if number is not None else None
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        known = _NO_MORE_PROCESSES
    return None if known is None else known[0](known[1])


def is_disk_full(error: BaseException | None) -> bool:
    """True if an error, or one of its causes, says that the disk is full."""
    from ..sandbox.base import SandboxFull  # not with the module, which the command line imports on Windows

    while error is not None:
        if isinstance(error, DiskFullError | SandboxFull) or isinstance(of_machine(error), DiskFullError):
            return True
        error = error.__cause__
    return False
