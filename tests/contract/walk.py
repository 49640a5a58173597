"""Every operation of the API, called with the official client of the interpreter that runs this.

`walk.py BASE_URL KEY` prints a line of JSON for each answer: method, path, status, body (null where it is not JSON).
A method that this release of the client does not have is called by its path instead. With `retrying` after the key, it
is on a network that loses answers, and the client may ask again.
"""

import asyncio
import json
import platform
import sys
import uuid
from typing import Any

import httpx
import runloop_api_client._base_client as base_client
from runloop_api_client import APIStatusError, AsyncRunloop, NotFoundError

BASE_URL, KEY, *MANNER = sys.argv[1:]
RETRIES = 2 if MANNER == ["retrying"] else 0
PORT = BASE_URL.rpartition(":")[2]
BEARER = {"type": "bearer"}
STARTER = f"runloop:runloop/starter-{'arm64' if platform.machine() == 'aarch64' else 'x86_64'}"
base_client.INITIAL_RETRY_DELAY = 0.0  # type: ignore[attr-defined] # a name that it has imported


async def record(response: httpx.Response) -> None:
    is_json = "json" in response.headers.get("content-type", "")
    body = json.loads(await response.aread()) if is_json else None
    answer = [response.request.method, response.request.url.path, response.status_code, body]
    print(json.dumps(answer), flush=True)  # noqa: T201 -- the test reads it


def client(key: str = KEY, **headers: str) -> AsyncRunloop:
    http = httpx.AsyncClient(event_hooks={"response": [record]}, timeout=60)
    return AsyncRunloop(
        base_url=BASE_URL, bearer_token=key, http_client=http, default_headers=headers, max_retries=RETRIES
    )


async def first(stream: Any) -> Any:
    """The first event of a stream, which is then closed."""
    async with stream:
        return await anext(aiter(stream))


async def refused(work: Any) -> None:
    """What this service does not have, see differences.py."""
    status = 200
    try:
        await work
    except APIStatusError as error:
        status = error.status_code
    assert status == 501, "this is served: say so in differences.py"


async def missing(work: Any) -> None:
    try:
        await work
    except NotFoundError:
        return
    raise AssertionError("it is still there")


async def devboxes(c: AsyncRunloop) -> None:
    evictions = await c.devboxes.watch_evictions() if hasattr(c.devboxes, "watch_evictions") else None
    box = await c.devboxes.create_and_await_running(name="walk")
    if evictions is None:
        await c.get(
            "/v1/devboxes/evictions/watch", cast_to=object, options={"headers": {"accept": "text/event-stream"}}
        )
    else:
        await evictions.close()
    await c.devboxes.update(box.id, name="walked", metadata={"a": "b"})
    await c.post(f"/v1/devboxes/{box.id}/wait_for_status", body={"statuses": ["running"]}, cast_to=object)
    await c.devboxes.retrieve(box.id)
    await c.devboxes.list(limit=1)
    await commands(c, box.id)
    await c.devboxes.write_file_contents(box.id, file_path="f", contents="grün")
    assert await c.devboxes.read_file_contents(box.id, file_path="f") == "grün"
    await c.devboxes.upload_file(box.id, path="g", file=b"\xff\x00")
    assert await (await c.devboxes.download_file(box.id, path="g")).read() == b"\xff\x00"
    await c.devboxes.logs.list(box.id)
    await c.devboxes.retrieve_resource_usage(box.id)
    await c.devboxes.keep_alive(box.id)
    await tunnels(c, box.id)
    await snapshots(c, box.id)
    await tokens(c, box.id)
    await c.devboxes.suspend(box.id)
    body = {"statuses": ["suspended"], "timeout_seconds": 20.0}
    await c.post(f"/v1/devboxes/{box.id}/wait_for_status", body=body, cast_to=object)
    await c.devboxes.resume(box.id)
    await c.devboxes.shutdown(box.id)
    other = await c.devboxes.create(name="another")
    await c.devboxes.shutdown(other.id)


