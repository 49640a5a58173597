"""Lists of every kind, walked while their items are deleted."""

from pathlib import Path
from typing import Any

import pytest

from runloop_sdk import AsyncRunloopSDK
from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.starter import FROM

COUNT, LIMIT = 7, 3
_ENDPOINT = {"endpoint": "https://example.com", "auth_mechanism": {"type": "bearer"}}
KINDS: dict[str, dict[str, Any]] = {
    "secrets": {"value": "v"},
    "network-policies": {"allow_all": True},
    "gateway-configs": _ENDPOINT,
    "mcp-configs": {**_ENDPOINT, "allowed_tools": ["*"]},
    "objects": {"content_type": "text"},
    "axons": {},
    "blueprints": {"dockerfile": FROM},
    "devboxes/disk_snapshots": {},
}


async def made(api: Api, kind: str) -> list[dict[str, Any]]:
    """Some of a kind, the newest first."""
    if kind == "devboxes/disk_snapshots":
        devbox = await api.create()
        views = [await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {"name": f"N{n}"}) for n in range(COUNT)]
    else:
        views = [await api.json(f"/v1/{kind}", {"name": f"N{n}", **KINDS[kind]}) for n in range(COUNT)]
    return views[::-1]


async def delete(api: Api, kind: str, view: dict[str, Any]) -> None:
    named = view["name"] if kind == "secrets" else view["id"]
    method, path = ("DELETE", "") if kind == "axons" else ("POST", "/delete")
    (await api.request(method, f"/v1/{kind}/{named}{path}")).raise_for_status()


async def page(api: Api, kind: str, after: str | None) -> tuple[list[str], bool]:
    cursor = "" if after is None else f"&starting_after={after}"
    answer = await api.json(f"/v1/{kind}?limit={LIMIT}{cursor}")
    (views,) = [value for value in answer.values() if isinstance(value, list)]
    return [view["id"] for view in views], answer["has_more"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_goes_on_after_each_page_was_deleted_also_by_the_next_service(tmp_path: Path, kind: str) -> None:
    with serving(tmp_path / "data", "--isolation", "process") as service:
        async with connect(service) as api:
            views = await made(api, kind)
            ids = [view["id"] for view in views]
            assert await page(api, kind, None) == (ids[:LIMIT], True)
            for view in views[:LIMIT]:
                await delete(api, kind, view)
            assert await page(api, kind, ids[LIMIT - 1]) == (ids[LIMIT : 2 * LIMIT], True)
            unknown = await api.get(f"/v1/{kind}?starting_after={ids[0][:-4]}none")
            assert (unknown.status_code, "starting_after" in unknown.json()["message"]) == (404, True)
        service.kill()
    with serving(tmp_path / "data", "--isolation", "process") as service:
        async with connect(service) as api:
            assert await page(api, kind, ids[LIMIT - 1]) == (ids[LIMIT : 2 * LIMIT], True)
            await delete(api, kind, views[2 * LIMIT - 1])
            assert await page(api, kind, ids[2 * LIMIT - 1]) == (ids[2 * LIMIT :], False)


async def test_whoever_walks_a_list_may_delete_each_item(service: Service, api: Api) -> None:
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as sdk:
        for n in range(9):
            await sdk.secret.create(name=f"WALKED_{n}", value="v")
        walked = []
        async for secret in sdk.secret.list(limit=3):
            walked.append(secret.name)
            if secret.name.startswith("WALKED_"):
                await secret.delete()
    assert [name for name in walked if name.startswith("WALKED_")] == [f"WALKED_{n}" for n in range(8, -1, -1)]
    left = (await api.json("/v1/secrets?limit=5000&search=walked_"))["secrets"]
    assert left == []
