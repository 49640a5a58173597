"""The network of programs that use no proxy: TCP and names, as the policy says, and nothing of this machine."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import pytest_asyncio

from runloop_local.engine.network.policies import EgressRules, Network, Ports
from runloop_local.sandbox import Isolation, Sandbox, capture
from tests.local.sandbox.conftest import NAMESPACES, namespaces_only, output, run, spawned
from tests.local.sandbox.own_internet import (
    CHECKOUT,
    MACHINE,
    METADATA,
    OTHER,
    PORT,
    ROUTER,
    SERVER,
    SILENT,
    UNANSWERED,
    VARIABLE,
)

ASKED = os.environ.get(VARIABLE)
"""Set in the network of their own in which these tests run; see the end of this file."""
CONNECT = """
import socket, sys
for host in sys.argv[2:]:
    try:
        with socket.create_connection((host, int(sys.argv[1])), 30) as sock:
            print(sock.recv(100).decode().strip() or "closed")
    except OSError as error:
        print(type(error).__name__)
"""
FAILURES = {"ConnectionRefusedError", "ConnectionResetError", "OSError", "gaierror", "PermissionError"}
TELL = """
import errno, socket, sys
for each in sys.argv[1:]:
    host, _, port = each.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 30)
        print("connected")
    except OSError as error:
        print(errno.errorcode.get(error.errno, error.errno))
"""
TOLD = {
    (SILENT, PORT): "ECONNREFUSED",
    (SERVER, PORT + 1): "ECONNREFUSED",
    (METADATA, PORT): "EHOSTUNREACH",
    (MACHINE, PORT): "EHOSTUNREACH",
    ("::1", PORT): "ECONNREFUSED",
    ("2001:db8::5", PORT): "ENETUNREACH",
    ("127.0.0.1", PORT): "ECONNREFUSED",
}
ECHO = f"""
import socket
sock = socket.create_connection(("{SERVER}", {PORT}))
sock.makefile().readline()
sent = bytes(range(256)) * 4096
import threading
threading.Thread(target=lambda: (sock.sendall(sent), sock.shutdown(socket.SHUT_WR))).start()
print(sock.makefile("rb").read() == sent)
"""

if ASKED is not None:
    pytestmark = pytest.mark.asyncio(loop_scope="session")
    Restricted = Callable[..., Awaitable[Sandbox]]

    @pytest_asyncio.fixture(loop_scope="session")
    async def restricted(isolation: Isolation) -> AsyncIterator[Restricted]:
        made: list[Sandbox] = []

        async def make(rules: EgressRules | None = None) -> Sandbox:
            sandbox = await isolation.create(f"captured-{secrets.token_hex(4)}")
            made.append(sandbox)
            sandbox.restrict(None if rules is None else rules.allows)
            await sandbox.start()
            return sandbox

        yield make
        for sandbox in made:
            await sandbox.destroy()

    async def connect(sandbox: Sandbox, *hosts: str, port: int = PORT) -> list[str]:
        """What the server at each host says, or the name of the error."""
        return (await output(sandbox, ("python3", "-c", CONNECT, str(port), *hosts))).splitlines()

    def _encoded(name: str) -> bytes:
        """The labels of a name, as a query has them."""
        return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))

    def asked() -> list[str]:
        return Path(ASKED or "").read_text().split()

    @namespaces_only
    async def test_a_program_that_uses_no_proxy_reaches_servers(restricted: Restricted) -> None:
        hosts = (SERVER, OTHER, "db.example.test", "DB.Example.Test.")
        assert await connect(await restricted(), *hosts) == [SERVER, OTHER, SERVER, SERVER]

    @namespaces_only
    async def test_what_is_sent_and_received_is_whole(restricted: Restricted) -> None:
        assert await output(await restricted(), ("python3", "-c", ECHO)) == "True"

    @namespaces_only
    async def test_what_is_closed_or_not_there_fails(restricted: Restricted) -> None:
        closed = [MACHINE, ROUTER, METADATA, "0.0.0.0", SILENT, "::1", "2001:db8::5", "nothing.example.test"]
        closed += [f"{name}.example.test" for name in ("loopback", "machine", "near", "metadata")]
        sandbox = await restricted()
        found = await connect(sandbox, *closed)
        assert len(found) == len(closed)
        assert set(found) <= FAILURES, dict(zip(closed, found, strict=True))
        assert set(await connect(sandbox, "127.0.0.1", port=capture.TCP_PORT)) <= FAILURES
        assert set(await connect(sandbox, SERVER, port=PORT + 1)) <= FAILURES

    @namespaces_only
    async def test_a_connection_that_cannot_be_had_is_told_as_on_any_network(restricted: Restricted) -> None:
        """And at once, so that a program which tries IPv6 first loses no time."""
        sandbox = await restricted()
        program = (*("python3", "-c", TELL), *(f"{host}:{port}" for host, port in TOLD))
        assert dict(zip(TOLD, (await output(sandbox, program)).splitlines(), strict=True)) == TOLD

    @namespaces_only
    async def test_programs_that_do_not_wait_leave_no_connection(restricted: Restricted) -> None:
        program = f"""
