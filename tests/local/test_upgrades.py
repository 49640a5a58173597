"""Connections that are to become WebSockets of the service's own: none is kept once it has ended."""

import asyncio
from typing import Any, cast

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from runloop_local.direct import DirectHTTPProtocol
from runloop_local.proxy.upgrades import upgrade_factory
from tests.waiting import until

KEY = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "sec-websocket-version: 13"
ASKED: dict[str, list[str]] = {
    "accepted": [KEY, VERSION],
    "without a key": [VERSION],
    "without a version": [KEY],
    "of another version": [KEY, "sec-websocket-version: 7"],
    "with an odd key": ["sec-websocket-key: x", VERSION],
    "with odd extensions": [KEY, VERSION, "sec-websocket-extensions: ;;"],
    "refused": [KEY, VERSION, "x-refuse: yes"],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    refused = (b"x-refuse", b"yes") in scope["headers"]
    await send({"type": "websocket.close"} if refused else {"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("leaves", ["at the end", "at once"])
async def test_no_connection_is_kept(asked: str, leaves: str) -> None:
    config = Config(
        app, ws=cast("Any", upgrade_factory(cast("Any", None), cast("Any", None))), log_level="critical", lifespan="off"
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: DirectHTTPProtocol(config, state, {}), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    lines = ["GET / HTTP/1.1", f"host: 127.0.0.1:{port}", "connection: upgrade", "upgrade: websocket", *ASKED[asked]]
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        if leaves == "at the end":
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    await until(lambda: not state.connections and not state.tasks, lambda: f"{state.connections}, {state.tasks}")
    server.close()
