"""Further API keys: whole ones, restricted ones, and what is kept of them."""

import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runloop_local.engine.keys import Key
from runloop_local.scopes import is_open, needed
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
    soon = int(time.time() * 1000) + 300
    made = await api.json("/v1/apikeys", {"name": "short", "expires_at_ms": soon})
    async with holding(service, made["key_secret"]) as short:
        assert (await short.get("/v1/accounts/me")).status_code == 200
        while time.time() * 1000 <= soon:
            await short.get("/v1/accounts/me")
        assert (await short.get("/v1/accounts/me")).status_code == 401
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
    assert needed(method, path) == (f"RESOURCE_TYPE_{kind}", level)


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
