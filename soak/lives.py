"""Keeps a service busy with work of every kind until it is gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import httpx

from runloop_local.engine.build.origins import STARTER

from .findings import expect
from .ledger import Change, Ledger, Sender
from .scenarios.context import PRINTER, Printing

if TYPE_CHECKING:
    from tests.local.api import Api

DOCKERFILE = f"FROM {STARTER}\nUSER user\nRUN echo {{0}} > ~/step\nCOPY <<EOF /home/user/copied\n{{0}}\nEOF\n"


class Life:
    """All kinds of work in parallel on one service, recorded in the ledger."""

    def __init__(self, api: Api, ledger: Ledger, order: random.Random) -> None:
        self.api = api
        self.ledger = ledger
        self.order = order
        self._sender = Sender(api, ledger)
        self._number = order.randrange(1 << 30)
        self.ends = False
        """True once the service is being killed, so that connection errors are expected."""

    async def go_on(self) -> None:
        """Work until the service is gone."""
        works = (
            self.write, self.append, self.append, self.print, self.snap, self.suspend,
            self.build, self.store, self.hide, self.publish,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(self._until_it_is_gone(work))

    async def _until_it_is_gone(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                await work()
        except httpx.TransportError:
            if not self.ends:
                raise

    def next(self) -> int:
        """A unique number."""
        self._number += 1
        return self._number

    async def make(self, path: str, body: dict[str, Any], token: str, list_path: str | None = None) -> Any:
        """Create a resource that is listed by its name."""
        return await self._sender.send(Change(path, body, token, list_path=list_path or path))

    async def new_devbox(self, **options: Any) -> str:
        """Create a devbox and wait until it runs; returns its id."""
        name = f"box{self.next()}"
        view = await self.make("/v1/devboxes", {"name": name, **options}, name)
        view = await self.api.wait(view["id"], "running")
        self.ledger.devboxes[view["id"]] = 0
        devbox: str = view["id"]
        return devbox

    async def put(self, devbox: str) -> int:
        """Write a number to a devbox's disk."""
        number = self.next()
        done = await self.api.execute(devbox, f"echo {number} > number.new && mv number.new number")
        if done["exit_status"] == 0:
            self.ledger.devboxes[devbox] = number
        return number

    async def write(self) -> None:
        """Write to a devbox's disk repeatedly."""
        devbox = await self.new_devbox()
        for _ in range(5):
            await self.put(devbox)

    async def append(self) -> None:
        """Run commands, each of which must run once."""
        devbox = await self.new_devbox()
        for _ in range(8):
            token = f"t{self.next()}"
            body = {"command": f"echo {token} >> runs; sleep {self.order.choice((0, 0.05, 0.3))}"}
            path = f"/v1/devboxes/{devbox}/execute_async"
            view = await self._sender.send(Change(path, body, token, devbox))
            done = await self.api.finish(f"/v1/devboxes/{devbox}/executions/{view['execution_id']}")
            if done["exit_status"] == 0:
                self.ledger.runs.setdefault(devbox, []).append(token)

    async def print(self) -> None:
        """Run a command and follow its output."""
        devbox = await self.new_devbox(file_mounts={"printer.py": PRINTER})
        printing = Printing(self.next(), 200_000, self.order.choice(("lines", "text", "bytes")), "both", 20)
        path = await self.api.start(devbox, printing.command)
        heard = {"stdout": "", "stderr": ""}
        self.ledger.outputs[path] = (printing, heard)

        async def listen(stream: str) -> None:
            async for frame in self.api.follow(path, stream):
                heard[stream] += frame["output"]

        await asyncio.gather(listen("stdout"), listen("stderr"))

    async def snap(self) -> None:
        """Take snapshots of a disk that changes."""
        devbox = await self.new_devbox()
        await self.api.execute(devbox, "sleep 1000 >/dev/null 2>&1 &" if self.order.random() < 0.5 else "true")
        for _ in range(3):
            number = await self.put(devbox)
            name = f"snapshot{number}"
            path = f"/v1/devboxes/{devbox}/snapshot_disk"
            view = await self.make(path, {"name": name}, name, "/v1/devboxes/disk_snapshots")
            self.ledger.snapshots[view["id"]] = number

    async def suspend(self) -> None:
        """Suspend and resume a devbox."""
        devbox = await self.new_devbox()
        await self.put(devbox)
        await self.api.json(f"/v1/devboxes/{devbox}/suspend", {})
        await self.api.wait(devbox, "suspended")
        await self.api.json(f"/v1/devboxes/{devbox}/resume", {})
        await self.api.wait(devbox, "running")
        await self.put(devbox)

    async def build(self) -> None:
        """Build a blueprint."""
        number = self.next()
        body = {"name": f"b{number}", "dockerfile": DOCKERFILE.format(number)}
        blueprint = (await self.make("/v1/blueprints", body, f"b{number}"))["id"]
        while (view := await self.api.json(f"/v1/blueprints/{blueprint}"))["status"] != "build_complete":
            expect(view["status"] != "failed", "other", f"a build failed: {view.get('failure_reason')}")
            await asyncio.sleep(0.01)
        self.ledger.blueprints[blueprint] = number

    async def store(self) -> None:
        """Upload a storage object."""
        name = f"o{self.next()}"
        data = name.encode() * 10_000
        view = await self.make("/v1/objects", {"name": name, "content_type": "binary"}, name)
        async with httpx.AsyncClient() as bare:
            (await bare.put(view["upload_url"], content=data)).raise_for_status()
        await self.api.json(f"/v1/objects/{view['id']}/complete", {})
        self.ledger.objects[view["id"]] = data

    async def hide(self) -> None:
        """Create a secret."""
        name = f"S{self.next()}"
        await self.make("/v1/secrets", {"name": name, "value": f"v{name}"}, name)
        self.ledger.secrets[name] = f"v{name}"
        await asyncio.sleep(0.05)

    async def publish(self) -> None:
        """Publish events to an axon."""
        name = f"axon{self.next()}"
        axon = (await self.make("/v1/axons", {"name": name}, name))["id"]
        for _ in range(10):
            payload = f"e{self.next()}"
            event = {"event_type": "soak", "origin": "USER_EVENT", "payload": payload, "source": "soak"}
            await self.make(f"/v1/axons/{axon}/publish", event, payload, f"/v1/axons/{axon}/events")
            self.ledger.events.setdefault(axon, []).append(payload)
