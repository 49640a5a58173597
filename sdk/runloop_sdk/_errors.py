"""Every exception this SDK raises.

RunloopError
├── ConfigurationError          no API key, a URL that is none, an empty id
├── LocalFileError              a file of this machine that cannot be read or written; an OSError too
├── ArchiveError                an archive from a devbox that cannot be read, or holds more than it may
├── APIConnectionError          no answer: refused, cut, unreachable
│   └── APITimeoutError         no answer in time
├── APIStatusError              an error status
│   ├── BadRequestError         400, 422
│   ├── AuthenticationError     401
│   ├── PermissionDeniedError   403
│   ├── NotFoundError           404
│   ├── WaitTimeoutError        408: the server's hold on a wait ran out
│   ├── ConflictError           409
│   ├── RateLimitError          429
│   └── ServerError             5xx
├── APIResponseError            an answer that violates the API
├── PollingTimeoutError         a wait reached the caller's own deadline
├── UnexpectedStateError        a resource ended in a state from which the awaited one cannot come
├── StreamError                 an output stream that could not be resumed
├── OutputTooLargeError         a command printed more than was to be read of it
└── CommandError                a command that had to succeed did not
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class RunloopError(Exception):
    """The base of all errors of this SDK; its text is one sentence for people.

    Every error has these attributes; None where there was no request, or no answer, to take them from.
    """

    status_code: int | None = None
    code: str | None = None
    """The API's own name for what is wrong."""
    request_id: str | None = None
    method: str | None = None
    path: str | None = None
    retryable: bool = False
    """True if the same request may succeed when sent again."""


class ConfigurationError(RunloopError):
    """An argument or a setting is missing or invalid."""


class LocalFileError(RunloopError, OSError):
    """A file of this machine cannot be read or written; `errno` and `filename` are those of the `OSError`."""

    def __str__(self) -> str:
        return f"{self.strerror}" if self.filename is None else f"{self.filename}: {self.strerror}"


class ArchiveError(RunloopError):
    """An archive that a devbox sent cannot be read, or holds more than it may."""


class APIConnectionError(RunloopError):
    """No answer came to `method` and `path`; `retryable` is False if a retry cannot help."""

    def __init__(self, message: str, *, method: str, path: str, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.method = method
        self.path = path


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class APIResponseError(RunloopError):
    """The answer to `method` and `path` was not what the API specifies."""

    def __init__(self, message: str, *, method: str, path: str) -> None:
        super().__init__(message)
        self.method = method
        self.path = path


class PollingTimeoutError(RunloopError):
    """A wait reached its deadline; `last` is the value seen last, None if there was none in time."""

    retryable = True

    def __init__(self, message: str, *, last: object = None) -> None:
        super().__init__(message)
        self.last = last


class UnexpectedStateError(RunloopError):
    """A resource ended in a state from which the awaited one cannot come; `view` is how it was seen last."""

    def __init__(self, message: str, *, view: object) -> None:
        super().__init__(message)
        self.view = view


class StreamError(RunloopError):
    """An output stream ended before the command's output did, and could not be resumed.

    Its attributes are those of the last error, where there was one.
    """

    retryable = True

    def __init__(self, message: str, *, cause: RunloopError | None = None) -> None:
        super().__init__(message)
        if cause is not None:
            self.status_code, self.code, self.request_id = cause.status_code, cause.code, cause.request_id
            self.method, self.path = cause.method, cause.path


class OutputTooLargeError(RunloopError):
    """A command printed more than the `limit` that its output was asked for with."""


class CommandError(RunloopError):
    """A command that had to succeed ended with another exit code than 0."""

    def __init__(self, message: str, *, exit_code: int | None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class APIStatusError(RunloopError):
    """The API answered with an error status.

    Has `status_code`, the API's own `code` and `request_id`, the request's `method` and `path`, `details`, and
    `retryable`: as the API says in the answer, or else by the status.
    """

    status_code: int
    method: str
    path: str

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        method: str,
        path: str,
        code: str | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
        details: object = None,
    ) -> None:
        reference = f", request {request_id}" if request_id else ""
        super().__init__(f"{message} ({status_code} for {method} {path}{reference})")
        self.message = message
        self.status_code = status_code
        self.method = method
        self.path = path
        self.code = code
        self.request_id = request_id
        self.retryable = _is_transient(status_code) if retryable is None else retryable
        self.details = details
        self.retry_after: float | None = None  # seconds that the answer asked to wait before a retry


class BadRequestError(APIStatusError):
    """400 or 422: the request makes no sense in the resource's state."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the API key may not do this."""


class NotFoundError(APIStatusError):
    """404: there is no such resource."""


class WaitTimeoutError(APIStatusError):
    """408: the server's hold on a wait ran out."""


class ConflictError(APIStatusError):
    """409: something else is going on with the resource."""


class RateLimitError(APIStatusError):
    """429: too many requests."""


class ServerError(APIStatusError):
    """5xx: the service failed, or does not serve this operation (501)."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: WaitTimeoutError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}


def status_error(
    status_code: int, headers: Mapping[str, str], body: bytes, *, method: str, path: str
) -> APIStatusError:
    """The exception for an answer with an error status, whatever form its body has."""
    fields = _error_fields(body)
    kind = _BY_STATUS.get(status_code, ServerError if status_code >= 500 else APIStatusError)
    return kind(
        _sentence(fields, body, status_code),
        status_code=status_code,
        method=method,
        path=path,
        code=headers.get("x-runloop-error-code") or _text(fields.get("error")),
        request_id=headers.get("x-runloop-request-id") or _text(fields.get("request_id")),
        retryable=_retryable(headers, fields),
        details=fields.get("details"),
    )


def _is_transient(status_code: int) -> bool:
    """True for a status after which a retry may succeed; not 409, which mostly reports a lasting state."""
    return status_code in (408, 429) or (status_code >= 500 and status_code != 501)


def _error_fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _sentence(fields: Mapping[str, Any], body: bytes, status_code: int) -> str:
    message = _text(fields.get("message")) or _text(fields.get("error"))
    if not message and not fields:
        message = body[:300].decode(errors="replace").strip()
    if not message or message.startswith("<"):  # a proxy's HTML page helps nobody
        message = f"the API answered {status_code}"
    return message.rstrip(".")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _retryable(headers: Mapping[str, str], fields: Mapping[str, Any]) -> bool | None:
    header = headers.get("x-should-retry")
    if header in ("true", "false"):
        return header == "true"
    value = fields.get("retryable")
    return value if isinstance(value, bool) else None
