"""Fuzz: sends invalid and unusual requests.

Each must be answered, never with a 500; the service must log no traceback, stay alive, and not leak memory.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11

from runloop_local.engine.build.origins import STARTER
from runloop_sdk import NotFoundError

from .cases import Cases, Limit, chance
from .clearing import clear
from .findings import expect
from .odd_requests import Odd, Target, odd_request
from .service import client, footprint, leaks, log_of, memory_mb, running, settled, tracebacks
from .upstream import READ, Upstream

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from tests.local.serving import Service

    from .findings import Report

NAME = "fuzz"
AT_ONCE = 32
PATIENCE_S = 60.0
_ANSWERS_WITHIN_S = 30.0
_LISTENS_S = 0.2
"""The time to read a response that may come late, or never end."""
_FAIR = frozenset({501, 503})
"""Server errors that are not failures: operations that are not served, and exhausted resources."""
_CLEARS_EVERY_S = 5.0
_LOOKS_EVERY_S = 0.5
_WARM = 2000
"""The number of requests before memory is measured for the first time."""
_REMEMBERED = 400


async def run(limit: Limit, report: Report, *, at_once: int = AT_ONCE) -> None:
    """Send requests until the limit."""
    with tempfile.TemporaryDirectory(prefix="soak-fuzz-") as folder, running(Path(folder)) as service:
        async with client(service) as sdk:
            before = await footprint(service)
            fuzz = Fuzz(service, sdk, report)
            start = time.monotonic()
            await fuzz.run(limit, at_once)
            seconds = time.monotonic() - start
            await clear(sdk)
        for leak in leaks(before, await settled(service, before)):
            report.found(NAME, "leaks", leak)
        statuses = ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(fuzz.statuses.items()))
        memory = f"memory {fuzz.memory[0]:.0f} -> {fuzz.memory[-1]:.0f} MB" if fuzz.memory else ""
        report.done(NAME, f"{fuzz.cases.done} requests, {fuzz.cases.done / seconds:.0f} /s, {memory}")
        report.note(NAME, f"answers: {statuses}")


@dataclass
class Fuzz:
    """Sends odd requests to one service."""

    service: Service
    sdk: AsyncRunloopSDK
    report: Report
    statuses: Counter[int] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)
    """Samples of the service's memory in MB."""
    _recent: deque[tuple[int, Odd]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _told: set[str] = field(default_factory=set)
    _idle: list[Upstream] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cases = Cases(NAME, self.report, PATIENCE_S)
        parts = urlsplit(self.service.base_url)
        self._address = (parts.hostname or "", parts.port or 0)

    async def run(self, limit: Limit, at_once: int) -> None:
        """Send requests, while checking the service in the background."""
        self._target = await new_target(self.sdk, self.service)
        tending = [asyncio.create_task(self._tend()), asyncio.create_task(self._watch())]
        try:
            await self.cases.run(limit.numbers(), at_once, self.one)
            self._look()
        finally:
            for task in tending:
                task.cancel()
            await asyncio.gather(*tending, return_exceptions=True)
            for connection in self._idle:
                connection.close()

    async def one(self, number: int) -> None:
        """Send the request with this number."""
        odd = odd_request(chance(self.report.seed, NAME, number), self._target)
        self._recent.append((number, odd))
        try:
            status, answer = await (self._asked(odd) if odd.kind == "whole" else self._thrown(odd))
        except ConnectionRefusedError:
            expect(False, "other", f"the service is gone (exit code {self.service.process.poll()}) after\n{odd}")
            raise
        except TimeoutError:
            expect(False, "hangs", f"no answer within {_ANSWERS_WITHIN_S:.0f} s to\n{odd}")
            raise
        self.statuses[status] += 1
        expect(status < 500 or status in _FAIR, "other", f"{status} for\n{odd}\n{answer[-500:]!r}")

    async def _asked(self, odd: Odd) -> tuple[int, bytes]:
        """Send a complete request over a reused connection; returns status and response."""
        async with asyncio.timeout(_ANSWERS_WITHIN_S), self._connection() as connection:
            method, answer = odd.raw.split(b" ", 1)[0], b""
            # A refused head closes the connection while data is still being sent, which may reset it before the
            # response was read.
            with suppress(h11.RemoteProtocolError, ConnectionResetError, BrokenPipeError):
                await connection.send(odd.raw)
                async for data in connection.answer(method):
                    answer += data[: READ - len(answer)]
            return _status(answer), answer

    async def _thrown(self, odd: Odd) -> tuple[int, bytes]:
        """Send bytes without a defined end over a new connection; returns status and response."""
        connection = Upstream(*await asyncio.open_connection(*self._address))
        try:
            with suppress(OSError):  # the service may close the connection
                await connection.send(odd.raw)
                answer = await _heard(connection) if odd.listens else b""
                if odd.kind == "broken":
                    connection.writer.write_eof()
                    async with asyncio.timeout(_ANSWERS_WITHIN_S):
                        while data := await connection.reader.read(READ):
                            answer += data[: max(0, READ - len(answer))]
                return _status(answer), answer
            return 0, b""
        finally:
            connection.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Upstream]:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof():
                break
            connection.close()
        else:
            connection = Upstream(*await asyncio.open_connection(*self._address))
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.reader.at_eof():
            connection.close()
        else:
            self._idle.append(connection)

    async def _tend(self) -> None:
        """Delete what requests have created, and create the target again if they have deleted it."""
        while True:
            await asyncio.sleep(_CLEARS_EVERY_S)
            if not await is_whole(self.sdk, self._target):
                self._target = await new_target(self.sdk, self.service)
            await clear(self.sdk, keep=set(self._target.ids.values()))

    async def _watch(self) -> None:
        """Check the log, and sample the memory."""
        while True:
            await asyncio.sleep(_LOOKS_EVERY_S)
            self._look()
            if self.cases.done > _WARM:
                self.memory.append(memory_mb(self.service.process.pid))

    def _look(self) -> None:
        for key, text in tracebacks(log_of(self.service).read_text(errors="replace")).items():
            if key not in self._told:
                self._told.add(key)
                recent = "\n".join(f"  {number}: {str(odd)[:110]}" for number, odd in list(self._recent)[-30:])
                self.report.found(NAME, "other", f"the service's log says\n{text}\nafter some of\n{recent}")


