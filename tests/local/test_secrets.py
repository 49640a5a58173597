"""Secrets: by name and id, in environments, never in answers or readable on disk."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.api import Api, connect
from tests.local.serving import Service, serving

VALUE = "s3cr3t-välue-4711"


@pytest.fixture
async def secret(api: Api) -> AsyncIterator[Any]:
    view = await api.json("/v1/secrets", {"name": f"S_{uuid.uuid4().hex}", "value": VALUE})
    yield view
    await api.post(f"/v1/secrets/id/{view['id']}/delete")


async def test_life_by_name_and_by_id(api: Api) -> None:
    name = f"S_{uuid.uuid4().hex}"
    made = await api.json("/v1/secrets", {"name": name, "value": VALUE})
    assert await api.json(f"/v1/secrets/{name}") == await api.json(f"/v1/secrets/id/{made['id']}") == made
    assert (await api.json(f"/v1/secrets/{name}", {"value": "new"}))["id"] == made["id"]
    newer = await api.json(f"/v1/secrets/id/{made['id']}/update", {"value": "newer"})
    assert newer["update_time_ms"] >= made["update_time_ms"]
    assert name in [view["name"] for view in (await api.json("/v1/secrets?limit=5000"))["secrets"]]
    assert (await api.json(f"/v1/secrets/{name}/delete", {}))["id"] == made["id"]
    for path in (name, f"id/{made['id']}"):
        await api.json(f"/v1/secrets/{path}", status=404)
        await api.json(f"/v1/secrets/{path}/delete", {}, status=404)
    again = await api.json("/v1/secrets", {"name": name, "value": VALUE})
    assert (await api.json(f"/v1/secrets/id/{again['id']}/delete", {}))["name"] == name


async def test_a_name_is_taken_once_and_a_retry_is_no_second_time(api: Api, secret: Any) -> None:
    error = await api.json("/v1/secrets", {"name": secret["name"], "value": "x"}, status=400)
    assert secret["name"] in error["message"]
    body, headers = {"name": f"S_{uuid.uuid4().hex}", "value": "x"}, {"x-request-id": str(uuid.uuid4())}
    first = await api.json("/v1/secrets", body, headers=headers)
    assert await api.json("/v1/secrets", body, headers=headers) == first
    await api.json(f"/v1/secrets/{first['name']}/delete", {})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "with.dot", "value": VALUE},
        {"name": "-dash", "value": VALUE},
        {"name": "with space", "value": VALUE},
        {"name": "1ST", "value": VALUE},
        {"name": "", "value": VALUE},
        {"name": "A" * 256, "value": VALUE},
        {"name": "NULL", "value": f"{VALUE}\0"},
        {"name": "LONG", "value": VALUE * 6000},
        {"name": "NONE"},
        {"value": VALUE},
        {"name": "NUMBER", "value": 4711},
    ],
    ids=lambda body: str(body.get("name"))[:10],
)
async def test_impossible_secrets_are_a_400_that_does_not_repeat_the_value(api: Api, body: object) -> None:
    assert "4711" not in json.dumps(await api.json("/v1/secrets", body, status=400))


@pytest.mark.parametrize("name", ["npm-token", "_a-", "A--1", "a" * 255])
async def test_a_name_may_have_dashes(api: Api, name: str) -> None:
    await api.json("/v1/secrets", {"name": name, "value": VALUE})
    devbox = await api.create(secrets={"TOKEN": name})
    assert (await api.execute(devbox, "echo $TOKEN"))["stdout"] == f"{VALUE}\n"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    assert (await api.json(f"/v1/secrets/{name}/delete", {}))["name"] == name


async def test_a_variable_has_none(api: Api, secret: Any) -> None:
    error = await api.json("/v1/devboxes", {"secrets": {"NPM-TOKEN": secret["name"]}}, status=400)
    assert "NPM-TOKEN" in error["message"]


async def test_secrets_reach_the_environment_and_nothing_else(api: Api, service: Service, secret: Any) -> None:
    devbox = await api.create(secrets={"TOKEN": secret["name"]}, environment_variables={"TOKEN": "plain", "A": "1"})
    result = await api.execute(devbox, 'echo "$TOKEN $A"')
    assert result["stdout"] == f"{VALUE} 1\n"
    await api.json(f"/v1/secrets/{secret['name']}", {"value": "changed"})
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")
    assert (await api.execute(devbox, "echo $TOKEN"))["stdout"] == "changed\n"
    assert VALUE not in json.dumps(await api.json(f"/v1/devboxes/{devbox}"))
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    on_disk = [file.read_bytes() for file in service.data_dir.glob("service*") if file.is_file()]
    assert not any(VALUE.encode() in data for data in on_disk)


async def test_a_devbox_whose_secret_is_gone_stays_suspended(api: Api) -> None:
    secret = await api.json("/v1/secrets", {"name": f"S_{uuid.uuid4().hex}", "value": VALUE})
    devbox = await api.create(secrets={"TOKEN": secret["name"]})
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json(f"/v1/secrets/{secret['name']}/delete", {})
    error = await api.json(f"/v1/devboxes/{devbox}/resume", {}, status=404)
    assert secret["name"] in error["message"]
    assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


@pytest.mark.parametrize(
    ("wanted", "status"), [({"T": "NO_SUCH_SECRET"}, 404), ({"not-a-name": "X"}, 400), ({"": "X"}, 400)], ids=str
)
async def test_a_devbox_with_impossible_secrets_is_refused(api: Api, wanted: dict[str, str], status: int) -> None:
    await api.json("/v1/devboxes", {"secrets": wanted}, status=status)


async def test_secrets_survive_a_kill_and_need_their_key(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            await api.json("/v1/secrets", {"name": "KEPT", "value": VALUE})
        first.kill()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            devbox = await api.create(secrets={"T": "KEPT"})
            assert (await api.execute(devbox, "echo $T"))["stdout"] == f"{VALUE}\n"
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    (tmp_path / "data" / "service.key").write_bytes(bytes(32))
    with serving(tmp_path / "data") as third:
        async with connect(third) as api:
            view = await api.json("/v1/devboxes/create_and_await_running", {"secrets": {"T": "KEPT"}})
            assert view["status"] == "failure"
            assert "another service.key" in view["state_transitions"][-1]["failure_reason"]
