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
        pytest.param(b"[" * 100_000, "[" * 300, id="deeper than Python reads"),
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
    assert len(kinds) == 21
    for kind in kinds:
        assert issubclass(kind, runloop_sdk.RunloopError)
        assert getattr(runloop_sdk, kind.__name__) is kind
        assert kind.__name__ in (_errors.__doc__ or "")


MADE = {
    "ConfigurationError": lambda kind: kind("no key"),
    "ArchiveError": lambda kind: kind("no archive"),
    "LocalFileError": lambda kind: kind(2, "No such file or directory", "/a"),
    "APIConnectionError": lambda kind: kind("cut", method="GET", path="/v1/x"),
    "APIResponseError": lambda kind: kind("no JSON", method="GET", path="/v1/x"),
    "PollingTimeoutError": lambda kind: kind("late", last=1),
    "UnexpectedStateError": lambda kind: kind("failed", view=1),
    "StreamError": lambda kind: kind("cut", cause=status_error(503, {}, b"", method="GET", path="/v1/x")),
    "CommandError": lambda kind: kind("ended with 1", exit_code=1),
}
RETRYABLE = {"APIConnectionError", "PollingTimeoutError", "StreamError"}


@pytest.mark.parametrize("name", MADE)
def test_every_error_says_what_was_asked_and_whether_again_may_help(name: str) -> None:
    error = MADE[name](getattr(runloop_sdk, name))
    asked = name in ("APIConnectionError", "APIResponseError", "StreamError")
    assert (error.method, error.path) == (("GET", "/v1/x") if asked else (None, None))
    assert error.status_code == (503 if name == "StreamError" else None)
    assert (error.code, error.request_id) == (None, None)
    assert error.retryable == (name in RETRYABLE)


@pytest.mark.parametrize(("status", "again"), [(404, False), (408, True), (409, False), (429, True), (503, True)])
def test_status_says_whether_again_may_help_where_the_api_does_not(status: int, again: bool) -> None:
    assert status_error(status, {}, b"", method="GET", path="/").retryable is again


def test_local_file_error_is_one_sentence_and_an_os_error() -> None:
    error = MADE["LocalFileError"](runloop_sdk.LocalFileError)
    assert isinstance(error, OSError)
    assert (str(error), error.errno, error.filename) == ("/a: No such file or directory", 2, "/a")
