"""A service that answers lists, and only as well as it is told to.

In a process of its own, with so many devboxes: `python -m tests.jupyter.panel.faulty_service 10000`. It prints its URL
and ends with its standard input; `GET /change/NUMBER/STATUS` changes one of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

ITEMS = {
    "/v1/devboxes": "devboxes",
    "/v1/blueprints": "blueprints",
    "/v1/devboxes/disk_snapshots": "snapshots",
    "/v1/objects": "objects",
}


def devbox(number: int, **fields: Any) -> dict[str, Any]:
    """A devbox as the API shows it."""
    known = {
        "id": f"dbx_{number:05}",
        "name": f"box-{number}",
        "status": "running",
        "create_time_ms": 1_700_000_000_000,
    }
    return {**known, "launch_parameters": {"resource_size_request": "SMALL"}, **fields}


class FaultyService:
    """What it serves: `devboxes`, newest first, and any action on one of them; `others`, such as "snapshots".

    `status` other than 200 refuses; `hangs` never answers; `refused` is a path that alone is refused.
    """

    def __init__(self) -> None:
        self.devboxes: list[dict[str, Any]] = []
        self.others: dict[str, list[dict[str, Any]]] = {}
        self.status = 200
        self.headers = ""
        self.hangs = False
        self.refused = ""
        self.asked: list[str] = []
        self.base_url = ""

    def answer(self, target: str) -> tuple[int, object]:
        """Status and body."""
        parts = urlsplit(target)
        self.asked.append(target)
        if self.status != 200:
            return self.status, {"message": "in a mood"}
        if parts.path.startswith("/change/"):
            _, _, number, status = parts.path.split("/")
            self.devboxes[int(number)] = devbox(int(number), status=status)
        if parts.path == self.refused:
            return 403, {"message": "in a mood"}
        if parts.path.startswith("/v1/devboxes/dbx_"):
            identity, _, action = parts.path.removeprefix("/v1/devboxes/").partition("/")
            return 200, next((each for each in self.devboxes if each["id"] == identity and not action), {})
        items = ITEMS.get(parts.path)
        if items is None:
            return 404, {"message": "no such route"}
        query = parse_qs(parts.query)
        found = self.devboxes if items == "devboxes" else self.others.get(items, [])
        if "status" in query:
            found = [each for each in found if each["status"] == query["status"][0]]
        after, limit = query.get("starting_after", [""])[0], int(query["limit"][0])
        start = next((at + 1 for at, each in enumerate(found) if after and each["id"] == after), 0)
        page = found[start : start + limit]
        return 200, {items: page, "has_more": start + limit < len(found), "total_count": len(found)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while line := await reader.readline():
                length = 0
                while header := (await reader.readline()).strip().lower():
                    if header.startswith(b"content-length:"):
                        length = int(header.partition(b":")[2])
                await reader.readexactly(length)
                if self.hangs:
                    await asyncio.sleep(3600)
                status, body = self.answer(line.decode().split()[1])
                content = json.dumps(body).encode()
                head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{self.headers}"
                writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def faulty_service() -> AsyncIterator[FaultyService]:
    """One that answers, on a free port."""
    faulty = FaultyService()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(faulty.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    faulty.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield faulty
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main(count: int) -> None:
    """Serve until standard input ends."""
    async with faulty_service() as faulty:
        faulty.devboxes = [devbox(n, create_time_ms=1_700_000_000_000 - n * 60_000) for n in range(count)]
        sys.stdout.write(f"{faulty.base_url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
