"""For each route that makes or changes something: a request to it, and what tells how often it was carried out."""

import fcntl
import os
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.local.api import Api
from tests.local.kernel import registered
from tests.starter import FROM

Count = Callable[[Api], Awaitable[int]]


@dataclass(frozen=True)
class Retried:
    """One request, ready to be sent."""

    path: str
    body: Any = field(default_factory=dict)
    method: str = "POST"
    count: Count | None = None
    """How often it was carried out so far, where that can be seen."""
    recount: bool = True
    """Whether that can also be seen after a restart."""
    afterwards: int = 200
    """What a request of another id is answered once this one was carried out."""
    restarted: int = 200
    """What its retry is answered after a restart that has undone it."""
    host: str = ""
    key: str = ""

    async def send(self, api: Api, mark: str) -> httpx.Response:
        """Send it under this id."""
        headers = {"x-request-id": mark}
        if self.host:
            headers |= {"host": f"{self.host}:{api.base_url.port}", "authorization": f"Bearer {self.key}"}
        return await api.request(self.method, self.path, json=self.body, headers=headers)


Case = Callable[[Api], Awaitable[Retried]]
CASES: dict[tuple[str, str], Case] = {}


def case(template: str, method: str = "POST") -> Callable[[Case], Case]:
    """Enter the case of a route."""

    def enter(make: Case) -> Case:
        CASES[method, template] = make
        return make

    return enter


def listed(path: str) -> Count:
    """How many a list has."""

    async def count(api: Api) -> int:
        total: int = (await api.json(f"{path}{'&' if '?' in path else '?'}limit=0"))["total_count"]
        return total

    return count


def lines(devbox: str, file: str) -> Count:
    """How many lines a file in a devbox has."""

    async def count(api: Api) -> int:
        return int((await api.execute(devbox, f"cat {file} 2>/dev/null | wc -l"))["stdout"])

    return count


def fresh(prefix: str = "N") -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


# Devboxes


@case("/v1/devboxes")
async def create(api: Api) -> Retried:
    return Retried("/v1/devboxes", {"name": "once"}, count=listed("/v1/devboxes"))


@case("/v1/devboxes/create_and_await_running")
async def create_and_await(api: Api) -> Retried:
    return Retried("/v1/devboxes/create_and_await_running", {"name": "once"}, count=listed("/v1/devboxes"))


@case("/v1/devboxes/{id}")
async def update_devbox(api: Api) -> Retried:
    return Retried(f"/v1/devboxes/{await api.create()}", {"name": "renamed"})


@case("/v1/devboxes/{id}/suspend")
async def suspend(api: Api) -> Retried:
    devbox = await api.create()
    return Retried(f"/v1/devboxes/{devbox}/suspend", count=moves(devbox, "suspending"), afterwards=400)


@case("/v1/devboxes/{id}/resume")
async def resume(api: Api) -> Retried:
    devbox = await api.create()
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    path = f"/v1/devboxes/{devbox}/resume"
    return Retried(path, count=moves(devbox, "resuming"), recount=False, afterwards=400)


@case("/v1/devboxes/{id}/shutdown")
async def shutdown(api: Api) -> Retried:
    devbox = await api.create()
    return Retried(f"/v1/devboxes/{devbox}/shutdown", count=moves(devbox, "shutdown"))


def moves(devbox: str, status: str) -> Count:
    async def count(api: Api) -> int:
        moves = (await api.json(f"/v1/devboxes/{devbox}"))["state_transitions"]
        return [move["status"] for move in moves].count(status)

    return count


@case("/v1/devboxes/{id}/keep_alive")
async def keep_alive(api: Api) -> Retried:
    return Retried(f"/v1/devboxes/{await api.create()}/keep_alive", restarted=400)


@case("/v1/devboxes/{id}/enable_tunnel")
async def enable_tunnel(api: Api) -> Retried:
    body = {"auth_mode": "authenticated"}
    return Retried(f"/v1/devboxes/{await api.create()}/enable_tunnel", body, afterwards=400)


@case("/v1/devboxes/{id}/remove_tunnel")
async def remove_tunnel(api: Api) -> Retried:
    return Retried(f"/v1/devboxes/{await api.create(tunnel={})}/remove_tunnel")


@case("/v1/devboxes/{id}/create_pty_tunnel")
async def create_pty_tunnel(api: Api) -> Retried:
    return Retried(f"/v1/devboxes/{await api.create()}/create_pty_tunnel", restarted=400)


@case("/pty/{session_name}/control")
async def control(api: Api) -> Retried:
    tunnel = await api.json(f"/v1/devboxes/{await api.create()}/create_pty_tunnel", {})
    host, key = f"13-{tunnel['tunnel_key']}.tunnel.localhost", tunnel["auth_token"]
    headers = {"host": f"{host}:{api.base_url.port}", "authorization": f"Bearer {key}"}
    await api.json("/pty/main", headers=headers)
    return Retried("/pty/main/control", {"action": "close"}, afterwards=404, restarted=404, host=host, key=key)


