"""A devbox's life over the wire."""

import asyncio
import time
import uuid
from typing import Any

import pytest

from tests.local.api import Api
from tests.local.lasting import lasts, use_on


def states(view: dict[str, Any]) -> list[str]:
    return [transition["status"] for transition in view["state_transitions"]]


async def shut_down(api: Api, devbox: str) -> Any:
    return await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_create_answers_at_once_and_goes_through_the_real_states(api: Api) -> None:
    view = await api.json("/v1/devboxes", {"name": "box", "metadata": {"a": "b"}})
    assert view["status"] in ("queued", "provisioning", "initializing")
    view = await api.wait(view["id"], "running", "failure")
    assert states(view) == ["queued", "provisioning", "initializing", "running"]
    times = [transition["transition_time_ms"] for transition in view["state_transitions"]]
    assert times == sorted(times)
    assert (view["name"], view["metadata"]) == ("box", {"a": "b"})
    view = await shut_down(api, view["id"])
    assert (view["status"], view["shutdown_reason"]) == ("shutdown", "api_shutdown")
    assert view["end_time_ms"] >= times[-1]
    assert (await shut_down(api, view["id"]))["status"] == "shutdown"


async def test_a_retried_create_makes_one_devbox(api: Api) -> None:
    headers = {"x-request-id": str(uuid.uuid4())}
    views = await asyncio.gather(
        *(api.json("/v1/devboxes/create_and_await_running", {}, headers=headers) for _ in range(3))
    )
    assert len({view["id"] for view in views}) == 1
    await shut_down(api, views[0]["id"])


@pytest.mark.parametrize(
    "command",
    [
        "while :; do $(true); done",
        "while :; do true | true; done",
        "while :; do bash -lc true; done",
        "while :; do timeout 1 true & wait; done",
        "(sleep 1000); echo after",
        "sleep 1000 & sleep 1000 & wait",
        "sh -c 'sleep 1000; echo after' | cat",
    ],
)
async def test_a_suspend_writes_nothing_into_the_output_of_what_it_ends(api: Api, devbox: str, command: str) -> None:
    """No shell that may not fork any more says so, and none sees the end of its child."""
    executions = [await api.start(devbox, f"echo begun; {command}") for _ in range(4)]
    for execution in executions:
        assert (await anext(api.follow(execution)))["output"] == "begun\n"
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    views = [await api.json(execution) for execution in executions]
    assert [(view["exit_status"], view["stdout"], view["stderr"]) for view in views] == [(137, "begun\n", "")] * 4


async def test_suspend_and_resume_keep_the_disk_and_end_the_processes(api: Api, devbox: str) -> None:
    await api.execute(devbox, "echo kept > file")
    sleeper = await api.start(devbox, "sleep 1000")
    assert (await api.json(f"/v1/devboxes/{devbox}/suspend", {}))["status"] == "suspending"
    await api.wait(devbox, "suspended")
    assert (await api.finish(sleeper))["exit_status"] == 137
    await api.json(f"/v1/devboxes/{devbox}/execute_async", {"command": "true"}, status=400)
    await api.json(f"/v1/devboxes/{devbox}/suspend", {}, status=400)
    assert (await api.json(f"/v1/devboxes/{devbox}/resume", {}))["status"] == "resuming"
    view = await api.wait(devbox, "running")
    assert states(view)[-4:] == ["suspending", "suspended", "resuming", "running"]
    await api.json(f"/v1/devboxes/{devbox}/resume", {}, status=400)
    assert (await api.execute(devbox, "cat file"))["stdout"] == "kept\n"


async def test_a_wait_that_runs_out_is_a_408_not_another_status(api: Api, devbox: str) -> None:
    path, body = f"/v1/devboxes/{devbox}/wait_for_status", {"statuses": ["suspended", "shutdown"]}
    longer = asyncio.create_task(api.json(path, {**body, "timeout_seconds": 20.0}))
    start = time.monotonic()
    error = await api.json(path, {**body, "timeout_seconds": 0.2}, status=408)
    assert time.monotonic() - start > 0.15
    assert error["retryable"]
    assert not longer.done()
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    assert (await longer)["status"] == "suspended"


