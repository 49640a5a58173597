"""Errors carry what a caller needs, whatever form the answer has."""

import pytest

import runloop_sdk
from runloop_sdk import _errors
from runloop_sdk._errors import status_error

KINDS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "WaitTimeoutError",
    409: "ConflictError",
    418: "APIStatusError",
    422: "BadRequestError",
    429: "RateLimitError",
    500: "ServerError",
    501: "ServerError",
    503: "ServerError",
}


@pytest.mark.parametrize(("status", "kind"), KINDS.items())
def test_each_status_has_its_exception(status: int, kind: str) -> None:
    assert type(status_error(status, {}, b"", method="GET", path="/")).__name__ == kind


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b'{"error": "x", "message": "No such devbox."}', "No such devbox", id="today's form"),
        pytest.param(b'{"message": "No such devbox"}', "No such devbox", id="older form"),
        pytest.param(b"No such devbox", "No such devbox", id="plain text"),
        pytest.param(b"<html>Bad gateway</html>", "the API answered 404", id="a proxy's page"),
        pytest.param(b"", "the API answered 404", id="nothing"),
        pytest.param(b'["x"]', '["x"]', id="unexpected JSON"),
        pytest.param(b'{"message": 7}', "the API answered 404", id="message of another type"),
    ],
)
def test_message_is_found_in_every_form(body: bytes, sentence: str) -> None:
    error = status_error(404, {}, body, method="GET", path="/v1/devboxes/x")
    assert error.message == sentence
    assert str(error) == f"{sentence} (404 for GET /v1/devboxes/x)"


def test_error_carries_code_request_id_and_details() -> None:
    body = b'{"error": "conflict", "message": "Busy", "request_id": "req_1", "retryable": true, "details": {"a": 1}}'
    error = status_error(409, {"x-runloop-error-code": "SNAPSHOT"}, body, method="POST", path="/v1/x")
    assert (error.code, error.request_id, error.retryable, error.details) == ("SNAPSHOT", "req_1", True, {"a": 1})
    assert str(error) == "Busy (409 for POST /v1/x, request req_1)"


def test_every_error_has_one_root_and_is_exported() -> None:
    kinds = [value for value in vars(_errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(kinds) == 18
    for kind in kinds:
        assert issubclass(kind, runloop_sdk.RunloopError)
        assert getattr(runloop_sdk, kind.__name__) is kind
        assert kind.__name__ in (_errors.__doc__ or "")
