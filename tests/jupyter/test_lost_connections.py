"""A connection that is lost in the middle: nothing is killed, and what is said of the command is so."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from runloop_jupyter.commands.blueprint import build
from runloop_jupyter.commands.devbox import exec as exec_command
from runloop_jupyter.commands.running import _conclude
from runloop_jupyter.errors import ConnectionLostError
from runloop_jupyter.executions.background import start_in_background
from runloop_jupyter.executions.command_spec import CommandSpec
from runloop_jupyter.executions.fan_out import FanOut
from runloop_jupyter.executions.foreground import run_in_cell, run_on_all
from runloop_jupyter.executions.reattach import find_execution
from runloop_jupyter.executions.run import CommandRun
from runloop_jupyter.operations.lifecycle import create
from runloop_jupyter.output.cell_output import CellOutput
from runloop_jupyter.output.transcript import Transcript
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.results import DevboxResult, DevboxTimeoutError
from runloop_jupyter.session import Session
from runloop_jupyter.variables import Variables
from runloop_sdk import APIConnectionError
from tests.jupyter import kernels
from tests.long_commands import started as started_service
from tests.sdk.cutting_proxy import CuttingProxy
from tests.sdk.raw_server import serving, whole
from tests.starter import FROM
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.serving import Service

FOR_EVER = 1_000_000
COUNT = "for n in $(seq 1000); do echo $n; test -e stop && exit 3; sleep 0.05; done"


@pytest.fixture
def proxy(service: Service) -> CuttingProxy:
    return CuttingProxy(service.base_url)


@pytest.fixture
async def session(proxy: CuttingProxy, service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A notebook's session whose way to the service is the proxy; retries come soon."""
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 0.01)
    monkeypatch.setattr("runloop_sdk._retry.LONGEST_DELAY", 0.05)
    monkeypatch.setenv("RUNLOOP_CUSTOM_HEADERS", f"host: {proxy.headers['host']}")
    async with proxy.serve() as url:
        made = Session({"RUNLOOP_API_KEY": service.api_key, "RUNLOOP_BASE_URL": url}, say=lambda text: None)
        yield made
        proxy.down, proxy.cuts = False, 0
        await asyncio.to_thread(made.end)
        await made.disconnect()


@pytest.fixture
async def box(session: Session) -> DevboxInfo:
    return await create(session, {"name": "main"}, keep_alive=600)


def quiet() -> CellOutput:
    return CellOutput(quiet=True)


async def started(session: Session, box: DevboxInfo, command: str = COUNT, **options: Any) -> CommandRun:
    run = CommandRun(session, box, CommandSpec(command, title=command, **options), Transcript())
    await run.start()
    return run


def in_cell(run: CommandRun) -> asyncio.Task[DevboxResult]:
    return asyncio.create_task(session_guarded(run))


async def session_guarded(run: CommandRun) -> DevboxResult:
    """As a magic runs it."""
    return await run._context.client.guard(run_in_cell(run, quiet(), show_status=False))


async def say_stop(session: Session, box: DevboxInfo) -> None:
    """Let `COUNT` end."""
    await (await session.client.sdk()).devbox.from_id(box.id).cmd.exec("touch stop")


def counted(text: str) -> bool:
    """Whether it is all that `COUNT` printed until it was told to stop."""
    return text == "".join(f"{n}\n" for n in range(1, text.count("\n") + 1))