async def watch_evictions() -> None:
    """With httpx, for a client that does not know them; heartbeats come without end."""
    async with httpx.AsyncClient(event_hooks={"response": [record]}) as http:
        headers = {"authorization": f"Bearer {KEY}"}
        async with http.stream("GET", f"{BASE_URL}/v1/devboxes/evictions/watch", headers=headers) as response:
            response.raise_for_status()


async def commands(c: AsyncRunloop, box: str) -> None:
    shown = await c.devboxes.execute(box, command="echo out; echo err >&2; exit 3", command_id=str(uuid.uuid4()))
    assert (shown.exit_status, shown.stdout, shown.stderr) == (3, "out\n", "err\n")
    assert (await c.devboxes.execute_sync(box, command="echo sync")).stdout == "sync\n"
    run = await c.devboxes.execute_async(box, command="cat; echo err >&2; sleep 1000", attach_stdin=True)
    ids: dict[str, Any] = {"execution_id": run.execution_id, "devbox_id": box}
    await c.devboxes.executions.send_std_in(**ids, text="in\n")
    await c.devboxes.executions.send_std_in(**ids, signal="EOF")
    assert (await first(await c.devboxes.executions.stream_stdout_updates(**ids))).output == "in\n"
    assert (await first(await c.devboxes.executions.stream_stderr_updates(**ids))).output == "err\n"
    await c.devboxes.executions.retrieve(**ids)
    await c.devboxes.executions.kill(**ids)
    ended = await c.devboxes.wait_for_command(**ids, statuses=["completed"], timeout_seconds=20)
    assert ended.exit_status == 137


async def tunnels(c: AsyncRunloop, box: str) -> None:
    await c.devboxes.enable_tunnel(box)
    await c.devboxes.remove_tunnel(box)
    path = f"/v1/devboxes/{box}/create_pty_tunnel"
    tunnel: Any = await c.post(path, cast_to=object)
    terminals = client(tunnel["auth_token"], host=f"13-{tunnel['tunnel_key']}.tunnel.localhost:{PORT}")
    await terminals.get("/pty/main", cast_to=object)
    await terminals.post("/pty/main/control", body={"action": "close"}, cast_to=object)
    await refused(c.devboxes.create_ssh_key(box))


async def snapshots(c: AsyncRunloop, box: str) -> None:
    made = await c.devboxes.snapshot_disk(box, name="one")
    later = await c.devboxes.snapshot_disk_async(box, name="two")
    await c.devboxes.disk_snapshots.await_completed(later.id)
    await c.devboxes.disk_snapshots.update(made.id, name="renamed")
    await c.devboxes.list_disk_snapshots(devbox_id=box)
    for snapshot in (made, later):
        await c.devboxes.delete_disk_snapshot(snapshot.id)
    assert (await c.devboxes.disk_snapshots.query_status(made.id)).status == "deleted"


async def tokens(c: AsyncRunloop, box: str) -> None:
    for kind in ("gateway", "mcp"):
        made, body = await upstream(c, kind)
        secret = await c.secrets.create(name=f"WALK_{uuid.uuid4().hex}", value="hidden")
        path = f"/v1/devboxes/{box}/create_{kind}_token"
        await refused(c.post(path, body={**body, "secret": secret.name}, cast_to=object))
        await c.secrets.delete(secret.name)
        await c.post(f"/v1/{kind}-configs/{made}/delete", cast_to=object)
        await missing(c.get(f"/v1/{kind}-configs/{made}", cast_to=object))


async def upstream(c: AsyncRunloop, kind: str) -> tuple[str, dict[str, str]]:
    """A gateway or MCP config, changed once; its id, and how a devbox's token names it."""
    name = f"walk-{uuid.uuid4().hex}"
    more = {"allowed_tools": ["*"]} if kind == "mcp" else {}
    body = {"name": name, "endpoint": "https://example.com", "auth_mechanism": BEARER, **more}
    made: Any = await c.post(f"/v1/{kind}-configs", body=body, cast_to=object)
    await c.post(f"/v1/{kind}-configs/{made['id']}", body={"description": "changed"}, cast_to=object)
    await c.get(f"/v1/{kind}-configs/{made['id']}", cast_to=object)
    await c.get(f"/v1/{kind}-configs", cast_to=object)
    return made["id"], {"mcp_config" if kind == "mcp" else "gateway": name}


