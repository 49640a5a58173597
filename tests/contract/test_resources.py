"""The official client 3.0.0 and what lives beside devboxes: objects, secrets, policies, configs, axons, keys."""

import asyncio
import io
import tarfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from runloop_api_client import APIStatusError, BadRequestError, ConflictError, NotFoundError, PermissionDeniedError
from runloop_api_client.sdk import AsyncRunloopSDK, RunloopSDK
from runloop_api_client.types import AllowedCidrParam, AxonPublishParams, ScopeEntryViewParam
from runloop_api_client.types.axons import SqlStatementParams
from runloop_api_client.types.shared_params import AuthMechanism, LaunchParameters, Mount

from tests.contract.schema import check
from tests.local.serving import Service
from tests.waiting import PATIENCE


@pytest.fixture
async def sdk(service: Service) -> AsyncIterator[AsyncRunloopSDK]:
    async def checked(response: httpx.Response) -> None:
        if "json" in response.headers.get("content-type", ""):
            await response.aread()
            check(response)

    http = httpx.AsyncClient(event_hooks={"response": [checked]}, timeout=PATIENCE)
    async with AsyncRunloopSDK(
        bearer_token=service.api_key, base_url=service.base_url, max_retries=0, http_client=http
    ) as sdk:
        yield sdk


@pytest.fixture
def sync_sdk(service: Service) -> Iterator[RunloopSDK]:
    with RunloopSDK(bearer_token=service.api_key, base_url=service.base_url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "a.txt").write_text("grün")
    (tmp_path / "tree" / "deep" / "b.bin").write_bytes(bytes(range(256)))
    return tmp_path / "tree"


async def test_objects_by_hand(sdk: AsyncRunloopSDK) -> None:
    made = await sdk.storage_object.create(name="by hand", content_type="text", metadata={"a": "b"}, ttl_ms=600_000)
    assert made.upload_url
    await made.upload_content("grün")
    done = await made.complete()
    assert (done.state, done.size_bytes, done.metadata) == ("READ_ONLY", 5, {"a": "b"})
    assert await made.download_as_text(duration_seconds=60) == "grün"
    with pytest.raises(ConflictError):
        await made.complete()
    assert made.id in [found.id for found in await sdk.storage_object.list(name="hand", limit=50)]
    assert [view async for view in sdk.api.objects.list_public()] == []
    assert (await made.delete()).state == (await made.refresh()).state == "DELETED"
    with pytest.raises(NotFoundError):
        await made.get_download_url()


async def test_objects_from_everything(sdk: AsyncRunloopSDK, tree: Path) -> None:
    text = await sdk.storage_object.upload_from_text("", name="empty")
    assert await text.download_as_bytes() == b""
    data = bytes(range(256)) * 8000
    binary = await sdk.storage_object.upload_from_bytes(data, name="data", content_type="binary", metadata={"n": "1"})
    assert await binary.download_as_bytes() == data
    file = await sdk.storage_object.upload_from_file(tree / "a.txt", ttl=timedelta(hours=1))
    view = await file.refresh()
    assert (view.name, view.content_type) == ("a.txt", "text")
    folder = await sdk.storage_object.upload_from_dir(tree)
    with tarfile.open(fileobj=io.BytesIO(await folder.download_as_bytes())) as packed:
        assert {"a.txt", "deep/b.bin"} <= {name.removeprefix("./") for name in packed.getnames()}
    mounts: list[Mount] = [
        {"type": "object_mount", "object_id": folder.id, "object_path": "/home/user/tree"},
        {"type": "object_mount", "object_id": file.id, "object_path": "/home/user/one.txt"},
        {"type": "file_mount", "target": "/home/user/file.txt", "content": "three"},
    ]
    async with await sdk.devbox.create(mounts=mounts) as devbox:
        result = await devbox.cmd.exec("cat tree/a.txt one.txt file.txt; wc -c < tree/deep/b.bin")
        assert await result.stdout() == "grüngrünthree256\n"
    for made in (text, binary, file, folder):
        await made.delete()


def test_objects_and_secrets_synchronously(sync_sdk: RunloopSDK, tree: Path) -> None:
    made = sync_sdk.storage_object.upload_from_dir(tree)
    other = sync_sdk.storage_object.upload_from_file(tree / "deep" / "b.bin")
    assert other.download_as_bytes() == bytes(range(256))
    secret = sync_sdk.secret.create(name=f"S_{uuid.uuid4().hex}", value="hidden")
    mounts: list[Mount] = [{"type": "object_mount", "object_id": made.id, "object_path": "tree"}]
    with sync_sdk.devbox.create(mounts=mounts, secrets={"TOKEN": secret.name}) as devbox:
        assert devbox.cmd.exec("cat tree/a.txt; echo $TOKEN").stdout() == "grünhidden\n"
    secret.delete()
    for uploaded in (made, other):
        assert uploaded.delete().state == "DELETED"


async def test_secrets(sdk: AsyncRunloopSDK) -> None:
    name = f"S_{uuid.uuid4().hex}"
    made = await sdk.secret.create(name=name, value="one")
    view = await made.get_info()
    assert view.name == name
    assert "one" not in repr(view)
    assert (await sdk.secret.from_name(name).update("two")).id == view.id
    assert (await sdk.secret.from_id(view.id).update("three")).name == name
    assert name in [found.name for found in await sdk.secret.list()]
    async with await sdk.devbox.create(secrets={"TOKEN": name}) as devbox:
        assert await (await devbox.cmd.exec("echo $TOKEN")).stdout() == "three\n"
    with pytest.raises(BadRequestError, match=name):
        await sdk.secret.create(name=name, value="again")
    assert (await sdk.secret.from_id(view.id).delete()).name == name
    with pytest.raises(NotFoundError, match=name):
        await sdk.secret.from_name(name).get_info()


