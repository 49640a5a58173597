"""Network policies: what they allow, and that devboxes are held to them."""

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from runloop_local.engine.network import policies
from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.starter import FROM
from tests.waiting import until

Make = Callable[..., Awaitable[str]]


@pytest.fixture
async def policy(api: Api) -> AsyncIterator[Make]:
    made: list[str] = []

    async def make(**rules: Any) -> str:
        view = await api.json("/v1/network-policies", {"name": "tests", **rules})
        made.append(view["id"])
        return made[-1]

    yield make
    for policy_id in made:
        await api.post(f"/v1/network-policies/{policy_id}/delete")


async def reached(api: Api, devbox: str, *hosts: str) -> list[str]:
    """What the proxy does with each host, all of which are this machine and so refused later on."""
    command = "for host in {}; do curl -sS -m 10 --noproxy '' http://$host:9/; done".format(" ".join(hosts))
    said: str = (await api.execute(devbox, command, optimistic_timeout=25))["stdout"]
    return ["refused" if "network policy" in line else "let through" for line in said.splitlines()]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, ["refused", "refused", "refused"]),
        ({"allow_all": True}, ["let through", "let through", "let through"]),
        ({"allowed_hostnames": ["LOCALHOST"]}, ["let through", "refused", "refused"]),
        ({"allowed_hostnames": ["*.localhost"]}, ["refused", "let through", "refused"]),
    ],
    ids=["nothing", "everything", "a name", "names below"],
)
async def test_devboxes_reach_what_their_policy_allows(
    api: Api, service: Service, policy: Make, rules: dict[str, Any], expected: list[str]
) -> None:
    parameters = {"network_policy_id": await policy(**rules)}
    if service.isolation != "namespaces":
        await api.json("/v1/devboxes", {"launch_parameters": parameters}, status=200 if rules.get("allow_all") else 501)
        return
    devbox = await api.create(launch_parameters=parameters)
    assert await reached(api, devbox, "localhost", "a.localhost", "127.0.0.1") == expected
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_a_policy_holds_for_each_start(api: Api, service: Service, policy: Make) -> None:
    if service.isolation != "namespaces":
        return  # refused, as tested above
    policy_id = await policy()
    devbox = await api.create(launch_parameters={"network_policy_id": policy_id})
    for rules, expected in (({"allow_all": True}, "let through"), ({"allow_all": False}, "refused")):
        await api.json(f"/v1/network-policies/{policy_id}", rules)
        await api.json(f"/v1/devboxes/{devbox}/suspend", {})
        await api.wait(devbox, "suspended")
        await api.json(f"/v1/devboxes/{devbox}/resume", {})
        await api.wait(devbox, "running")
        assert await reached(api, devbox, "localhost") == [expected]
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_a_build_is_under_the_policy_that_it_names(api: Api, service: Service, policy: Make) -> None:
    if service.isolation != "namespaces":
        return  # refused, as tested below
    step = "RUN curl -sS -m 10 --noproxy '' http://localhost:9/ || true"
    said = {}
    for rules in ({"allow_all": True}, {}, {"allowed_hostnames": ["localhost"]}):
        body = {"name": "reaching", "dockerfile": f"{FROM}\n{step}", "network_policy_id": await policy(**rules)}
        made = await api.json("/v1/blueprints", body)

        async def ended(made: str = made["id"]) -> bool:
            view = await api.json(f"/v1/blueprints/{made}")
            return str(view["status"]) == "build_complete"

        await until(ended, "the blueprint")
        log = await api.json(f"/v1/blueprints/{made['id']}/logs")
        said[str(rules)] = "network policy" in "\n".join(line["message"] for line in log["logs"])
    assert list(said.values()) == [False, True, False]


