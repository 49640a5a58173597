"""Further API keys: whole ones, restricted ones, and what is kept of them."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runloop_local.engine.storage.keys import Key
from runloop_local.routes import all_routes
from runloop_local.scopes import is_open, required_access
from tests.contract.schema import operations
from tests.local.api import Api, connect
from tests.local.serving import Service, serving

READ, WRITE = "ACCESS_LEVEL_READ", "ACCESS_LEVEL_WRITE"


def scopes(**levels: str) -> dict[str, Any]:
    return {
        "scopes": [{"resource_type": f"RESOURCE_TYPE_{kind}", "access_level": level} for kind, level in levels.items()]
    }


@asynccontextmanager
async def holding(service: Service, secret: str) -> AsyncIterator[Api]:
    async with connect(replace(service, api_key=secret)) as api:
        yield api


async def test_a_further_key_opens_everything(api: Api, service: Service) -> None:
    made = await api.json("/v1/apikeys", {"name": "second"})
    assert made["name"] == "second"
    async with holding(service, made["key_secret"]) as second:
        assert (await second.json("/v1/accounts/me"))["id"]
        third = await second.json("/v1/apikeys", {})
    async with holding(service, third["key_secret"]) as last:
        assert "devboxes" in await last.json("/v1/devboxes")


async def test_a_key_expires(api: Api, service: Service) -> None:
    for seconds in (1, 4, 16, 64):  # one of them is long enough to ask before it has passed
        soon = int(time.time() * 1000) + 1000 * seconds
        made = await api.json("/v1/apikeys", {"name": "short", "expires_at_ms": soon})
        async with holding(service, made["key_secret"]) as short:
            status = (await short.get("/v1/accounts/me")).status_code
            if time.time() * 1000 >= soon:
                continue
            assert status == 200
            await asyncio.sleep(soon / 1000 - time.time() + 0.01)
            assert (await short.get("/v1/accounts/me")).status_code == 401
            break
    else:
        pytest.fail("no key could be used before it expired")
    await api.json("/v1/apikeys", {"expires_at_ms": soon}, status=400)


async def test_a_restricted_key_reads_or_writes_what_its_scopes_say(api: Api, service: Service) -> None:
    made = await api.json("/v1/restricted_keys", {"name": "r", **scopes(DEVBOXES=READ, OBJECTS=WRITE)})
    assert made["scopes"] == scopes(DEVBOXES=READ, OBJECTS=WRITE)["scopes"]
    async with holding(service, made["key_secret"]) as restricted:
        await restricted.json("/v1/devboxes")
        assert "POST /v1/devboxes" in (await restricted.json("/v1/devboxes", {}, status=403))["message"]
        await restricted.json("/v1/devboxes/nope/wait_for_status", {"statuses": ["running"]}, status=404)
        await restricted.json("/v1/objects", {"name": "n", "content_type": "text"})
        await restricted.json("/v1/devboxes/disk_snapshots", status=403)
        await restricted.json("/v1/secrets", status=403)
        await restricted.json("/v1/apikeys", {}, status=403)


async def test_a_restricted_key_makes_none_that_may_do_more(api: Api, service: Service) -> None:
    made = await api.json("/v1/restricted_keys", scopes(ACCOUNT=WRITE, DEVBOXES=READ))
    async with holding(service, made["key_secret"]) as restricted:
        await restricted.json("/v1/restricted_keys", scopes(DEVBOXES=READ))
        await restricted.json("/v1/restricted_keys", scopes(DEVBOXES=WRITE), status=403)
        await restricted.json("/v1/apikeys", {}, status=403)


@pytest.mark.parametrize("body", [{"name": ""}, {"scopes": [{"resource_type": "X", "access_level": READ}]}], ids=str)
async def test_impossible_keys_are_a_400(api: Api, body: object) -> None:
    await api.json("/v1/restricted_keys", body, status=400)


async def test_a_key_without_scopes_may_do_nothing() -> None:
    for method, path, _ in operations():
        assert not is_open(Key("k", scopes={}), method, path)


@pytest.mark.parametrize(
    ("method", "path", "kind", "level"),
    [
        ("GET", "/v1/devboxes", "DEVBOXES", READ),
        ("POST", "/v1/devboxes/x/execute", "DEVBOXES", WRITE),
        ("POST", "/v1/devboxes/x/download_file", "DEVBOXES", READ),
        ("POST", "/v1/devboxes/x/snapshot_disk_async", "SNAPSHOTS", WRITE),
        ("GET", "/v1/devboxes/disk_snapshots", "SNAPSHOTS", READ),
        ("POST", "/v1/devboxes/disk_snapshots/x/delete", "SNAPSHOTS", WRITE),
        ("POST", "/v1/blueprints/preview", "BLUEPRINTS", READ),
        ("GET", "/v1/objects/x/download", "OBJECTS", READ),
        ("DELETE", "/v1/axons/x", "ACCOUNT", WRITE),
        ("GET", "/local/status", "ACCOUNT", READ),
    ],
)
def test_what_an_operation_needs(method: str, path: str, kind: str, level: str) -> None:
    assert required_access(method, path) == (f"RESOURCE_TYPE_{kind}", level)


async def test_secrets_of_keys_are_not_kept_and_keys_survive_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            secret = (await api.json("/v1/restricted_keys", scopes(DEVBOXES=READ)))["key_secret"]
        first.kill()
    files = itertools.chain((tmp_path / "data").glob("service*"))
    assert not any(secret.encode() in file.read_bytes() for file in files)
    with serving(tmp_path / "data") as second:
        async with holding(second, secret) as restricted:
            await restricted.json("/v1/devboxes")
            await restricted.json("/v1/devboxes", {}, status=403)


READING = {
    "/v1/devboxes/{id}/wait_for_status",
    "/v1/devboxes/{devbox_id}/executions/{execution_id}/wait_for_status",
    "/v1/devboxes/{id}/read_file_contents",
    "/v1/devboxes/{id}/download_file",
    "/v1/blueprints/preview",
}


def routes() -> list[tuple[str, str]]:
    return [(method, route.path) for route in all_routes() for method in sorted(route.methods or ())]


@pytest.mark.parametrize(("method", "path"), routes(), ids=map(" ".join, routes()))
def test_only_what_changes_nothing_is_reading(method: str, path: str) -> None:
    reads = method in ("GET", "HEAD") or (method == "POST" and path in READING)
    assert (required_access(method, path)[1] == READ) == reads
    for named in ("preview", "wait_for_status", "download_file", "read_file_contents", "x/preview", "preview\n"):
        if method not in ("GET", "HEAD") and path not in READING and "{" in path:
            filled = re.sub(r"\{\w+\}", named, path)
            assert required_access(method, filled)[1] == WRITE


async def test_a_key_that_may_read_changes_no_secret_whatever_it_is_called(api: Api, service: Service) -> None:
    made = await api.json("/v1/restricted_keys", scopes(ACCOUNT=READ))
    await api.json("/v1/secrets", {"name": "preview", "value": "before"})
    async with holding(service, made["key_secret"]) as reader:
        assert "value" not in str(await reader.json("/v1/secrets"))
        await reader.json("/v1/secrets/preview", {"value": "after"}, status=403)
        await reader.json("/v1/secrets/preview/delete", {}, status=403)
    devbox = await api.create(secrets={"T": "preview"})
    assert (await api.execute(devbox, 'echo "$T"'))["stdout"] == "before\n"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    await api.json("/v1/secrets/preview/delete", {})


async def test_a_key_that_may_read_is_not_told_what_lets_in_by_a_tunnel(api: Api, service: Service) -> None:
    devbox = await api.create(tunnel={"auth_mode": "authenticated"})
    tunnel = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]
    reader = await api.json("/v1/restricted_keys", scopes(DEVBOXES=READ))
    writer = await api.json("/v1/restricted_keys", scopes(DEVBOXES=WRITE))
    for key, shown in ((reader, None), (writer, tunnel)):
        async with holding(service, key["key_secret"]) as holder:
            waited = await holder.json(f"/v1/devboxes/{devbox}/wait_for_status", {"statuses": ["running"]})
            listed = [each for each in (await holder.json("/v1/devboxes"))["devboxes"] if each["id"] == devbox]
            views = [await holder.json(f"/v1/devboxes/{devbox}"), waited, *listed]
            assert [view["tunnel"] for view in views] == [shown] * 3
    async with holding(service, reader["key_secret"]) as holder:
        for path in ("create_pty_tunnel", "enable_tunnel", "remove_tunnel", "execute", "write_file_contents"):
            await holder.json(f"/v1/devboxes/{devbox}/{path}", {}, status=403)
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