async def blueprints(c: AsyncRunloop) -> None:
    dockerfile = f"FROM {STARTER}\nRUN echo built > /built\n"
    await c.blueprints.preview(name="walk", dockerfile=dockerfile)
    made = await c.blueprints.create(name="walk", dockerfile=dockerfile)
    await c.blueprints.await_build_complete(made.id)
    await c.blueprints.retrieve(made.id)
    await c.blueprints.logs(made.id)
    await c.blueprints.list(limit=1)
    await c.blueprints.list_public()
    await c.blueprints.delete(made.id)


async def objects(c: AsyncRunloop) -> None:
    made = await c.objects.create(name="walk", content_type="text")
    async with httpx.AsyncClient() as http:
        (await http.put(str(made.upload_url), content="grün")).raise_for_status()
        await c.objects.complete(made.id)
        got = await c.objects.download(made.id)
        assert (await http.get(got.download_url)).text == "grün"
    await c.objects.retrieve(made.id)
    await c.objects.list(limit=1)
    await c.objects.list_public()
    await c.objects.delete(made.id)


async def secrets(c: AsyncRunloop) -> None:
    name = f"WALK_{uuid.uuid4().hex}"
    made = await c.secrets.create(name=name, value="hidden")
    await c.secrets.update(name, value="other")
    await c.get(f"/v1/secrets/{name}", cast_to=object)
    await c.get(f"/v1/secrets/id/{made.id}", cast_to=object)
    await c.post(f"/v1/secrets/id/{made.id}/update", body={"value": "third"}, cast_to=object)
    await c.secrets.list()
    await c.secrets.delete(name)
    again = await c.secrets.create(name=name, value="hidden")
    await c.post(f"/v1/secrets/id/{again.id}/delete", cast_to=object)


async def policies(c: AsyncRunloop) -> None:
    made = await c.network_policies.create(name=f"walk-{uuid.uuid4().hex}", allowed_hostnames=["example.com"])
    await c.network_policies.update(made.id, description="changed")
    await c.network_policies.retrieve(made.id)
    await c.network_policies.list(limit=1)
    await c.network_policies.delete(made.id)


async def axons(c: AsyncRunloop) -> None:
    made: Any = await c.post("/v1/axons", body={"name": "walk"}, cast_to=object)
    path = f"/v1/axons/{made['id']}"
    await c.post(path, body={"metadata": {"a": "b"}}, cast_to=object)
    event = {"event_type": "e", "origin": "USER_EVENT", "payload": "{}", "source": "walk"}
    await c.post(f"{path}/publish", body=event, cast_to=object)
    await first(await c.axons.subscribe_sse(made["id"]))
    await c.get(f"{path}/events", cast_to=object)
    await c.post(f"{path}/sql/query", body={"sql": "SELECT 1"}, cast_to=object)
    await c.post(f"{path}/sql/batch", body={"statements": [{"sql": "SELECT 1"}]}, cast_to=object)
    await c.get(path, cast_to=object)
    await c.get("/v1/axons", cast_to=object)
    await c.delete(path, cast_to=object)


async def keys(c: AsyncRunloop) -> None:
    await c.get("/v1/accounts/me", cast_to=object)
    await c.post("/v1/apikeys", body={"name": "walk"}, cast_to=object)
    scope = {"resource_type": "RESOURCE_TYPE_DEVBOXES", "access_level": "ACCESS_LEVEL_READ"}
    await c.post("/v1/restricted_keys", body={"name": "walk", "scopes": [scope]}, cast_to=object)


async def main() -> None:
    async with client() as c:
        for part in (devboxes, blueprints, objects, secrets, policies, axons, keys):
            await part(c)


asyncio.run(main())
