"""The bare things that limit what is measured: a client that is a socket, and a relay of output that only frames it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic_core import from_json, to_json

from benchmarks.running import Running

# In a fresh interpreter: what any client of such a service imports, then a devbox and a command, each one request.
# It prints the milliseconds from there to the command's output.
FIRST_COMMAND = """
import time
start = time.perf_counter()
import asyncio, json, socket, ssl, pydantic
pydantic.BaseModel

def ask(path, **body):
    content = json.dumps(body).encode()
    lines = [f"POST /v1/devboxes{{path}} HTTP/1.1", "Host: {netloc}", "Authorization: Bearer {key}",
             "Content-Type: application/json", f"Content-Length: {{len(content)}}"]
    connection.write("\\r\\n".join(lines).encode() + b"\\r\\n\\r\\n" + content)
    connection.flush()
    assert b" 200 " in connection.readline()
    while (line := connection.readline().lower()) != b"\\r\\n":
        if line.startswith(b"content-length:"):
            length = int(line[15:])
    return json.loads(connection.read(length))

connection = socket.create_connection(("{host}", {port})).makefile("rwb")
devbox = "/" + ask("")["id"]
while (status := ask(devbox + "/wait_for_status", statuses=["running", "failure"])["status"]) != "running":
    assert status != "failure"
assert ask(devbox + "/execute", command="echo hello", optimistic_timeout=25)["stdout"] == "hello\\n"
took = (time.perf_counter() - start) * 1000
ask(devbox + "/shutdown")
print(took)
"""


def first_command(service: Running) -> str:
    """The program for that service."""
    where = urlsplit(service.base_url)
    return FIRST_COMMAND.format(key=service.api_key, netloc=where.netloc, host=where.hostname, port=where.port)


class RawClient:
    """One connection on which requests are sent as they are, and answers read by their length."""

    def __init__(self, service: Running) -> None:
        self._where = urlsplit(service.base_url)
        self._key = service.api_key

    async def __aenter__(self) -> RawClient:
        host = self._where.hostname
        self._reader, self._writer = await asyncio.open_connection(host, self._where.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, method: str, path: str, **fields: object) -> bytes:
        """One request with these fields as its JSON; the body of the answer, which must be a good one."""
        body = json.dumps(fields).encode() if fields else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._where.netloc}\r\nAuthorization: Bearer {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert lines[0].startswith(b"http/1.1 200"), lines
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        return await self._reader.readexactly(length)

    async def execute(self, devbox_id: str, command: str) -> None:
        """Run a short command to its end: one request."""
        await self.ask("POST", f"/v1/devboxes/{devbox_id}/execute", command=command, optimistic_timeout=25)


def framed_megabytes_per_second(command: str) -> float:
    """A command's output through a socket in the frames of the API, made and parsed by code in C alone."""
    size = 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", str(server.getsockname()[1]), command])
        connection, _ = server.accept()
        start = time.perf_counter()  # the interpreter and its imports are no part of it
        with connection:
            for event in _events(connection):
                size += len(from_json(event)["output"])
    assert sender.wait() == 0
    return size / (time.perf_counter() - start) / 1e6


def _events(connection: socket.socket) -> Iterator[bytes]:
    buffer = b""
    while piece := connection.recv(1 << 18):
        *events, buffer = (buffer + piece).split(b"\n\n")
        for event in events:
            yield event.removeprefix(b"data: ")


def send_framed(port: int, command: str) -> None:
    """Run a command and send its output."""
    offset = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        with subprocess.Popen(["/bin/bash", "-lc", command], stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            while piece := os.read(program.stdout.fileno(), 1 << 16):
                offset += len(piece)
                connection.sendall(b'data: {"output":%b,"offset":%d}\n\n' % (to_json(piece.decode()), offset))


if __name__ == "__main__":
    send_framed(int(sys.argv[1]), sys.argv[2])
