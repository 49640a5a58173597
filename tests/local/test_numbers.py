"""Whole numbers from outside: however large, they are taken or refused, and never a surprise."""

import json
from typing import Any

import msgspec
import pytest

from runloop_local.routes import all_routes  # every body is imported with its route
from runloop_local.routes.body import Body
from runloop_local.routes.wire import LARGEST, parse_integer
from tests.local.api import Api

NUMBERS = ["2147483648", str(2**63 - 1), str(2**63), str(2**64), str(10**30), "9" * 5000, "-1", "1.5", "x", "²", "٣"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("0012", 12),
        (str(LARGEST), LARGEST),
        (str(LARGEST + 1), None),
        ("9" * 19, None),
        ("0" * 20, None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        ("²", None),
        ("٣", None),
    ],
)
def test_what_is_a_whole_number(text: str, number: int | None) -> None:
    assert parse_integer(text) == number


def bodies(kind: type[Body] = Body) -> list[type[Body]]:
    return [found for each in kind.__subclasses__() for found in (each, *bodies(each))]


def unbounded(schema: Any) -> list[Any]:
    """The integers in a JSON schema without a limit on each side."""
    if isinstance(schema, list):
        return [found for each in schema for found in unbounded(each)]
    if not isinstance(schema, dict):
        return []
    lower, upper = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
    bounded = lower & schema.keys() and upper & schema.keys()
    here = [schema] if schema.get("type") == "integer" and not bounded else []
    return here + unbounded(list(schema.values()))


def test_every_whole_number_of_every_body_has_bounds() -> None:
    assert len(all_routes()) > 80
    assert len(bodies()) > 40
    assert {body.__qualname__: found for body in bodies() if (found := unbounded(msgspec.json.schema(body)))} == {}


QUERIES = [
    "/v1/devboxes?limit={n}",
    "/v1/devboxes/disk_snapshots?limit={n}",
    "/v1/blueprints?limit={n}",
    "/v1/objects?limit={n}",
    "/v1/secrets?limit={n}",
    "/v1/network-policies?limit={n}",
    "/v1/gateway-configs?limit={n}",
    "/v1/mcp-configs?limit={n}",
    "/v1/axons?limit={n}",
    "/v1/axons/{axon}/events?limit={n}",
    "/v1/axons/{axon}/events?starting_after={n}",
    "/v1/objects/{object}/download?duration_seconds={n}",
    "{execution}?last_n={n}",
    "{execution}/stream_stdout_updates?offset={n}",
    "{execution}/stream_stderr_updates?offset={n}",
]
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/devboxes", {"launch_parameters": {"keep_alive_time_seconds": "N"}}),
    ("/v1/devboxes", {"launch_parameters": {"after_idle": {"idle_time_seconds": "N", "on_idle": "shutdown"}}}),
    ("/v1/devboxes", {"launch_parameters": {"user_parameters": {"username": "user", "uid": "N"}}}),
    ("/v1/devboxes", {"launch_parameters": {"resource_size_request": "CUSTOM_SIZE", "custom_gb_memory": "N"}}),
    ("/v1/devboxes", {"launch_parameters": {"resource_size_request": "CUSTOM_SIZE", "custom_cpu_cores": "N"}}),
    ("/v1/devboxes", {"launch_parameters": {"available_ports": ["N"]}}),
    ("/v1/devboxes", {"launch_parameters": {"lifecycle": {"lifecycle_hooks": {"suspend_deadline_ms": "N"}}}}),
    ("/v1/objects", {"name": "o", "content_type": "text", "ttl_ms": "N"}),
    ("/v1/apikeys", {"expires_at_ms": "N"}),
    ("/v1/axons/{axon}/sql/query", {"sql": "SELECT ?", "params": ["N"]}),
    ("/v1/network-policies", {"name": "p", "allowed_cidrs": [{"cidr": "10.0.0.0/8", "ports": [{"port": "N"}]}]}),
    ("{execution}/wait_for_status", {"statuses": ["completed"], "timeout_seconds": "N"}),
    ("/local/prune", {"kinds": [], "older_than_ms": "N"}),
]


@pytest.fixture
async def places(api: Api, devbox: str) -> dict[str, str]:
    result = await api.execute(devbox, "echo out")
    made = await api.json("/v1/objects", {"name": "o", "content_type": "text"})
    await api.put(made["upload_url"], content=b"x")
    await api.json(f"/v1/objects/{made['id']}/complete", {})
    return {
        "execution": f"/v1/devboxes/{devbox}/executions/{result['execution_id']}",
        "axon": (await api.json("/v1/axons", {}))["id"],
        "object": made["id"],
    }


async def test_none_in_a_query_is_a_surprise(api: Api, places: dict[str, str]) -> None:
    for query in QUERIES:
        for number in NUMBERS:
            answer = await api.get(query.format(n=number, **places))
            assert answer.status_code in (200, 400), (query, number[:30], answer.text)


async def test_none_in_a_body_is_a_surprise(api: Api, places: dict[str, str]) -> None:
    for path, body in BODIES:
        for number in (*NUMBERS[:7], "1.5", "1e400", "NaN", "-1e30"):
            text = json.dumps(body).replace('"N"', number)
            answer = await api.post(path.format(**places), content=text)
            assert answer.status_code in (200, 400), (path, body, number[:30], answer.text)
            if path == "/v1/devboxes" and answer.status_code == 200:
                view = await api.wait(answer.json()["id"], "running", "failure")
                assert view["status"] == "running", (number[:30], view)
                await api.json(f"/v1/devboxes/{view['id']}/shutdown", {})


@pytest.mark.parametrize("number", [str(2**63), "9" * 5000, "-1"], ids=["2^63", "long", "-1"])
async def test_a_stream_after_a_number_that_is_none_is_refused(api: Api, number: str) -> None:
    axon = (await api.json("/v1/axons", {}))["id"]
    refused = await api.json(f"/v1/axons/{axon}/subscribe/sse?after_sequence={number}", status=400)
    assert "after_sequence must be a whole number from 0 to 9223372036854775807" in refused["message"]


async def test_a_range_of_bytes_that_nobody_has_is_none(api: Api, places: dict[str, str]) -> None:
    address = (await api.json(f"/v1/objects/{places['object']}/download"))["download_url"]
    for wanted, status in (("0-" + "9" * 18, 206), ("0-" + "9" * 5000, 200), ("9" * 5000 + "-", 200)):
        assert (await api.get(address, headers={"range": f"bytes={wanted}"})).status_code == status
