"""Terminals of the service, as its wire has them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.contract.schema import check
from tests.local.api import Api
from tests.local.api import connect as connect_api
from tests.local.serving import Service, serving
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Host:
    """A PTY tunnel, reached without anybody knowing its name."""

    service: Service
    key: str
    token: str
    port: int = 13

    @property
    def name(self) -> str:
        return f"{self.port}-{self.key}.tunnel.localhost:{self.service.base_url.rpartition(':')[2]}"

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"host": self.name, "authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        async with httpx.AsyncClient(base_url=self.service.base_url, headers=headers, timeout=PATIENCE) as client:
            answer = await client.request(method, path, **options)
        check(answer)
        return answer

    async def bootstrap(self, session: str = "main", query: str = "") -> dict[str, Any]:
        answer = await self.ask("GET", f"/pty/{session}{query}")
        assert answer.status_code == 200, answer.text
        view: dict[str, Any] = answer.json()
        return view

    def attach(self, session: str = "main", query: str = "", token: str | None = None) -> connect:
        offered = [Subprotocol(self.token if token is None else token)]
        port = int(self.service.base_url.rpartition(":")[2])
        url = f"ws://{self.name}/pty/{session}/ws{query}"
        return connect(url, host="127.0.0.1", port=port, subprotocols=offered, proxy=None)

    async def control(self, session: str, **action: Any) -> httpx.Response:
        return await self.ask("POST", f"/pty/{session}/control", json=action)


async def tunnel_to(api: Api, service: Service, devbox: str) -> Host:
    made = await api.json(f"/v1/devboxes/{devbox}/create_pty_tunnel", {})
    return Host(service, made["tunnel_key"], made["auth_token"])


@pytest.fixture
async def host(api: Api, service: Service, devbox: str) -> Host:
    return await tunnel_to(api, service, devbox)


@pytest.fixture
async def terminal(host: Host) -> AsyncIterator[ClientConnection]:
    await host.bootstrap()
    async with host.attach() as socket:
        yield socket


async def sees(socket: ClientConnection, pattern: str) -> str:
    seen = ""
    async with asyncio.timeout(PATIENCE):
        while not re.search(pattern, seen):
            data = await socket.recv()
            assert isinstance(data, bytes)
            seen += data.decode(errors="replace")
    return seen


async def test_the_session_is_described(host: Host) -> None:
    view = await host.bootstrap("a-B_9", "?cols=132&rows=50")
    assert view == {
        "session_name": "a-B_9",
        "status": "running",
        "protocol_version": "1",
        "connect_url": "/pty/a-B_9/ws",
        "created": True,
        "attached": False,
        "cols": 132,
        "rows": 50,
        "idle_ttl_seconds": 900,
    }
    again = await host.bootstrap("a-B_9")
    assert (again["created"], again["cols"]) == (False, 132)
    assert (await host.bootstrap("a-B_9", "?cols=80"))["cols"] == 132  # one number alone is none
    async with host.attach("a-B_9"):
        assert (await host.bootstrap("a-B_9"))["attached"]


async def test_the_usual_size_and_type_of_terminal(terminal: ClientConnection) -> None:
    await terminal.send(b"echo size $(stty size) $TERM\n")
    await sees(terminal, "size 24 80 xterm-256color")


async def test_the_token_is_the_subprotocol(host: Host, terminal: ClientConnection) -> None:
    assert terminal.subprotocol == host.token


@pytest.mark.parametrize("name", ["a.b", "a%20b", "a" * 257, "%C3%BC", "a%0Ab"])
async def test_a_bad_name_is_a_400(host: Host, name: str) -> None:
    assert (await host.ask("GET", f"/pty/{name}")).status_code == 400
    assert (await host.ask("POST", f"/pty/{name}/control", json={"action": "close"})).status_code == 400
    with pytest.raises(InvalidStatus, match="400"):
        await host.attach(name)


@pytest.mark.parametrize("size", ["cols=0&rows=5", "cols=1001&rows=5", "cols=-1&rows=5", "cols=x&rows=5"])
async def test_a_bad_size_is_a_400_and_no_session(host: Host, size: str) -> None:
    assert (await host.ask("GET", f"/pty/main?{size}")).status_code == 400
    assert (await host.control("main", action="close")).status_code == 404


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"action": "dance"},
        {"action": "resize"},
        {"action": "resize", "cols": 80},
        {"action": "resize", "cols": 0, "rows": 24},
        {"action": "resize", "cols": 80, "rows": 1001},
        {"action": "signal"},
        {"action": "signal", "signal": "INT"},
        {"action": "signal", "signal": "SIGNOTHING"},
        {"action": "signal", "signal": "Signals"},
    ],
    ids=json.dumps,
)
async def test_an_action_that_cannot_be_is_a_400(host: Host, action: dict[str, Any]) -> None:
    await host.bootstrap()
    assert (await host.control("main", **action)).status_code == 400


async def test_actions(host: Host, terminal: ClientConnection) -> None:
    await terminal.send(b'sh -c \'trap "echo ca""ught" USR1; echo re""ady; while :; do sleep 0.01; done\'\n')
    await sees(terminal, "ready")
    done = await host.control("main", action="signal", signal="SIGUSR1")
    assert done.json() == {"session_name": "main", "status": "running"}
    await sees(terminal, "caught")
    await host.control("main", action="resize", cols=90, rows=40)
    assert (await host.bootstrap())["cols"] == 90
    assert (await host.control("main", action="close")).json()["status"] == "closed"
    with pytest.raises(ConnectionClosed) as closed:
        await sees(terminal, "never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000
    assert (await host.control("main", action="close")).status_code == 404
    assert (await host.bootstrap())["created"]


async def test_a_clean_exit_is_4000_after_all_output(host: Host, terminal: ClientConnection) -> None:
    await terminal.send(b"seq 20000; exit 3\n")
    seen = ""
    with suppress(ConnectionClosed):
        async for data in terminal:
            assert isinstance(data, bytes)
            seen += data.decode()
    assert terminal.close_code == 4000
    assert "19999\r\n20000\r\n" in seen
    assert (await host.bootstrap())["created"]


async def test_a_background_process_does_not_keep_the_session(host: Host, terminal: ClientConnection) -> None:
    await terminal.send(b"(trap '' HUP; sleep 30) & sleep 0.1; exit\n")
    with pytest.raises(ConnectionClosed) as closed:
        await sees(terminal, "never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000


async def test_one_client_at_a_time(host: Host, terminal: ClientConnection) -> None:
    with pytest.raises(InvalidStatus) as error:
        await host.attach()
    assert error.value.response.status_code == 409
    await terminal.close()
    async with host.attach() as next_one:
        await next_one.send("echo te''xt\n")  # a text frame is typed as well
        await sees(next_one, "text")


async def test_output_without_a_client_is_kept(host: Host, terminal: ClientConnection, api: Api, devbox: str) -> None:
    await terminal.send(b"until [ -e go ]; do sleep 0.01; done; seq 5000; touch done\n")
    await terminal.close()
    await api.execute(devbox, "touch go; until [ -e done ]; do sleep 0.01; done")
    async with host.attach() as socket:
        seen = await sees(socket, "5000\r\n")
    assert "1\r\n2\r\n3\r\n" in seen


async def test_very_much_output_without_a_client_drops_the_oldest(
    host: Host, terminal: ClientConnection, api: Api, devbox: str
) -> None:
    await terminal.send(b"until [ -e go ]; do sleep 0.01; done; seq 200000; touch done\n")
    await terminal.close()
    await api.execute(devbox, "touch go; until [ -e done ]; do sleep 0.01; done")
    async with host.attach() as socket:
        assert socket.response is not None
        assert int(socket.response.headers["x-runloop-pty-offset"]) > 1_000_000
        seen = await sees(socket, "200000\r\n")
    assert 100_000 < len(seen) <= 256 * 1024 + 1000


async def test_the_socket_needs_a_session(host: Host) -> None:
    with pytest.raises(InvalidStatus, match="404"):
        await host.attach("none")


@pytest.mark.parametrize("token", ["-", "wrong", "{token}x"])
async def test_without_the_token_nothing_is_answered(host: Host, token: str) -> None:
    given = token.format(token=host.token)
    for name in ("authorization", "x-runloop-tunnel-authorization"):
        headers = {"authorization": "", name: f"Bearer {given}"}
        assert (await host.ask("GET", "/pty/main", headers=headers)).status_code == 401
    with pytest.raises(InvalidStatus, match="401"):
        await host.attach("main", token=given)


async def test_the_tunnels_own_header_is_as_good(host: Host) -> None:
    headers = {"authorization": "", "x-runloop-tunnel-authorization": f"Bearer {host.token}"}
    assert (await host.ask("GET", "/pty/main", headers=headers)).status_code == 200


async def test_a_pty_tunnel_leads_to_no_other_port_and_no_other_devbox(host: Host, api: Api, service: Service) -> None:
    assert (await Host(service, host.key, host.token, 8080).ask("GET", "/")).status_code == 404
    other = await tunnel_to(api, service, await api.create())
    assert (await Host(service, other.key, host.token).ask("GET", "/pty/main")).status_code == 401


async def test_terminals_are_not_at_the_apis_own_host(api: Api) -> None:
    answer = await api.get("/pty/main")
    assert (answer.status_code, "create_pty_tunnel" in answer.text) == (404, True)


async def test_a_devbox_that_does_not_run_has_no_terminals(api: Api, service: Service) -> None:
    devbox = await api.create()
    host = await tunnel_to(api, service, devbox)
    await host.bootstrap()
    async with host.attach() as socket:
        await api.json(f"/v1/devboxes/{devbox}/suspend", {})
        with pytest.raises(ConnectionClosed) as closed:
            await sees(socket, "never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    await api.wait(devbox, "suspended")
    assert (await host.ask("GET", "/pty/main")).status_code == 400
    await api.json(f"/v1/devboxes/{devbox}/create_pty_tunnel", {}, status=400)
    await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")
    assert (await host.bootstrap())["created"]
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    assert (await host.ask("GET", "/pty/main")).status_code == 400


async def test_a_session_ends_when_no_client_comes_for_long(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--pty-idle-ttl", "1.5") as service:
        async with connect_api(service) as api:
            host = await tunnel_to(api, service, await api.create())
            await host.bootstrap()
            async with host.attach() as socket:
                await asyncio.sleep(2)
                assert not (await host.bootstrap())["created"]
                await socket.send(b"echo he''re\n")
                await sees(socket, "here")
            await asyncio.sleep(2)
            assert (await host.bootstrap())["created"]
