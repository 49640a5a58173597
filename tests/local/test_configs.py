"""Network policies, gateway and MCP configs: what is kept and shown."""

import json
import uuid
from typing import Any

import pytest

from tests.local.api import Api

BEARER = {"type": "bearer"}
KINDS: dict[str, dict[str, Any]] = {
    "network-policies": {"allowed_hostnames": ["example.com", "*.example.org"], "description": "d"},
    "gateway-configs": {"endpoint": "https://api.example.com", "auth_mechanism": {"type": "header", "key": "x-key"}},
    "mcp-configs": {"endpoint": "https://mcp.example.com/sse", "allowed_tools": ["a.*"], "auth_mechanism": BEARER},
}


@pytest.mark.parametrize("kind", KINDS)
async def test_life(api: Api, kind: str) -> None:
    path, key = f"/v1/{kind}", kind.replace("-", "_")
    mark = uuid.uuid4().hex
    made = await api.json(path, {"name": f"{mark} one", **KINDS[kind]})
    other = await api.json(path, {"name": f"{mark} two", **KINDS[kind]})
    assert await api.json(f"{path}/{made['id']}") == made
    listed = await api.json(f"{path}?name={mark}&limit=1")
    assert [[view["id"] for view in listed[key]], listed["has_more"], listed["total_count"]] == [[other["id"]], True, 2]
    rest = await api.json(f"{path}?name={mark}&starting_after={other['id']}")
    assert rest[key] == [made]
    assert (await api.json(f"{path}?id={made['id']}"))[key] == [made]
    assert (await api.json(f"{path}?search={mark}%20TWO"))[key] == [other]
    changed = await api.json(f"{path}/{made['id']}", {"name": "renamed", "description": "new"})
    assert (changed["name"], changed["description"]) == ("renamed", "new")
    untouched = ("egress",) if kind == "network-policies" else ("endpoint", "auth_mechanism")
    assert all(changed[field] == made[field] for field in untouched)
    for entry in (made, other):
        assert (await api.json(f"{path}/{entry['id']}/delete", {}))["id"] == entry["id"]
        await api.json(f"{path}/{entry['id']}", status=404)
        await api.json(f"{path}/{entry['id']}", {}, status=404)
        await api.json(f"{path}/{entry['id']}/delete", {}, status=404)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_retried_create_makes_one(api: Api, kind: str) -> None:
    headers = {"x-request-id": str(uuid.uuid4())}
    body = {"name": "twice", **KINDS[kind]}
    first = await api.json(f"/v1/{kind}", body, headers=headers)
    assert await api.json(f"/v1/{kind}", body, headers=headers) == first
    await api.json(f"/v1/{kind}/{first['id']}/delete", {})


async def test_what_a_policy_allows_by_default_and_by_implication(api: Api) -> None:
    nothing = (await api.json("/v1/network-policies", {"name": "n"}))["egress"]
    assert not any(nothing.values())
    policy = await api.json("/v1/network-policies", {"name": "n", "allow_all": True})
    assert policy["egress"]["allow_devbox_to_devbox"] is policy["egress"]["allow_runloop_mirrors"] is True
    cidrs = [{"cidr": "10.12.0.0/16", "ports": [{"port": 443, "end_port": 445, "protocol": "TCP"}]}]
    policy = await api.json(f"/v1/network-policies/{policy['id']}", {"allow_all": False, "allowed_cidrs": cidrs})
    assert (policy["egress"]["allow_all"], policy["egress"]["allowed_cidrs"]) == (False, cidrs)
    policy = await api.json(f"/v1/network-policies/{policy['id']}", {"allowed_cidrs": []})
    assert policy["egress"]["allowed_cidrs"] == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("network-policies", {"name": ""}),
        ("network-policies", {"name": None}),
        ("network-policies", {"name": "n" * 256}),
        ("network-policies", {"allowed_hostnames": ["https://example.com"]}),
        ("network-policies", {"allowed_hostnames": ["a.*.com"]}),
        ("network-policies", {"allowed_cidrs": [{"cidr": "10.0.0.0/33"}]}),
        ("network-policies", {"allowed_cidrs": [{"cidr": "::/0"}]}),
        ("network-policies", {"allowed_cidrs": [{"cidr": "10.0.0.0/8", "ports": [{"port": 65536}]}]}),
        ("network-policies", {"allow_all": "perhaps"}),
        ("gateway-configs", {"endpoint": "ftp://example.com"}),
        ("gateway-configs", {"endpoint": "example.com"}),
        ("gateway-configs", {"endpoint": None}),
        ("gateway-configs", {"auth_mechanism": {"type": "header"}}),
        ("gateway-configs", {"auth_mechanism": {"type": "smile"}}),
        ("gateway-configs", {"custom_headers": [{"name": "x"}] * 9}),
        ("mcp-configs", {"allowed_tools": "all"}),
        ("mcp-configs", {"allowed_tools": None}),
    ],
    ids=json.dumps,
)
async def test_impossible_settings_are_a_400(api: Api, kind: str, change: dict[str, Any]) -> None:
    error = await api.json(f"/v1/{kind}", {"name": "n", **KINDS[kind], **change}, status=400)
    assert next(iter(change)) in error["message"]


@pytest.mark.parametrize("operation", ["create_gateway_token", "create_mcp_token"])
async def test_tokens_of_the_cloud_are_a_501_that_says_why(api: Api, operation: str) -> None:
    error = await api.json(f"/v1/devboxes/x/{operation}", {}, status=501)
    assert operation in error["message"]
    assert "cloud" in error["message"]
