"""The service's addresses: no other account can take one of those that a browser may mean."""

import json
import os
import shutil
import socket
import subprocess
import sys

import httpx
import pytest

from runloop_local.listening import base_url, listen
from tests.local.serving import Service

HAS_IPV6 = socket.has_ipv6 and os.path.exists("/proc/net/if_inet6")
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None, reason="makes a network of its own"
)
LOOPBACK = {"127.0.0.1", "::1"}


def addresses(host: str, port: int = 0) -> tuple[set[str], set[int]]:
    listeners = listen(host, port)
    try:
        return {each.getsockname()[0] for each in listeners}, {each.getsockname()[1] for each in listeners}
    finally:
        for each in listeners:
            each.close()


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", LOOPBACK),
        ("localhost", LOOPBACK),
        ("::1", LOOPBACK),
        ("127.0.0.2", {"127.0.0.2", *LOOPBACK}),
        ("0.0.0.0", {"0.0.0.0", "::1"}),
        ("::", {"::"}),
    ],
)
def test_it_listens_at_all_of_this_machine_that_a_browser_may_mean(host: str, expected: set[str]) -> None:
    found, ports = addresses(host)
    assert found == expected
    assert len(ports) == 1


@needs_ipv6
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.0.0.2", "0.0.0.0", "::"])
def test_nobody_else_can_listen_at_its_port(host: str, address: str) -> None:
    listeners = listen(host, 0)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with pytest.raises(OSError, match="Address already in use"):  # noqa: PT012 -- which of the two, systems differ in
            other.bind((address, listeners[0].getsockname()[1]))
            other.listen()
    for each in listeners:
        each.close()


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_chosen_port_that_another_has_at_ipv6_is_not_shared(host: str) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        with pytest.raises(OSError, match="Address already in use"):
            listen(host, taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:"), ("0.0.0.0", "http://127.0.0.1:")],
)
def test_its_url_has_an_address_to_reach_it(host: str, url: str) -> None:
    listeners = listen(host, 0)
    assert base_url(listeners[0]) == f"{url}{listeners[0].getsockname()[1]}"
    for each in listeners:
        each.close()


IN_A_NETWORK = """
import json, socket, sys
from runloop_local.listening import listen
taken = [socket.create_server(("::1", int(port)), family=socket.AF_INET6) for port in sys.argv[1:]]
print(json.dumps([each.getsockname()[:2] for each in listen("127.0.0.1", 0)]))
"""


def in_a_network(setting: str, *taken: int) -> list[list[object]]:
    """Where it listens in a network of its own with two free ports, 40000 and 40001."""
    ports = "sysctl -qw net.ipv4.ip_local_port_range='40000 40001'"
    script = f'ip link set lo up && {ports} && {setting} && exec "$@"'
    command = [sys.executable, "-c", IN_A_NETWORK, *map(str, taken)]
    made = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", *command], capture_output=True, text=True, check=True
    )
    found: list[list[object]] = json.loads(made.stdout)
    return found


@needs_root
@needs_ipv6
@pytest.mark.parametrize("taken", [40000, 40001])
def test_a_free_port_is_free_at_both(taken: int) -> None:
    other = 80001 - taken
    assert in_a_network("true", taken) == [["127.0.0.1", other], ["::1", other]]


@needs_root
def test_a_machine_without_ipv6_has_one_address() -> None:
    without = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"
    assert [address for address, _ in in_a_network(without)] == ["127.0.0.1"]


@needs_ipv6
async def test_the_service_answers_at_both(service: Service) -> None:
    port = service.base_url.rpartition(":")[2]
    for host in ("127.0.0.1", "[::1]"):
        headers = {"Authorization": f"Bearer {service.api_key}"}
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", headers=headers) as client:
            assert (await client.get("/v1/accounts/me")).status_code == 200