async def test_a_wait_hears_of_the_change_at_once(api: Api, devbox: str) -> None:
    body = {"statuses": ["suspended"], "timeout_seconds": 20.0}
    waiting = asyncio.create_task(api.json(f"/v1/devboxes/{devbox}/wait_for_status", body))
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    view = await waiting
    assert view["status"] == "suspended"
    assert view == await api.json(f"/v1/devboxes/{devbox}")


async def test_update(api: Api, devbox: str) -> None:
    view = await api.json(f"/v1/devboxes/{devbox}", {"name": "new", "metadata": {"x": "y"}})
    assert (view["name"], view["metadata"]) == ("new", {"x": "y"})
    view = await api.json(f"/v1/devboxes/{devbox}", {"metadata": {}})
    assert (view["name"], view["metadata"]) == ("new", {})
    assert await api.json(f"/v1/devboxes/{devbox}") == view


@pytest.mark.parametrize(
    "options",
    [{"snapshot_id": "snp_1"}, {"blueprint_id": "bpt_1"}, {"blueprint_name": "tools"}],
    ids=lambda options: next(iter(options)),
)
async def test_a_source_that_does_not_exist_is_a_404(api: Api, options: dict[str, str]) -> None:
    error = await api.json("/v1/devboxes", options, status=404)
    assert next(iter(options.values())) in error["message"]


@pytest.mark.parametrize(
    "options",
    [
        {"launch_parameters": {"keep_alive_time_seconds": 172_801}},
        {"launch_parameters": {"keep_alive_time_seconds": 0}},
        {"launch_parameters": {"after_idle": {"idle_time_seconds": 5, "on_idle": "explode"}}},
        {"launch_parameters": {"resource_size_request": "HUGE"}},
        {"file_mounts": {"f": "a" * 98_251}},
    ],
    ids=["too long a life", "no life", "on_idle", "size", "file mount"],
)
async def test_impossible_options_are_a_400(api: Api, options: dict[str, Any]) -> None:
    await api.json("/v1/devboxes", options, status=400)


async def test_options_of_a_devbox(api: Api) -> None:
    devbox = await api.create(
        environment_variables={"GREETING": "hallo du"},
        file_mounts={"notes/a.txt": "from file_mounts", "/home/user/b.txt": "abs"},
        mounts=[{"type": "file_mount", "target": "~/c.txt", "content": "from mounts"}],
        launch_parameters={
            "launch_commands": ["cat notes/a.txt > seen", "echo $GREETING >> seen"],
            "resource_size_request": "LARGE",
            "keep_alive_time_seconds": 172_800,
            "user_parameters": {"username": "user", "uid": 1000},
        },
    )
    result = await api.execute(devbox, "cat seen ~/c.txt b.txt; echo; pwd")
    assert result["stdout"].startswith("from file_mountshallo du\nfrom mountsabs\n/")
    view = await api.json(f"/v1/devboxes/{devbox}")
    assert view["launch_parameters"]["resource_size_request"] == "LARGE"
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    assert [log["cmd"] for log in logs if log["source"] == "setup_commands" and "cmd" in log] == [
        "cat notes/a.txt > seen",
        "echo $GREETING >> seen",
    ]
    await shut_down(api, devbox)


async def test_a_failing_launch_command_is_a_failure_that_says_which(api: Api) -> None:
    view = await api.json("/v1/devboxes", {"launch_parameters": {"launch_commands": ["true", "exit 7"]}})
    view = await api.wait(view["id"], "running", "failure")
    assert (view["status"], view["failure_reason"]) == ("failure", "execution_failed")
    assert "'exit 7' ended with exit status 7" in view["state_transitions"][-1]["failure_reason"]


async def test_a_devbox_can_be_shut_down_while_it_launches(api: Api) -> None:
    view = await api.json("/v1/devboxes", {"launch_parameters": {"launch_commands": ["sleep 1000"]}})
    view = await shut_down(api, view["id"])
    assert view["status"] == "shutdown"
    assert (await api.json(f"/v1/devboxes/{view['id']}"))["status"] == "shutdown"


