"""Which failures are tried again, and when."""

import time
from email.utils import formatdate

import pytest

from runloop_sdk._errors import APIConnectionError, APITimeoutError, ConfigurationError, status_error
from runloop_sdk._retry import LONGEST_DELAY, backoff, is_retryable, retry_after


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        pytest.param(400, {}, b"", False, id="bad request"),
        pytest.param(401, {}, b"", False, id="no key"),
        pytest.param(404, {}, b"", False, id="not found"),
        pytest.param(408, {}, b"", True, id="timeout"),
        pytest.param(409, {}, b"", False, id="conflict"),
        pytest.param(409, {}, b'{"retryable": true}', True, id="conflict that passes"),
        pytest.param(429, {}, b"", True, id="rate limit"),
        pytest.param(500, {}, b"", True, id="server error"),
        pytest.param(500, {}, b'{"retryable": false}', False, id="server error for good"),
        pytest.param(501, {}, b"", False, id="not served"),
        pytest.param(503, {"x-should-retry": "false"}, b"", False, id="header says no"),
        pytest.param(400, {"x-should-retry": "true"}, b'{"retryable": false}', True, id="header beats body"),
    ],
)
def test_status_decides_unless_the_api_says_otherwise(
    status: int, headers: dict[str, str], body: bytes, expected: bool
) -> None:
    assert is_retryable(status_error(status, headers, body, method="GET", path="/v1/x")) is expected


def test_lost_connections_are_retried_and_mistakes_are_not() -> None:
    assert is_retryable(APIConnectionError("cut", method="GET", path="/"))
    assert is_retryable(APITimeoutError("late", method="GET", path="/"))
    assert not is_retryable(ConfigurationError("no key"))


def test_backoff_grows_with_jitter_up_to_its_limit() -> None:
    for attempt, full in enumerate([0.5, 1, 2, 4, 8, 8, 8]):
        assert 0.75 * full <= backoff(attempt) <= full
    assert backoff(1000) <= LONGEST_DELAY


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"retry-after": "3"}, 3.0, id="seconds"),
        pytest.param({"retry-after-ms": "250", "retry-after": "3"}, 0.25, id="milliseconds first"),
        pytest.param({"retry-after": "soon"}, None, id="nonsense"),
        pytest.param({"retry-after": "3600"}, None, id="too long to believe"),
        pytest.param({"retry-after": "-1"}, None, id="negative"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
    ],
)
def test_retry_after_is_used_when_it_makes_sense(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = retry_after({"retry-after": formatdate(time.time() + 20, usegmt=True)})
    assert soon is not None
    assert 17 <= soon <= 21
    assert retry_after({"retry-after": formatdate(time.time() - 20, usegmt=True)}) == 0
    assert retry_after({"retry-after": formatdate(time.time() + 3600, usegmt=True)}) is None