async def test_what_no_policy_can_open_is_refused_by_name(api: Api, policy: Make) -> None:
    opened = {"name": "among us", "allow_devbox_to_devbox": True}
    said = await api.json("/v1/network-policies", opened, status=501)
    assert said["message"].startswith(
        "allow_devbox_to_devbox: devboxes of the embedded service do not reach each other"
    )
    await api.json(f"/v1/network-policies/{await policy()}", opened, status=501)
    await policy(allow_devbox_to_devbox=True, allow_all=True)


async def test_an_unknown_policy_is_a_404(api: Api) -> None:
    error = await api.json("/v1/devboxes", {"launch_parameters": {"network_policy_id": "npol_nope"}}, status=404)
    assert "npol_nope" in error["message"]


async def test_what_cannot_be_enforced_is_a_501_that_says_why(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("plain") / "data", "--isolation", "process") as service:
        async with connect(service) as api:
            closed = await api.json("/v1/network-policies", {"name": "closed"})
            everything = await api.json("/v1/network-policies", {"name": "open", "allow_all": True})
            parameters = {"network_policy_id": closed["id"]}
            error = await api.json("/v1/devboxes", {"launch_parameters": parameters}, status=501)
            assert "plain processes" in error["message"]
            await api.create(launch_parameters={"network_policy_id": everything["id"]})
            body = {"name": "closed", "dockerfile": FROM, "network_policy_id": closed["id"]}
            assert "plain processes" in (await api.json("/v1/blueprints", body, status=501))["message"]


def rule(**changes: Any) -> policies.EgressRules:
    egress = {"allow_all": False, "allowed_hostnames": [], "allowed_cidrs": [], **changes}
    return policies.loaded({"id": "npol_1", "egress": egress})


@pytest.mark.parametrize(
    ("egress", "host", "port", "address", "allowed"),
    [
        (rule(), "example.com", 443, "93.184.216.34", False),
        (rule(allow_all=True), "example.com", 443, "93.184.216.34", True),
        (rule(allowed_hostnames=["example.com"]), "EXAMPLE.com.", 443, "93.184.216.34", True),
        (rule(allowed_hostnames=["example.com"]), "www.example.com", 443, "93.184.216.34", False),
        (rule(allowed_hostnames=["example.com"]), "notexample.com", 443, "93.184.216.34", False),
        (rule(allowed_hostnames=["*.example.com"]), "a.b.example.com", 443, "93.184.216.34", True),
        (rule(allowed_hostnames=["*.example.com"]), "example.com", 443, "93.184.216.34", False),
        (rule(allowed_hostnames=["*.example.com"]), "badexample.com", 443, "93.184.216.34", False),
        (rule(allowed_cidrs=[{"cidr": "93.0.0.0/8"}]), "any", 1, "93.184.216.34", True),
        (rule(allowed_cidrs=[{"cidr": "93.0.0.0/8"}]), "any", 1, "94.184.216.34", False),
        (rule(allowed_cidrs=[{"cidr": "0.0.0.0/0"}]), "any", 1, "2606:2800:220:1::1", False),
        (rule(allowed_cidrs=[{"cidr": "93.0.0.0/8", "ports": [{"port": 443}]}]), "any", 443, "93.1.1.1", True),
        (rule(allowed_cidrs=[{"cidr": "93.0.0.0/8", "ports": [{"port": 443}]}]), "any", 80, "93.1.1.1", False),
        (rule(allowed_cidrs=[{"cidr": "93.0.0.0/8", "ports": [{"port": 1, "end_port": 9}]}]), "a", 9, "93.1.1.1", True),
        (
            rule(allowed_cidrs=[{"cidr": "93.0.0.0/8", "ports": [{"port": 5, "protocol": "UDP"}]}]),
            "a",
            5,
            "93.1.1.1",
            False,
        ),
    ],
)
def test_what_a_policy_allows(egress: policies.EgressRules, host: str, port: int, address: str, allowed: bool) -> None:
    assert egress.allows(host, port, ipaddress.ip_address(address)) is allowed
    assert egress.allows(host, port, None) or not allowed