async def test_the_end_of_the_entrypoint_is_the_end_of_the_devbox(api: Api) -> None:
    view = await api.json("/v1/devboxes", {"entrypoint": "while [ ! -e done ]; do sleep 0.02; done"})
    await api.wait(view["id"], "running")
    await api.execute(view["id"], "touch done")
    view = await api.wait(view["id"], "shutdown")
    assert view["shutdown_reason"] == "entrypoint_exit"


async def test_keep_alive_runs_out_and_can_be_put_off(api: Api) -> None:
    async def attempt(span: int) -> bool | None:
        devbox = await api.create(launch_parameters={"keep_alive_time_seconds": span})
        found = await use_on(api, devbox, span, lambda: api.post(f"/v1/devboxes/{devbox}/keep_alive", json={}))
        assert (await api.wait(devbox, "shutdown"))["shutdown_reason"] == "keep_alive_timeout"
        return found

    assert await lasts(attempt)


@pytest.mark.parametrize(("action", "reason"), [("suspend", None), ("shutdown", "idle")])
async def test_an_idle_devbox_is_suspended_or_shut_down(api: Api, action: str, reason: str | None) -> None:
    async def attempt(span: int) -> bool | None:
        idle = {"idle_time_seconds": span, "on_idle": action}
        devbox = await api.create(launch_parameters={"after_idle": idle, "keep_alive_time_seconds": span})
        await api.start(devbox, "until [ -e done ]; do sleep 0.05; done")
        if not (found := await use_on(api, devbox, span, lambda: asyncio.sleep(0))):
            return found
        start = time.monotonic()
        await api.execute(devbox, "touch done")
        view = await api.wait(devbox, "suspended", "shutdown")
        assert view["shutdown_reason"] == reason
        assert time.monotonic() - start > 0.9 * span
        return True

    assert await lasts(attempt)


async def test_list_pages_newest_first(api: Api) -> None:
    mark = uuid.uuid4().hex
    made = [(await api.json("/v1/devboxes", {"name": f"{mark} {n}"}))["id"] for n in range(5)]
    first = await api.json(f"/v1/devboxes?search={mark}&limit=2")
    assert [view["id"] for view in first["devboxes"]] == [made[4], made[3]]
    assert (first["has_more"], first["total_count"]) == (True, 5)
    rest = await api.json(f"/v1/devboxes?search={mark}&limit=5000&starting_after={made[3]}&include_total_count=false")
    assert [view["id"] for view in rest["devboxes"]] == made[2::-1]
    assert rest["has_more"] is False
    assert "total_count" not in rest
    none = await api.json(f"/v1/devboxes?search={mark}&limit=0")
    assert (none["devboxes"], none["has_more"], none["total_count"]) == ([], True, 5)
    await api.wait(made[0], "running")
    await asyncio.gather(*(shut_down(api, devbox) for devbox in made[1:]))
    running = await api.json(f"/v1/devboxes?search={mark}&status=running")
    assert [view["id"] for view in running["devboxes"]] == [made[0]]
    assert (await api.json(f"/v1/devboxes?search={made[2].upper()}"))["total_count"] == 1
    await shut_down(api, made[0])


@pytest.mark.parametrize("query", ["limit=5001", "limit=-1", "limit=x", "status=sleeping"])
async def test_wrong_list_options_are_a_400(api: Api, query: str) -> None:
    await api.json(f"/v1/devboxes?{query}", status=400)


async def test_an_unknown_cursor_is_a_404(api: Api) -> None:
    await api.json("/v1/devboxes?starting_after=dbx_nope", status=404)


async def test_usage(api: Api, devbox: str) -> None:
    usage = await api.json(f"/v1/devboxes/{devbox}/usage")
    assert (usage["id"], usage["status"]) == (devbox, "running")


@pytest.mark.parametrize("action", ["", "/suspend", "/shutdown", "/keep_alive", "/execute_async"])
async def test_an_unknown_devbox_is_a_404(api: Api, action: str) -> None:
    error = await api.json(f"/v1/devboxes/dbx_nope{action}", {"command": "true"}, status=404)
    assert "dbx_nope" in error["message"]
