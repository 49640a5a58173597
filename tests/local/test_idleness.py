"""What keeps a devbox from being idle, and what happens when it is."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.local.api import Api
from tests.local.serving import Service
from tests.local.test_pty import tunnel_to

IDLE = {"after_idle": {"idle_time_seconds": 1, "on_idle": "suspend"}}
SPAN = 1.8
"""Seconds after which a devbox that nobody uses is suspended for sure."""


async def status_after(api: Api, devbox: str, use: Any) -> str:
    """How a devbox is after being used every now and then for longer than its idle time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SPAN
    while loop.time() < end:
        await use()
        await asyncio.sleep(0.2)
    status: str = (await api.json(f"/v1/devboxes/{devbox}"))["status"]
    return status


async def visits(api: Api, service: Service, **tunnel: bool) -> str:
    devbox = await api.create(tunnel=tunnel, launch_parameters=IDLE)
    key = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]["tunnel_key"]
    await api.start(devbox, "nohup python3 -m http.server 8000 >/dev/null 2>&1 &")
    host = f"8000-{key}.tunnel.localhost:{service.base_url.rpartition(':')[2]}"
    async with httpx.AsyncClient(base_url=service.base_url, headers={"host": host}) as client:
        return await status_after(api, devbox, lambda: client.get("/"))


async def attaches(api: Api, service: Service) -> str:
    devbox = await api.create(launch_parameters=IDLE)
    host = await tunnel_to(api, service, devbox)
    await host.bootstrap()
    async with host.attach():
        return await status_after(api, devbox, lambda: asyncio.sleep(0))


async def runs(api: Api, _service: Service) -> str:
    devbox = await api.create(launch_parameters=IDLE)
    await api.start(devbox, "sleep 20")
    return await status_after(api, devbox, lambda: asyncio.sleep(0))


async def reads(api: Api, _service: Service) -> str:
    devbox = await api.create(launch_parameters=IDLE)
    file = {"file_path": "/etc/hostname"}
    return await status_after(api, devbox, lambda: api.post(f"/v1/devboxes/{devbox}/read_file_contents", json=file))


async def looks(api: Api, _service: Service) -> str:
    devbox = await api.create(launch_parameters=IDLE)
    return await status_after(api, devbox, lambda: api.json(f"/v1/devboxes/{devbox}"))


async def test_what_counts_as_use(api: Api, service: Service) -> None:
    found = await asyncio.gather(
        visits(api, service),
        visits(api, service, http_keep_alive=False),
        attaches(api, service),
        runs(api, service),
        reads(api, service),
        looks(api, service),
    )
    assert found == ["running", "suspended", "running", "running", "running", "suspended"]


async def test_keep_alive_is_put_off_by_traffic(api: Api, service: Service) -> None:
    devbox = await api.create(tunnel={}, launch_parameters={"keep_alive_time_seconds": 1})
    key = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]["tunnel_key"]
    await api.start(devbox, "nohup python3 -m http.server 8001 >/dev/null 2>&1 &")
    host = f"8001-{key}.tunnel.localhost:{service.base_url.rpartition(':')[2]}"
    async with httpx.AsyncClient(base_url=service.base_url, headers={"host": host}) as client:
        assert await status_after(api, devbox, lambda: client.get("/")) == "running"
    assert (await api.wait(devbox, "shutdown"))["shutdown_reason"] == "keep_alive_timeout"


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
    hooks = {"suspend_commands": ["sleep 30", "echo never > said"], "suspend_deadline_ms": 200}
    devbox = await api.create(launch_parameters={"lifecycle": {"lifecycle_hooks": hooks}})
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    assert (await api.wait(devbox, "suspended", timeout=5))["status"] == "suspended"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


@pytest.mark.parametrize(
    "parameters",
    [
        {"lifecycle": {"lifecycle_hooks": {"suspend_deadline_ms": 60_001}}},
        {"lifecycle": {"lifecycle_hooks": {"suspend_commands": "ls"}}},
        {"lifecycle": {"resume_triggers": {"http": "perhaps"}}},
        {**IDLE, "lifecycle": {"after_idle": {"idle_time_seconds": 2, "on_idle": "suspend"}}},
    ],
    ids=["too long a deadline", "no list", "no truth", "two rules"],
)
async def test_rules_that_cannot_be(api: Api, parameters: dict[str, Any]) -> None:
    await api.json("/v1/devboxes", {"launch_parameters": parameters}, status=400)