async def is_whole(sdk: AsyncRunloopSDK, target: Target) -> bool:
    """True if a target's devbox, object, axon and secret are unchanged."""
    api, ids = sdk.api, target.ids
    try:
        devbox = await api.devboxes.retrieve(ids["/v1/devboxes/{id}"])
        stored = await api.objects.retrieve(ids["/v1/objects/{id}"])
        await api.axons.retrieve(ids["/v1/axons/{id}"])
        await api.secrets.retrieve(ids["/v1/secrets/{name}"])
    except NotFoundError:
        return False
    return devbox.status == "running" and stored.state == "UPLOADING"


async def new_target(sdk: AsyncRunloopSDK, service: Service) -> Target:
    """Create one resource of each kind as targets of requests."""
    devbox = await sdk.devbox.create(name="target")
    running_one = await devbox.cmd.exec_async("echo one; echo two >&2; sleep 3")
    snapshot = await devbox.snapshot_disk()
    blueprint = await sdk.blueprint.create(name="target", dockerfile=f"FROM {STARTER}\nRUN true\n")
    stored = await sdk.storage_object.create(name="target", content_type="text")
    axon = await sdk.axon.create(name="target")
    name = f"TARGET_{time.monotonic_ns()}"
    secret = await sdk.secret.create(name, "value")
    policy = await sdk.network_policy.create(name=name)
    gateway = await sdk.gateway_config.create(
        name=name, endpoint="https://example.com", auth_mechanism={"type": "bearer"}
    )
    mcp = await sdk.mcp_config.create(name=name, endpoint="https://example.com", allowed_tools=["*"])
    tunnel = await sdk.api.devboxes.create_pty_tunnel(devbox.id)
    port = service.base_url.rpartition(":")[2]
    upload = urlsplit(stored.upload_url or "")
    return Target(
        urlsplit(service.base_url).netloc,
        service.api_key,
        {
            "/v1/devboxes/{id}": devbox.id,
            "/v1/devboxes/{devbox_id}": devbox.id,
            "/v1/devboxes/{devbox_id}/executions/{execution_id}": running_one.execution_id,
            "/v1/devboxes/disk_snapshots/{id}": snapshot.id,
            "/v1/blueprints/{id}": blueprint.id,
            "/v1/objects/{id}": stored.id,
            "/v1/axons/{id}": axon.id,
            "/v1/secrets/{name}": secret.name,
            "/v1/secrets/id/{id}": secret.id or "",
            "/v1/network-policies/{id}": policy.id,
            "/v1/gateway-configs/{id}": gateway.id,
            "/v1/mcp-configs/{id}": mcp.id,
            "/pty/{session_name}": "fuzz",
        },
        f"13-{tunnel.tunnel_key}.tunnel.localhost:{port}",
        tunnel.auth_token,
        f"{upload.path}?{upload.query}",
    )


async def _heard(connection: Upstream) -> bytes:
    """Read what arrives within a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LISTENS_S):
            return await connection.reader.read(READ)
    return b""


def _status(answer: bytes) -> int:
    """The status of a response; 0 if there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0