async def test_network_policies(sdk: AsyncRunloopSDK, service: Service) -> None:
    made = await sdk.network_policy.create(name="closed", allowed_hostnames=["example.com"])
    assert (await made.get_info()).egress.allowed_hostnames == ["example.com"]
    cidrs: list[AllowedCidrParam] = [{"cidr": "10.0.0.0/8", "ports": [{"port": 443}]}]
    changed = await made.update(allowed_cidrs=cidrs, description="d")
    assert (changed.egress.allowed_cidrs[0].cidr, changed.description) == ("10.0.0.0/8", "d")
    assert made.id in [found.id for found in await sdk.network_policy.list(limit=50)]
    parameters: LaunchParameters = {"network_policy_id": made.id}
    if service.isolation == "namespaces":
        async with await sdk.devbox.create(launch_parameters=parameters) as devbox:
            refused = await devbox.cmd.exec("curl -sS --noproxy '' http://localhost:9/")
            assert "network policy" in await refused.stdout()
    else:
        with pytest.raises(APIStatusError, match="network policy") as error:
            await sdk.devbox.create(launch_parameters=parameters)
        assert error.value.status_code == 501
    assert (await made.delete()).id == made.id


async def test_gateway_and_mcp_configs(sdk: AsyncRunloopSDK) -> None:
    auth: AuthMechanism = {"type": "header", "key": "x-key"}
    gateway = await sdk.gateway_config.create(name="gateway", endpoint="https://api.example.com", auth_mechanism=auth)
    assert (await gateway.get_info()).auth_mechanism.key == "x-key"
    assert (await gateway.update(name="renamed")).name == "renamed"
    assert gateway.id in [found.id for found in await sdk.gateway_config.list(limit=50)]
    mcp = await sdk.mcp_config.create(name="mcp", endpoint="https://mcp.example.com", allowed_tools=["*"])
    assert (await mcp.update(allowed_tools=["a"])).allowed_tools == ["a"]
    assert mcp.id in [found.id for found in await sdk.mcp_config.list(limit=50)]
    with pytest.raises(APIStatusError, match="gateways") as error:
        await sdk.devbox.create(gateways={"GW": {"gateway": gateway.id, "secret": "S"}})
    assert error.value.status_code == 501
    await gateway.delete()
    await mcp.delete()
    with pytest.raises(NotFoundError):
        await mcp.get_info()


async def test_axons(sdk: AsyncRunloopSDK) -> None:
    axon = await sdk.axon.create(name="events", metadata={"team": "contract"})
    event: AxonPublishParams = {"event_type": "push", "origin": "AGENT_EVENT", "payload": "{}", "source": "tests"}
    assert (await axon.publish(**event)).sequence == 1
    heard = []
    async with await axon.subscribe_sse() as stream:
        async for received in stream:
            heard.append((received.sequence, received.event_type, received.axon_id))
            if len(heard) == 2:
                break
            await axon.publish(**event)
    assert heard == [(1, "push", axon.id), (2, "push", axon.id)]
    listed = await sdk.api.axons.events.list(axon.id, limit=1)
    assert ([found.sequence for found in listed.events], listed.has_more) == ([2], True)
    assert axon.id in [found.id for found in await sdk.axon.list(limit=50, name="events")]
    await sdk.api.axons.update(axon.id, metadata={"team": "other"})
    assert (await axon.get_info()).metadata == {"team": "other"}
    await axon.sql.query(sql="CREATE TABLE tasks (id INTEGER PRIMARY KEY, name TEXT)")
    steps: list[SqlStatementParams] = [
        {"sql": "INSERT INTO tasks (name) VALUES (?)", "params": [name]} for name in ("a", "b")
    ]
    done = (await axon.sql.batch(statements=steps)).results
    assert [step.success and step.success.meta.changes for step in done] == [1, 1]
    found = await axon.sql.query(sql="SELECT name FROM tasks WHERE id > ?", params=[0])
    assert ([column.name for column in found.columns], found.rows) == (["name"], [["a"], ["b"]])
    with pytest.raises(BadRequestError, match="ATTACH"):
        await axon.sql.query(sql="ATTACH 'x' AS y")
    await sdk.api.axons.delete(axon.id)
    with pytest.raises(NotFoundError):
        await axon.publish(**event)


async def test_keys(sdk: AsyncRunloopSDK, service: Service) -> None:
    soon = int(time.time() * 1000) + 60_000
    whole = await sdk.api.apikeys.create(name="second", expires_at_ms=soon)
    scope: ScopeEntryViewParam = {"resource_type": "RESOURCE_TYPE_DEVBOXES", "access_level": "ACCESS_LEVEL_READ"}
    restricted = await sdk.api.restricted_keys.create(name="reader", scopes=[scope])
    assert restricted.scopes
    assert (whole.expires_at_ms, restricted.scopes[0].access_level) == (soon, "ACCESS_LEVEL_READ")
    connect = partial(AsyncRunloopSDK, base_url=service.base_url, max_retries=0)
    async with connect(bearer_token=whole.key_secret) as other:
        assert (await other.api.accounts.me()).id
    async with connect(bearer_token=restricted.key_secret) as reader:
        await reader.devbox.list(limit=1)
        with pytest.raises(PermissionDeniedError):
            await reader.devbox.create()


async def test_evictions_are_watched_in_vain(sdk: AsyncRunloopSDK) -> None:
    async with await sdk.api.devboxes.watch_evictions() as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(aiter(stream))
