"""What lets somebody in is nowhere in the service's files as it is, and works all the same after a restart."""

from pathlib import Path

import httpx

from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.local.test_old_data import is_in_files


def secrets_of(tunnel: dict[str, str]) -> tuple[str, str]:
    return tunnel["tunnel_key"], tunnel["auth_token"]


async def made(api: Api) -> tuple[str, dict[str, str], list[str]]:
    """A devbox, its tunnel, and all that lets somebody in."""
    devbox = await api.create(tunnel={"auth_mode": "authenticated"})
    tunnel = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]
    pty = await api.json(f"/v1/devboxes/{devbox}/create_pty_tunnel", {})
    further = [
        (await api.json("/v1/apikeys", {"name": "a"}))["key_secret"],
        (await api.json("/v1/restricted_keys", {"name": "r", "scopes": []}))["key_secret"],
    ]
    return devbox, tunnel, [*secrets_of(tunnel), *secrets_of(pty), *further]


async def test_no_token_is_in_the_files(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            devbox, tunnel, secrets = await made(api)
            assert not [secret for secret in [*secrets, service.api_key] if is_in_files(data, secret)]
        service.kill()
    assert not [secret for secret in secrets if is_in_files(data, secret)]
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            assert (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"] == tunnel
            listed = (await api.json("/v1/devboxes"))["devboxes"]
            assert [view["tunnel"] for view in listed] == [tunnel]
            assert await lets_in(service, tunnel) == {True: 503, False: 401}  # it is suspended
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
            assert (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"] is None
            assert [view["tunnel"] for view in (await api.json("/v1/devboxes"))["devboxes"]] == [None]


async def lets_in(service: Service, tunnel: dict[str, str]) -> dict[bool, int]:
    """What requests by a tunnel are answered with, by whether they have the token."""
    found = {}
    for right in (True, False):
        host = f"80-{tunnel['tunnel_key']}.tunnel.localhost:{service.base_url.rpartition(':')[2]}"
        token = tunnel["auth_token"] if right else "wrong"
        headers = {"host": host, "x-runloop-tunnel-authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=service.base_url, headers=headers) as client:
            found[right] = (await client.get("/")).status_code
    return found


async def test_a_request_for_a_tunnel_that_comes_again_after_a_restart_gets_that_tunnel(tmp_path: Path) -> None:
    data, headers = tmp_path / "data", {"x-request-id": "again"}
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            devbox = await api.create()
            body = {"auth_mode": "authenticated"}
            first = await api.post(f"/v1/devboxes/{devbox}/enable_tunnel", json=body, headers=headers)
        service.kill()
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            again = await api.post(f"/v1/devboxes/{devbox}/enable_tunnel", json=body, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_tunnel_sealed_with_a_lost_key_is_named_and_can_be_made_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            devbox, tunnel, _ = await made(api)
    (data / "service.key").rename(tmp_path / "kept.key")
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            assert (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"] is None
            assert [view["tunnel"] for view in (await api.json("/v1/devboxes"))["devboxes"]] == [None]
            notes = (await api.json("/local/status"))["notes"]
            assert [note for note in notes if f"The tunnel of devbox {devbox} was encrypted with another" in note]
    (tmp_path / "kept.key").rename(data / "service.key")
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            assert (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"] == tunnel
    (data / "service.key").unlink()
    with serving(data, "--isolation", "process") as service:
        async with connect(service) as api:
            await api.json(f"/v1/devboxes/{devbox}/resume", {})
            await api.wait(devbox, "running")
            new = await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", {})
            assert new["tunnel_key"] not in ("", tunnel["tunnel_key"])
