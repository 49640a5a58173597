"""A plain HTTP client of the service that checks every answer against the API's description."""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.contract.schema import check
from tests.local.serving import Service
from tests.waiting import PATIENCE, until


class Api(httpx.AsyncClient):
    """Relative URLs, the key, long timeouts."""

    async def json(self, path: str, body: object = None, *, status: int = 200, **options: Any) -> Any:
        """POST `body`, or GET without one; the answer's JSON, whose status must be `status`."""
        method = "GET" if body is None else "POST"
        answer = await self.request(method, path, json=body, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def create(self, **options: Any) -> str:
        """The id of a new running devbox."""
        view = await self.json("/v1/devboxes/create_and_await_running", options)
        assert view["status"] == "running", view
        devbox_id: str = view["id"]
        return devbox_id

    async def execute(self, devbox: str, command: str, *, query: str = "", **options: Any) -> dict[str, Any]:
        """Run a command in one round trip."""
        body = {"command": command, "command_id": str(uuid.uuid4()), **options}
        result: dict[str, Any] = await self.json(f"/v1/devboxes/{devbox}/execute{query}", body)
        return result

    async def start(self, devbox: str, command: str, **options: Any) -> str:
        """Start a command; the path of its execution."""
        view = await self.json(f"/v1/devboxes/{devbox}/execute_async", {"command": command, **options})
        return f"/v1/devboxes/{devbox}/executions/{view['execution_id']}"

    async def finish(self, execution: str) -> dict[str, Any]:
        """Wait for the end of an execution."""
        return await self._reached(execution, "completed")

    async def frames(self, execution: str, stream: str = "stdout", offset: int = 0) -> list[dict[str, Any]]:
        """All frames of a stream, to its end."""
        return [frame async for frame in self.follow(execution, stream, offset)]

    async def follow(
        self, execution: str, stream: str = "stdout", offset: int = 0
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The frames of a stream as they come."""
        async with self.stream("GET", f"{execution}/stream_{stream}_updates?offset={offset}") as answer:
            assert answer.status_code == 200
            rest = b""
            async for data in answer.aiter_bytes():
                *lines, rest = (rest + data).split(b"\n")  # httpx's own lines end at U+2028 too
                for line in lines:
                    if line.startswith(b"data: "):
                        yield json.loads(line.removeprefix(b"data: "))

    async def wait(self, devbox: str, *statuses: str) -> dict[str, Any]:
        """Wait until the devbox is in one of `statuses`."""
        return await self._reached(f"/v1/devboxes/{devbox}", *statuses)

    async def _reached(self, path: str, *statuses: str) -> dict[str, Any]:
        """The view of what has come to one of `statuses`; the service holds one request for 25 s at most."""

        async def ask() -> dict[str, Any] | None:
            answer = await self.post(f"{path}/wait_for_status", json={"statuses": statuses, "timeout_seconds": 25.0})
            assert answer.status_code in (200, 408), answer.text
            view: dict[str, Any] = answer.json()
            return view if answer.status_code == 200 else None

        view: dict[str, Any] = await until(ask, f"{path} to be {' or '.join(statuses)}")
        return view


@asynccontextmanager
async def connect(service: Service) -> AsyncIterator[Api]:
    """A client of `service`."""

    async def checked(response: httpx.Response) -> None:
        if "json" in response.headers.get("content-type", ""):
            await response.aread()
            check(response)

    headers = {"Authorization": f"Bearer {service.api_key}"}
    hooks = {"response": [checked]}
    async with Api(base_url=service.base_url, headers=headers, timeout=PATIENCE, event_hooks=hooks) as api:
        yield api