# Commands and files


def running(operation: str, **options: Any) -> Case:
    async def make(api: Api) -> Retried:
        devbox = await api.create()
        body = {"command": "echo x >> ran; cat ran", **options}
        return Retried(f"/v1/devboxes/{devbox}/{operation}", body, count=lines(devbox, "ran"), recount=False)

    return make


case("/v1/devboxes/{id}/execute")(running("execute"))
case("/v1/devboxes/{id}/execute_sync")(running("execute_sync"))
case("/v1/devboxes/{id}/execute_async")(running("execute_async"))


@case("/v1/devboxes/{devbox_id}/executions/{execution_id}/kill")
async def kill(api: Api) -> Retried:
    return Retried(f"{await api.start(await api.create(), 'sleep 1000')}/kill")


@case("/v1/devboxes/{devbox_id}/executions/{execution_id}/send_std_in")
async def send_std_in(api: Api) -> Retried:
    devbox = await api.create()
    execution = await api.start(devbox, "while read line; do echo $line >> typed; done", attach_stdin=True)

    async def count(api: Api) -> int:
        last = uuid.uuid4().hex  # what was sent before has been read once this has
        await api.json(f"{execution}/send_std_in", {"text": f"{last}\n"})
        counted = await api.execute(devbox, f"until grep -q {last} typed; do sleep 0.02; done; grep -c once typed")
        return int(counted["stdout"])

    return Retried(f"{execution}/send_std_in", {"text": "once\n"}, count=count, recount=False)


@case("/v1/devboxes/{id}/write_file_contents")
async def write(api: Api) -> Retried:
    return Retried(f"/v1/devboxes/{await api.create()}/write_file_contents", {"file_path": "f", "contents": "x"})


# Disks


def taking(operation: str) -> Case:
    async def make(api: Api) -> Retried:
        devbox = await api.create()
        path, taken = f"/v1/devboxes/{devbox}/{operation}", f"/v1/devboxes/disk_snapshots?devbox_id={devbox}"
        return Retried(path, {"name": "once"}, count=listed(taken), recount=False)  # one that a kill ends is not listed

    return make


case("/v1/devboxes/{id}/snapshot_disk")(taking("snapshot_disk"))
case("/v1/devboxes/{id}/snapshot_disk_async")(taking("snapshot_disk_async"))


async def snapshot(api: Api) -> str:
    view = await api.json(f"/v1/devboxes/{await api.create()}/snapshot_disk", {})
    return f"/v1/devboxes/disk_snapshots/{view['id']}"


@case("/v1/devboxes/disk_snapshots/{id}")
async def update_snapshot(api: Api) -> Retried:
    return Retried(await snapshot(api), {"name": "renamed"})


@case("/v1/devboxes/disk_snapshots/{id}/delete")
async def delete_snapshot(api: Api) -> Retried:
    return Retried(f"{await snapshot(api)}/delete")


@case("/v1/blueprints")
async def create_blueprint(api: Api) -> Retried:
    name = fresh("b")
    body = {"name": name, "dockerfile": f"{FROM}\nRUN true\n"}
    return Retried("/v1/blueprints", body, count=listed(f"/v1/blueprints?name={name}"))


@case("/v1/blueprints/{id}/delete")
async def delete_blueprint(api: Api) -> Retried:
    made = await api.json("/v1/blueprints", {"name": fresh("b"), "dockerfile": f"{FROM}\nRUN true\n"})
    return Retried(f"/v1/blueprints/{made['id']}/delete")


# What is stored


@case("/v1/objects")
async def create_object(api: Api) -> Retried:
    name = fresh()
    return Retried("/v1/objects", {"name": name, "content_type": "text"}, count=listed(f"/v1/objects?name={name}"))


async def uploaded(api: Api) -> str:
    view = await api.json("/v1/objects", {"name": fresh(), "content_type": "text"})
    async with httpx.AsyncClient() as bare:
        (await bare.put(view["upload_url"], content=b"bytes")).raise_for_status()
    return f"/v1/objects/{view['id']}"


@case("/v1/objects/{id}/complete")
async def complete(api: Api) -> Retried:
    return Retried(f"{await uploaded(api)}/complete", afterwards=409)


@case("/v1/objects/{id}/delete")
async def delete_object(api: Api) -> Retried:
    return Retried(f"{await uploaded(api)}/delete")


@case("/v1/secrets")
async def create_secret(api: Api) -> Retried:
    name = fresh()
    body = {"name": name, "value": "hidden"}
    return Retried("/v1/secrets", body, count=listed(f"/v1/secrets?search={name}"), afterwards=400)


async def secret(api: Api) -> dict[str, str]:
    made: dict[str, str] = await api.json("/v1/secrets", {"name": fresh(), "value": "hidden"})
    return made


@case("/v1/secrets/{name}")
async def update_secret(api: Api) -> Retried:
    return Retried(f"/v1/secrets/{(await secret(api))['name']}", {"value": "other"})


