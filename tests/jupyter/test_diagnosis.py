"""What is said when an answer was lost: only what was asked and answered."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from runloop_jupyter.connection import Connection
from runloop_jupyter.diagnosis import Findings, Subject, error_for, investigate
from runloop_jupyter.errors import ConnectionLostError, DevboxUnavailableError, RemoteError
from runloop_jupyter.resources.devboxes import DevboxInfo, describe
from runloop_sdk import AsyncRunloopSDK
from tests.local.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.local.serving import Service

CLOUD = Connection("https://api.example", "secret-key")
EMBEDDED = Connection("http://127.0.0.1:4321", "secret-key", embedded=True)
OTHER = Connection("http://127.0.0.1:4322", "secret-key", embedded=True)
BOX = DevboxInfo("dbx_1", "main", "running", 0)
NOBODY, DEVBOX = Subject(), Subject(BOX)
COMMAND, START = Subject(BOX, "exec_1"), Subject(BOX, starting=True)
LOST = "The stdout stream was cut and could not be resumed: cut"


def box(status: str) -> DevboxInfo:
    return replace(BOX, status=status)


UNKNOWN, ATTACH = "not known", "%devbox attach exec_1 --on main"
SAID: dict[str, tuple[Connection, Subject, Findings, tuple[str, ...]]] = {
    "ended": (EMBEDDED, COMMAND, Findings("ended"), ("has ended; the next cell", "4321", "%devbox resume")),
    "replaced": (EMBEDDED, COMMAND, Findings("replaced"), ("was started again", "%devbox resume")),
    "the command runs": (EMBEDDED, COMMAND, Findings("answers", BOX, "running"), (LOST, "still runs on main", "kill")),
    "it is queued": (CLOUD, COMMAND, Findings("answers", BOX, "queued"), (LOST, "still runs", "attach exec_1 follows")),
    "it has ended": (CLOUD, COMMAND, Findings("answers", BOX, "completed", 3), ("ended with exit code 3", ATTACH)),
    "with no code": (CLOUD, COMMAND, Findings("answers", BOX, "completed"), ("the command has ended: ", ATTACH)),
    "it is forgotten": (CLOUD, COMMAND, Findings("answers", BOX, "unknown"), ("does not know the command any more",)),
    "no word of it": (CLOUD, COMMAND, Findings("answers", BOX), (f"runs is {UNKNOWN}", ATTACH)),
    "no word of the devbox": (CLOUD, COMMAND, Findings("answers"), (f"runs is {UNKNOWN}", ATTACH)),
    "no such devbox": (CLOUD, COMMAND, Findings("answers", "unknown"), ("does not know main (dbx_1) any more",)),
    "busy": (EMBEDDED, COMMAND, Findings("silent"), ("has not answered within 3 s", UNKNOWN, ATTACH)),
    "busy cloud": (CLOUD, COMMAND, Findings("silent"), ("api.example", "has not answered within 3 s", UNKNOWN)),
    "no network": (CLOUD, COMMAND, Findings("refuses"), ("cannot be reached: check the network", UNKNOWN, ATTACH)),
    "about to end": (EMBEDDED, COMMAND, Findings("refuses"), ("on this machine cannot be reached", UNKNOWN)),
    "a start": (CLOUD, START, Findings("answers", BOX), ("was started is not known", "%devbox logs main")),
    "a start, no network": (CLOUD, START, Findings("refuses"), ("cannot be reached", "was started is not known")),
    "no command": (CLOUD, DEVBOX, Findings("answers", BOX), (LOST,)),
    "a list": (CLOUD, NOBODY, Findings("answers"), (LOST, "the service answers now")),
    "a list, no network": (CLOUD, NOBODY, Findings("refuses"), ("cannot be reached: check the network",)),
    "a list, busy": (EMBEDDED, NOBODY, Findings("silent"), ("has not answered within 3 s",)),
}


@pytest.mark.parametrize(("connection", "subject", "found", "words"), SAID.values(), ids=SAID)
def test_a_sentence_says_what_was_found(
    connection: Connection, subject: Subject, found: Findings, words: tuple[str, ...]
) -> None:
    error = error_for(LOST, subject, found, connection)
    text = str(error)
    assert isinstance(error, ConnectionLostError)
    assert all(word in text for word in words), text
    assert text.endswith((".", "current one.", "devbox.")), text
    assert "\n" not in text
    assert ".." not in text
    assert "secret" not in text
    assert ("still runs on" in text) == (found.execution in ("running", "queued"))
    assert ("come back suspended" in text) == (found.service == "ended")
    assert ("what ran is suspended" in text) == (found.service == "replaced")
    assert (UNKNOWN in text) <= (None in (found.execution, found.devbox))


@pytest.mark.parametrize("status", ["suspended", "suspending", "resuming", "shutdown", "failure"])
@pytest.mark.parametrize("subject", [COMMAND, START, DEVBOX], ids=["command", "start", "devbox"])
def test_a_devbox_that_does_not_run_is_the_reason(status: str, subject: Subject) -> None:
    error = error_for(LOST, subject, Findings("answers", box(status)), CLOUD)
    assert isinstance(error, DevboxUnavailableError)
    assert str(error) == str(error_for("Something else", subject, Findings("answers", box(status)), EMBEDDED))


# What is asked, of real services


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving(tmp_path_factory.mktemp("own") / "data") as running:
        yield running


@pytest.fixture
async def sdk(own: Service) -> AsyncIterator[AsyncRunloopSDK]:
    async with AsyncRunloopSDK(bearer_token=own.api_key, base_url=own.base_url) as client:
        yield client


def at(service: Service, *, embedded: bool = False) -> Connection:
    return Connection(service.base_url, service.api_key, embedded)


async def test_command_and_devbox_are_asked(own: Service, sdk: AsyncRunloopSDK) -> None:
    devbox = await sdk.devbox.create(name="asked")
    info, here = describe(await devbox.get_info()), at(own)
    running = await devbox.cmd.exec_async("sleep 1000")
    ended = await devbox.cmd.exec_async("exit 3")
    await ended.result()
    found = [
        await investigate(Subject(info, execution), here, None)
        for execution in (running.execution_id, ended.execution_id, "exec_none", "")
    ]
    assert [(each.execution, each.exit_code) for each in found] == [
        ("running", None),
        ("completed", 3),
        ("unknown", None),
        (None, None),
    ]
    assert all(each.service == "answers" and each.devbox == info for each in found)
    await devbox.suspend()
    await devbox.await_suspended()
    suspended = await investigate(Subject(info, running.execution_id), here, None)
    assert isinstance(suspended.devbox, DevboxInfo)
    assert suspended.devbox.status == "suspended"
    assert await investigate(Subject(replace(info, id="dbx_none"), "exec_1"), here, None) == Findings(
        "answers", "unknown"
    )
    assert await investigate(NOBODY, here, None) == Findings("answers")
    wrong_key = replace(here, api_key="wrong")
    assert await investigate(Subject(info, "exec_1"), wrong_key, None) == Findings("answers")
    await devbox.shutdown()


async def test_a_service_that_hangs_is_not_taken_for_one_that_ended(
    own: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.diagnosis.PATIENCE", 0.3)
    here = at(own, embedded=True)
    os.kill(own.process.pid, signal.SIGSTOP)
    try:
        assert await investigate(COMMAND, here, lambda: here) == Findings("silent")
        assert await investigate(NOBODY, here, None) == Findings("silent")
    finally:
        os.kill(own.process.pid, signal.SIGCONT)
    assert (await investigate(NOBODY, here, lambda: here)).service == "answers"


async def test_what_became_of_the_embedded_service_is_looked_up(own: Service) -> None:
    def unreadable() -> Connection:
        raise RemoteError("no state")

    here, nowhere = at(own, embedded=True), Connection("http://127.0.0.1:1", "key", embedded=True)
    assert await investigate(COMMAND, here, lambda: None) == Findings("ended")
    assert await investigate(COMMAND, here, lambda: OTHER) == Findings("replaced")
    assert await investigate(COMMAND, here, lambda: replace(here, api_key="new")) == Findings("replaced")
    assert await investigate(NOBODY, here, unreadable) == Findings("answers")
    assert await investigate(NOBODY, nowhere, unreadable) == Findings("refuses")
    assert await investigate(NOBODY, nowhere, None) == Findings("refuses")


async def test_one_that_takes_no_connections_any_more_is_given_time_to_end(tmp_path: Path) -> None:
    nowhere = Connection("http://127.0.0.1:1", "key", embedded=True)
    looks = iter([nowhere, nowhere, nowhere])
    assert await investigate(NOBODY, nowhere, lambda: next(looks, None)) == Findings("ended")