import socket, struct, time
for _ in range(200):
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("{SERVER}", {PORT}))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
print(socket.create_connection(("{SERVER}", {PORT}), 20).recv(100).decode().strip())
"""
        assert await output(await restricted(), ("python3", "-c", program)) == SERVER

    @namespaces_only
    async def test_of_a_name_only_open_addresses_are_told(restricted: Restricted) -> None:
        text = await output(await restricted(), "getent ahostsv4 mixed.example.test | cut -d' ' -f1 | sort -u")
        assert text == SERVER

    NAMED = EgressRules(allow_all=False, hostnames=("db.example.test", "*.allowed.test"))
    NUMBERED = EgressRules(allow_all=False, networks=(Network(IPv4Network(f"{SERVER}/32"), (Ports(PORT, PORT),)),))
    NEAR = EgressRules(allow_all=False, networks=(Network(IPv4Network("10.77.0.0/24")),))
    CLOSED = EgressRules(allow_all=False)

    @namespaces_only
    @pytest.mark.parametrize(
        ("rules", "reached"),
        [(NAMED, {"db.example.test"}), (NUMBERED, {SERVER}), (NEAR, {ROUTER}), (CLOSED, set())],
        ids=["names", "addresses", "local network", "nothing"],
    )
    async def test_a_policy_holds(restricted: Restricted, rules: EgressRules, reached: set[str]) -> None:
        # Numbers first: a name that was looked up opens its address.
        hosts = (SERVER, OTHER, ROUTER, MACHINE, METADATA, "other.example.test", "db.example.test")
        found = dict(zip(hosts, await connect(await restricted(rules), *hosts), strict=True))
        assert {host for host, said in found.items() if said not in FAILURES} == reached, found

    @namespaces_only
    async def test_a_name_that_is_not_allowed_is_not_looked_up(restricted: Restricted) -> None:
        sandbox = await restricted(NAMED)
        secret = f"{secrets.token_hex(16)}.example.test"
        assert (await run(sandbox, f"getent hosts {secret}; getent hosts $(hostname).{secret}")).status
        assert not [name for name in asked() if secret in name]
        await output(sandbox, "getent hosts db.example.test")
        assert "db.example.test" in asked()

    @namespaces_only
    async def test_an_allowed_name_opens_its_addresses_and_no_others(restricted: Restricted) -> None:
        sandbox = await restricted(EgressRules(allow_all=False, hostnames=("two.example.test",)))
        assert set(await connect(sandbox, OTHER)) <= FAILURES
        await output(sandbox, "getent ahostsv4 two.example.test")
        assert await connect(sandbox, OTHER) == [OTHER]
        # What one was told opens nothing to another.
        assert set(await connect(await restricted(NAMED), OTHER)) <= FAILURES

    @namespaces_only
    async def test_its_root_cannot_change_the_network(restricted: Restricted) -> None:
        sandbox = await restricted(CLOSED)
        source = (Path(capture.__file__).with_name("netlink.py")).read_text()
        changes = f"""cat > changes.py <<'END'
{source}
DELETE = _change(_TABLES << 8 | 2, 0, _of_family(socket.AF_INET) + attribute(1, "devbox"))
END"""
        await output(sandbox, changes, user="root")
        attempts = (
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
            "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)",
            f"socket.socket(2, 2).sendto(b'x', ('{SERVER}', {PORT}))",
            f"socket.socket(2, 2, 1).sendto(bytes(8), ('{SERVER}', 0))",
            "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0))",
            "changes.send(changes.NETFILTER, changes.batch(changes.DELETE))",
            "changes.send(changes.ROUTE, [changes.address(1, '198.51.100.7')])",
        )
        for attempt in attempts:
            program = f"import sys; sys.path.insert(0, '.')\nimport changes, fcntl, socket, struct\n{attempt}"
            result = await run(sandbox, ("python3", "-c", program), user="root")
            assert (result.status, "Error" in result.err) == (1, True), (attempt, result)
        assert set(await connect(sandbox, SERVER)) <= FAILURES

    @namespaces_only
    async def test_sandboxes_do_not_reach_each_other(restricted: Restricted) -> None:
        one, other = await restricted(), await restricted()
        program = """