@case("/v1/secrets/id/{id}/update")
async def update_secret_by_id(api: Api) -> Retried:
    return Retried(f"/v1/secrets/id/{(await secret(api))['id']}/update", {"value": "other"})


@case("/v1/secrets/{name}/delete")
async def delete_secret(api: Api) -> Retried:
    return Retried(f"/v1/secrets/{(await secret(api))['name']}/delete", afterwards=404)


@case("/v1/secrets/id/{id}/delete")
async def delete_secret_by_id(api: Api) -> Retried:
    return Retried(f"/v1/secrets/id/{(await secret(api))['id']}/delete", afterwards=404)


CONFIG = {"endpoint": "https://example.com", "auth_mechanism": {"type": "bearer"}}
KEPT: dict[str, dict[str, Any]] = {
    "/v1/network-policies": {},
    "/v1/gateway-configs": CONFIG,
    "/v1/mcp-configs": {**CONFIG, "allowed_tools": ["*"]},
}


def kept(path: str, body: dict[str, Any]) -> None:
    """The cases of a kind of settings."""

    async def one(api: Api) -> str:
        return f"{path}/{(await api.json(path, {'name': fresh(), **body}))['id']}"

    @case(path)
    async def create(api: Api) -> Retried:
        name = fresh()
        return Retried(path, {"name": name, **body}, count=listed(f"{path}?name={name}"))

    @case(f"{path}/{{id}}")
    async def update(api: Api) -> Retried:
        return Retried(await one(api), {"description": "changed"})

    @case(f"{path}/{{id}}/delete")
    async def delete(api: Api) -> Retried:
        return Retried(f"{await one(api)}/delete", afterwards=404)


for _path, _body in KEPT.items():
    kept(_path, _body)


# Axons


async def axon(api: Api) -> str:
    return f"/v1/axons/{(await api.json('/v1/axons', {}))['id']}"


@case("/v1/axons")
async def create_axon(api: Api) -> Retried:
    name = fresh()
    return Retried("/v1/axons", {"name": name}, count=listed(f"/v1/axons?name={name}"))


@case("/v1/axons/{id}")
async def update_axon(api: Api) -> Retried:
    return Retried(await axon(api), {"metadata": {"a": "b"}})


@case("/v1/axons/{id}", "DELETE")
async def delete_axon(api: Api) -> Retried:
    return Retried(await axon(api), None, "DELETE")


@case("/v1/axons/{id}/publish")
async def publish(api: Api) -> Retried:
    path = await axon(api)
    event = {"event_type": "e", "origin": "USER_EVENT", "payload": "{}", "source": "s"}
    return Retried(f"{path}/publish", event, count=listed(f"{path}/events"))


INSERT = "INSERT INTO t VALUES (1) RETURNING a"


async def table(api: Api) -> tuple[str, Count]:
    path = await axon(api)
    await api.json(f"{path}/sql/query", {"sql": "CREATE TABLE t (a)"})

    async def count(api: Api) -> int:
        found: int = (await api.json(f"{path}/sql/query", {"sql": "SELECT count(*) FROM t"}))["rows"][0][0]
        return found

    return path, count


@case("/v1/axons/{id}/sql/query")
async def query(api: Api) -> Retried:
    path, count = await table(api)
    return Retried(f"{path}/sql/query", {"sql": INSERT}, count=count)


@case("/v1/axons/{id}/sql/batch")
async def batch(api: Api) -> Retried:
    path, count = await table(api)
    return Retried(f"{path}/sql/batch", {"statements": [{"sql": INSERT}, {"sql": "SELECT 1"}]}, count=count)


# Keys


@case("/v1/apikeys")
async def create_key(api: Api) -> Retried:
    return Retried("/v1/apikeys", {"name": "once"})


@case("/v1/restricted_keys")
async def create_restricted_key(api: Api) -> Retried:
    scope = {"resource_type": "RESOURCE_TYPE_DEVBOXES", "access_level": "ACCESS_LEVEL_READ"}
    return Retried("/v1/restricted_keys", {"name": "once", "scopes": [scope]})


# The service's own


@case("/local/prune")
async def prune(api: Api) -> Retried:
    return Retried("/local/prune", {"kinds": ["logs", "builds"]})


@case("/local/kernels")
async def register_kernel(api: Api) -> Retried:
    return Retried("/local/kernels", {"name": "once"})


@case("/local/kernels/{id}/attach")
async def attach_kernel(api: Api) -> Retried:
    told = await registered(api)
    lock = os.open(told["lock"], os.O_RDWR | os.O_CLOEXEC)  # held to the end of the tests
    fcntl.lockf(lock, fcntl.LOCK_EX)
    return Retried(f"/local/kernels/{told['id']}/attach")


@case("/local/kernels/{id}/end")
async def end_kernel(api: Api) -> Retried:
    attach = await attach_kernel(api)
    await api.json(attach.path, {})
    return Retried(attach.path.replace("/attach", "/end"))
