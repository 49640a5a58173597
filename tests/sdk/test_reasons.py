"""Why a devbox failed or ended, in whatever of the places where the API says it."""

from __future__ import annotations

from typing import Any

import pytest

from runloop_sdk import AsyncRunloopSDK, UnexpectedStateError
from runloop_sdk.models import DevboxView
from runloop_sdk.models.devboxes import reason_of


def step(status: str, reason: object = None, **more: object) -> dict[str, object]:
    return {"status": status, "transition_time_ms": 1, "failure_reason": reason, **more}


LAUNCHED = [step("queued"), step("provisioning"), step("initializing")]
SENTENCE = "The launch command 'exit 7' ended with exit status 7."
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "the word and the sentence": (
        {"failure_reason": "execution_failed", "state_transitions": [*LAUNCHED, step("failure", SENTENCE)]},
        "The launch command 'exit 7' ended with exit status 7 (execution_failed)",
    ),
    "the sentence alone": (
        {"state_transitions": [*LAUNCHED, step("failure", SENTENCE)]},
        "The launch command 'exit 7' ended with exit status 7",
    ),
    "the word alone": (
        {"failure_reason": "out_of_memory", "state_transitions": LAUNCHED},
        "it needed more memory than it has (out_of_memory)",
    ),
    "the word in both places": (
        {"failure_reason": "out_of_disk", "state_transitions": [step("failure", "out_of_disk")]},
        "it needed more disk than it has (out_of_disk)",
    ),
    "a word of tomorrow": ({"failure_reason": "gremlins", "state_transitions": []}, "gremlins"),
    "shut down": ({"shutdown_reason": "api_shutdown"}, "somebody asked for it (api_shutdown)"),
    "keep-alive": ({"shutdown_reason": "keep_alive_timeout"}, "its keep-alive time is over (keep_alive_timeout)"),
    "entrypoint": ({"shutdown_reason": "entrypoint_exit"}, "its entrypoint ended (entrypoint_exit)"),
    "failed, then shut down": (
        {
            "failure_reason": "execution_failed",
            "shutdown_reason": "api_shutdown",
            "state_transitions": [*LAUNCHED, step("failure", SENTENCE), step("shutdown")],
        },
        "The launch command 'exit 7' ended with exit status 7 (execution_failed)",
    ),
    "suspended by a restart": (
        {"state_transitions": [step("running"), step("suspended", "service restarted")]},
        "service restarted",
    ),
    "running again after that": (
        {"state_transitions": [step("suspended", "service restarted"), step("resuming"), step("running")]},
        "",
    ),
    "ended after that": (
        {"shutdown_reason": "idle", "state_transitions": [step("suspended", "service restarted"), step("shutdown")]},
        "nobody used it (idle)",
    ),
    "nobody says": ({"state_transitions": LAUNCHED}, ""),
    "nothing": ({}, ""),
    "lines, and what moves a cursor": (
        {"state_transitions": [step("failure", "git:\n  \x1b[2Jfatal:\r no\x00 such\trepository.\n")]},
        "git: [2Jfatal: no such repository",
    ),
    "long": ({"state_transitions": [step("failure", "x" * 2000)]}, "x" * 500 + "…"),
    "other kinds": (
        {"failure_reason": 7, "shutdown_reason": ["x"], "state_transitions": {"status": "failure"}},
        "",
    ),
    "other kinds below": ({"state_transitions": [1, "failure", None, {"status": 3, "failure_reason": {}}]}, ""),
    "a text of steps": ({"state_transitions": "failure"}, ""),
}


@pytest.mark.parametrize(("devbox", "reason"), CASES.values(), ids=CASES)
def test_the_reason_is_found_wherever_it_is_said(devbox: dict[str, Any], reason: str) -> None:
    assert reason_of(devbox) == reason


def test_a_view_knows_it() -> None:
    view = DevboxView.model_validate(
        {
            "id": "dbx_1",
            "create_time_ms": 1,
            "status": "failure",
            "failure_reason": "execution_failed",
            "state_transitions": [*LAUNCHED, step("failure", SENTENCE)],
            "reason": "a field of tomorrow",
        }
    )
    assert view.reason == "The launch command 'exit 7' ended with exit status 7 (execution_failed)"


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "a launch command": (
        {"launch_parameters": {"launch_commands": ["exit 7"]}},
        r"'exit 7' ended with exit status 7 \(execution_failed\)",
    ),
    "an entrypoint that ends": ({"entrypoint": "true"}, r"its entrypoint ended \(entrypoint_exit\)"),
    "a file that cannot be": ({"file_mounts": {"/proc/none/x": "text"}}, r"/proc/none/x.*\(execution_failed\)"),
}


@pytest.mark.parametrize(("parameters", "words"), FAILURES.values(), ids=FAILURES)
async def test_a_devbox_that_does_not_come_up_says_why(
    sdk: AsyncRunloopSDK, parameters: dict[str, Any], words: str
) -> None:
    async def come_up() -> None:
        devbox = await sdk.devbox.create(**parameters)
        await devbox.await_suspended()  # an entrypoint may end after it was seen to run

    with pytest.raises(UnexpectedStateError, match=words) as error:
        await come_up()
    assert "\n" not in str(error.value)
    assert error.value.view.reason in str(error.value)
