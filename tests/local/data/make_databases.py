"""Write down what the service of each version keeps, for the tests to open with today's service.

    python tests/local/data/make_databases.py [VERSION ...]

Without arguments every version of `VERSIONS` is made anew, each by the service as it was at its commit. A new version
of the schema, or of a record, gets a line in `VERSIONS` once it is committed. What is written is text: the statements
that make each database, the key, and `expected.json`, which says what must be found.
"""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VERSIONS = {
    "first": "3e548c0",  # no version number
    "failed-for-room": "ac1b118",  # the same tables; snapshots say whether they failed for want of room
    "listed": "30e61f3",  # version 2: lists lie ready; devboxes have owners, requests and layers are remembered
    "sealed": "97a95e6",  # version 3: what lets in by a tunnel is sealed; requests note a tunnel by a digest
    "counted": "5602316",  # version 4: lists are counted, and their indexes hold what a search looks at
}
KEY = "made-for-tests"


def checked_out(commit: str, folder: Path) -> Path:
    archive = subprocess.run(["git", "archive", commit, "local"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder / "local"


def started(source: Path, data: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "runloop_local", "serve", "--data-dir", str(data), "--isolation", "process"]
    env = {**os.environ, "PYTHONPATH": str(source)}
    process = subprocess.Popen([*command, "--api-key", KEY], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[1]


class Life:
    """One of each thing, in each state that it can be in."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: object) -> Any:
        answer = await self.client.post(path, json=body, headers={"x-request-id": str(uuid4())})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def live(self) -> dict[str, Any]:
        secret = await self.post("/v1/secrets", {"name": "TOKEN", "value": "sealed away"})
        devboxes, executions = await self.devboxes()
        return {
            "devboxes": devboxes,
            "executions": executions,
            "secrets": {secret["name"]: "sealed away"},
            "snapshots": await self.snapshots(next(iter(devboxes))),
            "blueprints": await self.blueprints(),
            "objects": await self.objects(),
            "keys": await self.keys(),
            "settings": await self.settings(),
            "axons": await self.axons(),
            "tunnel": await self.tunnel(next(iter(devboxes))),
        }

    async def tunnel(self, devbox: str) -> list[str]:
        """The key and the token of its tunnel."""
        tunnel = (await self.client.get(f"/v1/devboxes/{devbox}")).json()["tunnel"]
        return [tunnel["tunnel_key"], tunnel["auth_token"]]

    async def devbox(self, name: str, **options: Any) -> str:
        view = await self.post("/v1/devboxes/create_and_await_running", {"name": name, **options})
        assert view["status"] == "running", view
        return str(view["id"])

    async def devboxes(self) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        """Their statuses after the next start, and of each command its exit status."""
        launch = {"keep_alive_time_seconds": 7200, "resource_size_request": "MEDIUM"}
        kept = await self.devbox(
            "kept",
            metadata={"team": "a"},
            environment_variables={"A": "b"},
            secrets={"T": "TOKEN"},
            launch_parameters=launch,
            file_mounts={"/home/user/mounted": "text"},
        )
        await self.post(f"/v1/devboxes/{kept}/enable_tunnel", {"auth_mode": "authenticated"})
        ended, running = await self.devbox("ended"), await self.devbox("running")
        done = await self.post(f"/v1/devboxes/{kept}/execute", {"command": "echo done; exit 3", "command_id": "done"})
        cut = await self.post(f"/v1/devboxes/{running}/execute_async", {"command": "sleep 1000"})
        await self.post(f"/v1/devboxes/{kept}/suspend", {})
        await self.post(f"/v1/devboxes/{kept}/wait_for_status", {"statuses": ["suspended"]})
        await self.post(f"/v1/devboxes/{ended}/shutdown", {})
        statuses = {kept: "suspended", ended: "shutdown", running: "suspended"}
        return statuses, {kept: {done["execution_id"]: 3}, running: {cut["execution_id"]: 137}}

    async def snapshots(self, devbox: str) -> dict[str, str]:
        made = [await self.post(f"/v1/devboxes/{devbox}/snapshot_disk", {"name": name}) for name in ("one", "two")]
        await self.post(f"/v1/devboxes/disk_snapshots/{made[1]['id']}/delete", {})
        return {made[0]["id"]: "complete", made[1]["id"]: "deleted"}

    async def blueprints(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for command, status in (("true", "build_complete"), ("false", "failed")):
            dockerfile = f"FROM ubuntu\nENV A=b\nRUN {command}"
            name = (await self.post("/v1/blueprints", {"name": status, "dockerfile": dockerfile}))["id"]
            while (view := (await self.client.get(f"/v1/blueprints/{name}")).json())["status"] != status:
                assert view["status"] in ("queued", "provisioning", "building"), view
                await asyncio.sleep(0.1)
            found[name] = status
        return found

    async def objects(self) -> dict[str, str | None]:
        """Their texts; None for those that cannot be read."""
        kept, deleted, begun = [
            await self.post(
                "/v1/objects", {"name": name, "content_type": "text", "ttl_ms": 10 * 365 * 24 * 3600 * 1000}
            )
            for name in ("kept", "deleted", "begun")
        ]
        for view in (kept, deleted):
            async with httpx.AsyncClient() as bare:
                (await bare.put(view["upload_url"], content=b"the text")).raise_for_status()
            await self.post(f"/v1/objects/{view['id']}/complete", {})
        await self.post(f"/v1/objects/{deleted['id']}/delete", {})
        return {kept["id"]: "the text", deleted["id"]: None, begun["id"]: None}

    async def keys(self) -> dict[str, int]:
        """What a list of devboxes is answered with, by key."""
        whole = await self.post("/v1/apikeys", {"name": "whole"})
        none = await self.post("/v1/restricted_keys", {"name": "none", "scopes": []})
        return {whole["key_secret"]: 200, none["key_secret"]: 403}

    async def settings(self) -> dict[str, str]:
        """Names, by the path of each."""
        endpoint = {"endpoint": "https://example.com", "auth_mechanism": {"type": "bearer"}}
        found: dict[str, str] = {}
        for path, body in (
            ("network-policies", {"allowed_hostnames": ["example.com"], "allowed_cidrs": [{"cidr": "10.0.0.0/8"}]}),
            ("gateway-configs", endpoint),
            ("mcp-configs", {**endpoint, "allowed_tools": ["*"]}),
        ):
            view = await self.post(f"/v1/{path}", {"name": f"a {path}", **body})
            found[f"/v1/{path}/{view['id']}"] = view["name"]
        return found

    async def axons(self) -> dict[str, list[str]]:
        """The payloads of their events, the newest first; none of one that was deleted."""
        kept, deleted = [(await self.post("/v1/axons", {"name": name}))["id"] for name in ("kept", "deleted")]
        for payload in ("first", "second"):
            event = {"event_type": "t", "origin": "USER_EVENT", "source": "s", "payload": payload}
            await self.post(f"/v1/axons/{kept}/publish", event)
        (await self.client.delete(f"/v1/axons/{deleted}")).raise_for_status()
        return {kept: ["second", "first"]}


async def lived(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=120) as client:
        return await Life(client).live()


def dumped(file: Path) -> str:
    database = sqlite3.connect(file)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    text = "\n".join([*database.iterdump(), f"PRAGMA user_version = {version};\n"])
    database.close()
    return text


def make(name: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        source, data = checked_out(VERSIONS[name], Path(temporary)), Path(temporary) / "data"
        process, url = started(source, data)
        try:
            expected = asyncio.run(lived(url))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        target = HERE / "databases" / name
        target.mkdir(parents=True, exist_ok=True)
        (target / "service.sql").write_text(dumped(data / "service.db"))
        (target / "events.sql").write_text(dumped(data / "axons" / "events"))
        (target / "service.key.hex").write_text((data / "service.key").read_bytes().hex() + "\n")
        (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    for version in sys.argv[1:] or VERSIONS:
        make(version)