async def test_the_cell_fails_the_command_goes_on_and_is_found_again(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    run = await started(session, box)
    cell = in_cell(run)
    await until(lambda: run.transcript.stdout.count("\n") > 3)
    proxy.go_down()
    with pytest.raises(ConnectionLostError, match="whether the command still runs is not known") as caught:
        await cell
    proxy.down = False
    named = re.search(r"%devbox attach (\S+) --on (\S+) ", str(caught.value))
    assert named
    execution, name = named.groups()
    again = await find_execution(session, execution, name)
    await say_stop(session, box)
    result = await again.finish(quiet())
    assert (result.exit_code, counted(result.stdout)) == (3, True)
    assert proxy.asked(b"/kill ") == 0


async def test_a_cut_that_passes_is_not_noticed_but_in_the_line_below(
    proxy: CuttingProxy, session: Session, box: DevboxInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.executions.run._LOST", 0.1)
    run = await started(session, box)
    line = run.line("running {} on main")
    cell = in_cell(run)
    await until(lambda: run.transcript.stdout.count("\n") > 3)
    assert " · " not in line()
    proxy.marker, proxy.cuts = b"stream_std", FOR_EVER
    proxy.cut_all()
    await until(lambda: run.trouble)
    assert re.fullmatch(r"running .* on main · no connection to its output for .* s, trying again", line())
    proxy.cuts = 0
    await until(lambda: not run.trouble)
    await say_stop(session, box)
    result = await cell
    assert (result.exit_code, counted(result.stdout)) == (3, True)


async def test_output_that_is_lost_for_good_after_the_end_says_how_the_command_ended(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    proxy.marker, proxy.cuts = b"stream_std", FOR_EVER
    run = await started(session, box, "echo lost; exit 3")
    with pytest.raises(
        ConnectionLostError, match=r"the command has ended with exit code 3: %devbox attach \S+ --on main"
    ):
        await in_cell(run)


async def test_one_that_is_lost_takes_no_other_with_it(proxy: CuttingProxy, session: Session, box: DevboxInfo) -> None:
    lost, other = await started(session, box, "sleep 1000"), await started(session, box)
    cells = [in_cell(run) for run in (lost, other)]
    await until(lambda: other.transcript.stdout.count("\n") > 3)
    proxy.marker, proxy.cuts = lost.execution.execution_id.encode(), FOR_EVER
    proxy.cut_all()
    with pytest.raises(ConnectionLostError):
        await cells[0]
    await say_stop(session, box)
    result = await cells[1]
    assert (result.exit_code, counted(result.stdout)) == (3, True)
    proxy.cuts = 0
    await lost.kill()


async def test_a_start_whose_answer_is_lost_may_have_started(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    proxy.marker, proxy.cuts = b"execute_async", FOR_EVER
    with pytest.raises(ConnectionLostError, match="whether the command was started is not known: %devbox logs main"):
        await started(session, box)


async def test_fail_fast_kills_for_a_failure_and_not_for_a_lost_connection(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    second = await create(session, {"name": "second"}, keep_alive=600)
    spec = CommandSpec(COUNT, title=COUNT)
    fan_out = FanOut(
        session, [box, second], lambda info, kept: CommandRun(session, info, spec, kept), quiet(), tail=None
    )
    cell = asyncio.create_task(run_on_all(fan_out, quiet(), fail_fast=True, keep=False))
    await until(lambda: all(member.output.count("\n") > 3 for member in fan_out.members))
    proxy.marker, proxy.cuts = fan_out.members[0].execution_id.encode(), FOR_EVER
    proxy.cut_all()
    await until(lambda: fan_out.members[0].result)
    assert fan_out.members[0].is_lost
    await say_stop(session, second)
    results = await cell
    assert results["second"].exit_code == 3
    assert results["main"].exit_code is None
    assert "not known" in results["main"].error
    assert proxy.asked(b"/kill ") == 0


async def test_a_handle_tells_what_was_lost_and_can_still_kill(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    run = await started(session, box)
    job = start_in_background(session, run, quiet())
    await until(lambda: run.transcript.stdout.count("\n") > 3)
    proxy.go_down()
    await until(lambda: job.done)
    assert "whether the command still runs is not known" in job.state
    proxy.down = False
    await run.kill()
    assert (await run.execution.result()).exit_code == 137


async def test_a_command_goes_on_when_the_notebook_turns_to_another_service(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    run = await started(session, box)
    cell = in_cell(run)
    await until(lambda: run.transcript.stdout.count("\n") > 3)
    async with CuttingProxy(f"http://{proxy.headers['host']}").serve() as elsewhere:
        environ = cast("dict[str, str]", session.client.environ)
        here, environ["RUNLOOP_BASE_URL"] = environ["RUNLOOP_BASE_URL"], elsewhere
        await (await session.client.sdk()).devbox.from_id(box.id).cmd.exec("touch stop")
        result = await cell
        environ["RUNLOOP_BASE_URL"] = here
    assert (result.exit_code, counted(result.stdout)) == (3, True)


async def test_what_goes_wrong_with_one_of_several_ends_none_of_the_others(session: Session, box: DevboxInfo) -> None:
    class Broken(CommandRun):
        async def finish(self, sink: Any) -> DevboxResult:
            raise ArithmeticError("a fault of ours")

    second = await create(session, {"name": "second"}, keep_alive=600)

    def make(info: DevboxInfo, kept: Transcript) -> CommandRun:
        kind = CommandRun if info.id == box.id else Broken
        return kind(session, info, CommandSpec("sleep 0.5; touch came", title=""), kept)

    fan_out = FanOut(session, [box, second], make, quiet(), tail=None)
    with pytest.raises(ArithmeticError):
        await run_on_all(fan_out, quiet(), fail_fast=False, keep=False)
    result = fan_out.members[0].result
    assert result
    assert result.success


async def test_the_context_of_a_build_that_goes_on_stays(session: Session, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "file").write_text("text")
    words = ["built", "--context", str(tmp_path / "context")]
    options = build.parser().parse(" ".join(words), None, str, Variables({}))
    sdk, made = await session.client.sdk(), []

    async def fails(error: Exception) -> None:
        async with build._request(session, options, FROM) as request:
            made.append(request["build_context"]["object_id"])
            raise error

    for error in (APIConnectionError("cut", method="GET", path="/"), ArithmeticError()):
        with pytest.raises(type(error)):
            await fails(error)
    states = [(await sdk.api.objects.retrieve(each)).state for each in made]
    assert states == ["READ_ONLY", "DELETED"]


def concluded(run: CommandRun, result: DevboxResult) -> DevboxTimeoutError:
    options = exec_command.parser().parse("true", None, str, Variables({}))
    with pytest.raises(DevboxTimeoutError, match="--timeout") as caught:
        _conclude(run, result, options)
    return caught.value


async def test_a_kill_whose_answer_is_lost_hides_no_timeout(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    run = await started(session, box, "echo begun; sleep 1000", timeout=1.0)
    proxy.marker, proxy.cuts = b"/kill ", FOR_EVER
    result = await session.client.guard(run.finish(quiet()))
    assert (result.exit_code, result.timed_out, result.stdout) == (137, True, "begun\n")
    assert str(concluded(run, result)).endswith("; the command has ended.")


async def test_a_kill_that_does_not_arrive_hides_no_timeout(
    proxy: CuttingProxy, session: Session, box: DevboxInfo
) -> None:
    run = await started(session, box, "echo begun; sleep 1000", timeout=1.0)
    ending = asyncio.create_task(session.client.guard(run.finish(quiet())))
    await until(lambda: run.transcript.stdout)
    await until(lambda: run.seconds > 0.8)
    proxy.marker, proxy.cuts = run.execution.execution_id.encode(), FOR_EVER
    result = await ending
    assert (result.exit_code, result.timed_out, result.stdout) == (None, True, "begun\n")
    error = str(concluded(run, result))
    assert "it could not be killed (" in error
    assert error.endswith(f"%devbox kill {run.execution.execution_id}.")
    proxy.cuts = 0
    await run.kill()


EXECUTION = {"devbox_id": "dbx_1", "execution_id": "exec_1", "status": "running"}
DEVBOX = {
    "id": "dbx_1",
    "name": "main",
    "status": "running",
    "launch_parameters": {},
    "capabilities": [],
    "metadata": {},
}
NOT_FOUND = whole(b'{"message": "no such execution"}', status=b"404 Not Found")


async def forgets_when_time_is_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A service that starts a command, streams nothing, and does not know it when it is to be killed."""
    while head := (await reader.readuntil(b"\r\n\r\n")).decode():
        size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(size[1]) if size else 0)
        path = head.split(" ")[1]
        if "stream_std" in path:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        elif path.endswith("execute_async"):
            writer.write(whole(json.dumps(EXECUTION).encode()))
        elif "/executions/" in path:
            writer.write(NOT_FOUND)
        else:
            writer.write(whole(json.dumps(DEVBOX).encode()))


async def test_a_404_hides_no_timeout() -> None:
    async with serving(forgets_when_time_is_up) as url:
        session = Session({"RUNLOOP_API_KEY": "k", "RUNLOOP_BASE_URL": url}, say=lambda text: None)
        run = await started(session, DevboxInfo("dbx_1", "main", "running", 0), "sleep 1000", timeout=0.1)
        result = await session.client.guard(run.finish(quiet()))
        assert (result.exit_code, result.timed_out) == (None, True)
        assert "it could not be killed (no such execution (404" in str(concluded(run, result))
        assert result.outcome.endswith(" · --timeout")
        await session.disconnect()


def test_a_service_that_hangs_for_a_while_costs_nothing(tmp_path: Path) -> None:
    with started_service(tmp_path / "home", heartbeat=0.2) as home, kernels.start(home.env) as kernel:
        kernel.run(
            "import runloop_sdk._config\nrunloop_sdk._config.STREAM_TIMEOUT = 0.5\n"
            "%load_ext runloop_jupyter\n%devbox create --name main"
        ).check()
        cell = kernel.send("%%devbox exec -o r\nfor n in $(seq 60); do echo $n; sleep 0.1; done; exit 0")
        kernel.shows(cell, "3\n")
        with home.silent():
            kernel.shows(cell, "no connection to its output for")
        kernel.ended(cell).check()
        assert "no connection" not in cell.displays[-1]
        assert kernel.value("r.stdout") == "".join(f"{n}\n" for n in range(1, 61))