import socket
server = socket.create_server(("0.0.0.0", 8080))
print("listening", flush=True)
while True: server.accept()[0].sendall(b"here")
"""
        own = ("127.0.0.1", capture.OWN_ADDRESS)
        async with spawned(one, ("python3", "-c", program)) as said:
            assert said == "listening"
            assert await connect(one, *own, port=8080) == ["here", "here"]
            assert set(await connect(other, *own, port=8080)) <= FAILURES

    @namespaces_only
    async def test_names_are_answered_by_tcp_and_whatever_server_is_asked(restricted: Restricted) -> None:
        sandbox = await restricted(NAMED)
        program = f"""
import socket, struct
query = struct.pack("!6H", 7, 256, 1, 0, 0, 0) + b"\\2db\\7example\\4test\\0" + struct.pack("!2H", 1, 1)
sock = socket.create_connection(("192.0.2.9", 53))
sock.sendall(struct.pack("!H", len(query)) + query)
print(sock.recv(512)[-4:] == socket.inet_aton("{SERVER}"))
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.connect(("192.0.2.10", 53))
for wrong in (b"", b"x", query[:20], bytes(512), query[:12] + b"\\xc0\\x0c" * 9):
    names.send(wrong)
names.send(query)
print(names.recv(512)[-4:] == socket.inet_aton("{SERVER}"))
"""
        assert await output(sandbox, ("python3", "-c", program)) == "True\nTrue"

    @namespaces_only
    async def test_ports_of_the_way_out_are_closed_to_tunnels(restricted: Restricted) -> None:
        sandbox = await restricted()
        for port in capture.PORTS:
            with pytest.raises(Exception, match="closed to tunnels"):
                await sandbox.dial(port)

    @namespaces_only
    async def test_names_that_nobody_answers_do_not_hold_up_those_of_others(restricted: Restricted) -> None:
        program = f"""
import socket, struct
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("192.0.2.9", 53))
for number in range(5000):
    name = bytes([6]) + b"n%05d" % number + {_encoded(UNANSWERED)!r}
    sock.send(struct.pack("!6H", 7, 256, 1, 0, 0, 0) + name + b"\\0\\0\\1\\0\\1")
print("sent", flush=True)
sock.recv(512)
"""
        slow, other = await restricted(), await restricted()
        async with spawned(slow, ("python3", "-c", program)) as said:
            assert said == "sent"
            assert await connect(other, "db.example.test") == [SERVER]
            assert await connect(slow, SERVER) == [SERVER]

    @namespaces_only
    async def test_a_program_that_connects_without_end_has_a_limit(restricted: Restricted) -> None:
        program = f"""
import socket
held = []
for _ in range(700):
    try:
        sock = socket.create_connection(("{SERVER}", {PORT}), 20)
        if not sock.recv(9): break
        held.append(sock)
    except OSError: break
print(len(held))
"""
        sandbox = await restricted()
        assert 16 <= int(await output(sandbox, ("python3", "-c", program))) <= 512
        assert await connect(await restricted(), SERVER) == [SERVER]

elif os.getuid() == 0 and NAMESPACES:

    @pytest.mark.service
    @pytest.mark.parametrize("account", ["root", "nobody"])
    def test_programs_have_the_network_that_the_policy_gives_them(account: str, tmp_path: Path) -> None:
        """The tests above, in a network of their own; some need root, to make it."""
        script = Path(__file__).with_name("own_internet.py")
        scratch = Path("/tmp", f"own-internet-{os.getpid()}-{account}")
        argv = ["unshare", "--net", "--mount", sys.executable, str(script), str(scratch), account, __file__]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": "/tmp"}
        try:
            result = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=600)
        finally:
            subprocess.run(["rm", "-rf", str(scratch)], check=True)
        assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-5000:]
