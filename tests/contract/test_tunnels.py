"""The official client 3.0.0 on tunnels and terminals of the embedded service."""

from collections.abc import AsyncIterator

import httpx
import pytest
from runloop_api_client import APIStatusError, AsyncRunloop, BadRequestError, NotFoundError
from runloop_api_client.sdk import AsyncDevbox, AsyncRunloopSDK

from tests.local.serving import Service


@pytest.fixture
async def devbox(service: Service) -> AsyncIterator[AsyncDevbox]:
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url, max_retries=0) as sdk:
        async with await sdk.devbox.create(name="contract") as devbox:
            yield devbox


async def get(service: Service, host: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=service.base_url, headers={"host": host, **headers}) as client:
        return await client.get("/")


async def test_a_tunnel_serves_a_port(service: Service, devbox: AsyncDevbox) -> None:
    assert await devbox.get_tunnel_url(8080) is None
    tunnel = await devbox.net.enable_tunnel(auth_mode="authenticated", wake_on_http=True)
    assert (tunnel.auth_mode, tunnel.http_keep_alive, tunnel.wake_on_http) == ("authenticated", True, True)
    url = await devbox.get_tunnel_url(8080)
    assert url is not None
    assert f"8080-{tunnel.tunnel_key}.tunnel." in url
    until = "until (: </dev/tcp/127.0.0.1/8080) 2>/dev/null; do sleep 0.01; done"
    await devbox.cmd.exec(f"echo served > index.html; nohup python3 -m http.server 8080 >/dev/null 2>&1 & {until}")
    host = f"8080-{tunnel.tunnel_key}.tunnel.localhost:{service.base_url.rpartition(':')[2]}"
    assert (await get(service, host)).status_code == 401
    header = {"X-Runloop-Tunnel-Authorization": f"Bearer {tunnel.auth_token}"}
    assert (await get(service, host, **header)).text == "served\n"
    with pytest.raises(BadRequestError, match="remove it first"):
        await devbox.net.enable_tunnel()
    await devbox.net.remove_tunnel()
    assert await devbox.get_tunnel() is None
    assert (await get(service, host, **header)).status_code == 404


async def test_terminals_by_their_tunnel(service: Service, devbox: AsyncDevbox) -> None:
    tunnel = await devbox._client.devboxes.create_pty_tunnel(devbox.id)
    host = f"13-{tunnel.tunnel_key}.tunnel.localhost:{service.base_url.rpartition(':')[2]}"
    async with AsyncRunloop(
        base_url=service.base_url, bearer_token=tunnel.auth_token, default_headers={"host": host}, max_retries=0
    ) as terminals:
        view = await terminals.pty.connect("main", cols=100, rows=30)
        assert (view.created, view.attached, view.cols, view.rows) == (True, False, 100, 30)
        assert view.connect_url
        assert view.idle_ttl_seconds
        assert (await terminals.pty.control("main", action="resize", cols=80, rows=24)).status == "running"
        assert (await terminals.pty.connect("main")).cols == 80
        with pytest.raises(BadRequestError, match="SIGNOTHING"):
            await terminals.pty.control("main", action="signal", signal="SIGNOTHING")
        await terminals.pty.control("main", action="close")
        with pytest.raises(NotFoundError):
            await terminals.pty.control("main", action="close")
        with pytest.raises(APIStatusError) as error:
            await terminals.pty.connect("not a name")
        assert error.value.status_code == 400
