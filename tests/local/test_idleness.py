"""What keeps a devbox from being idle, and what happens when it is."""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from tests.local.api import Api
from tests.local.lasting import lasts, use_on
from tests.local.serving import Service
from tests.local.test_pty import tunnel_to
from tests.waiting import PATIENCE, until


def idle(span: int) -> dict[str, Any]:
    """The parameters of a devbox that is suspended after so many seconds without use."""
    return {"after_idle": {"idle_time_seconds": span, "on_idle": "suspend"}}


async def serves(api: Api, service: Service, devbox: str) -> httpx.AsyncClient:
    """A client of a web server in a devbox that has a tunnel."""
    key = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]["tunnel_key"]
    await api.start(devbox, "nohup python3 -m http.server 8000 >/dev/null 2>&1 &")
    host = f"8000-{key}.tunnel.localhost:{service.base_url.rpartition(':')[2]}"
    return httpx.AsyncClient(base_url=service.base_url, headers={"host": host}, timeout=PATIENCE)


async def visits(api: Api, service: Service, span: int) -> bool | None:
    devbox = await api.create(tunnel={}, launch_parameters=idle(span))
    async with await serves(api, service, devbox) as client:
        return await use_on(api, devbox, span, lambda: client.get("/"))


async def attaches(api: Api, service: Service, span: int) -> bool | None:
    devbox = await api.create(launch_parameters=idle(span))
    host = await tunnel_to(api, service, devbox)
    await host.bootstrap()
    async with host.attach():
        return await use_on(api, devbox, span, lambda: asyncio.sleep(0))


async def runs(api: Api, _service: Service, span: int) -> bool | None:
    devbox = await api.create(launch_parameters=idle(span))
    await api.start(devbox, "sleep 1000")
    return await use_on(api, devbox, span, lambda: asyncio.sleep(0))


async def reads(api: Api, _service: Service, span: int) -> bool | None:
    devbox = await api.create(launch_parameters=idle(span))
    file = {"file_path": "/etc/hostname"}
    return await use_on(api, devbox, span, lambda: api.post(f"/v1/devboxes/{devbox}/read_file_contents", json=file))


async def test_what_counts_as_use(api: Api, service: Service) -> None:
    uses = (visits, attaches, runs, reads)
    assert await asyncio.gather(*(lasts(partial(use, api, service)) for use in uses)) == [True] * 4


async def test_what_does_not_count_as_use(api: Api, service: Service) -> None:
    looked_at = await api.create(launch_parameters=idle(1))
    await until(lambda: has_gone_to_sleep(api, looked_at), "a devbox that is only looked at to be suspended")
    visited = await api.create(tunnel={"http_keep_alive": False}, launch_parameters=idle(1))
    async with await serves(api, service, visited) as client:
        await until(lambda: has_gone_to_sleep(api, visited, client), "one that is only visited to be suspended")


async def has_gone_to_sleep(api: Api, devbox: str, visitor: httpx.AsyncClient | None = None) -> bool:
    if visitor:
        await visitor.get("/")
    return bool((await api.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended")


async def test_keep_alive_is_put_off_by_traffic(api: Api, service: Service) -> None:
    async def attempt(span: int) -> bool | None:
        devbox = await api.create(tunnel={}, launch_parameters={"keep_alive_time_seconds": span})
        async with await serves(api, service, devbox) as client:
            found = await use_on(api, devbox, span, lambda: client.get("/"))
        assert (await api.wait(devbox, "shutdown"))["shutdown_reason"] == "keep_alive_timeout"
        return found

    assert await lasts(attempt)


async def test_last_commands_run_before_a_suspend(api: Api) -> None:
    hooks = {"suspend_commands": ["echo one >> said", "exit 7", "echo two >> said"]}
    devbox = await api.create(launch_parameters={"lifecycle": {"lifecycle_hooks": hooks}})
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")
    assert (await api.execute(devbox, "cat said"))["stdout"] == "one\ntwo\n"
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    assert 7 in [log.get("exit_code") for log in logs]
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_last_commands_have_an_end(api: Api) -> None:
    hooks = {"suspend_commands": ["sleep 1000", "echo never > said"], "suspend_deadline_ms": 200}
    devbox = await api.create(launch_parameters={"lifecycle": {"lifecycle_hooks": hooks}})
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")
    assert (await api.execute(devbox, "cat said"))["stdout"] == ""
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


@pytest.mark.parametrize(
    "parameters",
    [
        {"lifecycle": {"lifecycle_hooks": {"suspend_deadline_ms": 60_001}}},
        {"lifecycle": {"lifecycle_hooks": {"suspend_commands": "ls"}}},
        {"lifecycle": {"resume_triggers": {"http": "perhaps"}}},
        {**idle(1), "lifecycle": idle(2)},
    ],
    ids=["too long a deadline", "no list", "no truth", "two rules"],
)
async def test_rules_that_cannot_be(api: Api, parameters: dict[str, Any]) -> None:
    await api.json("/v1/devboxes", {"launch_parameters": parameters}, status=400)
