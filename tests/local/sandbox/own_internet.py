"""Run tests in a network of their own, with servers behind a router: `own_internet.py SCRATCH root|nobody PATH...`.

Started by `unshare --net --mount`. No packet leaves the two network namespaces: the addresses are those that are
reserved for documentation, and a private network.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from runloop_local.sandbox import dns_message, linux
from tests.local.sandbox.as_nobody import become_nobody, open_the_way

CHECKOUT = Path(__file__).parents[3]
VARIABLE = "OWN_INTERNET"
"""Set in these tests to the file of names that were looked up."""
ROUTER, MACHINE = "10.77.0.2", "10.77.0.1"
SERVER, OTHER, SILENT = "203.0.113.5", "203.0.113.7", "203.0.113.9"
METADATA = "169.254.169.254"
PORT = 5432
NAMES = {
    "db.example.test": [SERVER],
    "other.example.test": [OTHER],
    "two.example.test": [SERVER, OTHER],
    "loopback.example.test": ["127.0.0.1"],
    "machine.example.test": [MACHINE],
    "near.example.test": [ROUTER],
    "metadata.example.test": [METADATA],
    "mixed.example.test": [MACHINE, SERVER],
}
UNANSWERED = ".unanswered.test"
_SETUP = f"""
ip link add eth0 type veth peer name eth0 netns {{pid}}
ip addr add {MACHINE}/24 dev eth0
ip link set eth0 up
ip route add default via {ROUTER}
"""
_SERVERS = f"""
ip link set lo up
ip addr add {ROUTER}/24 dev eth0
ip link set eth0 up
for each in {SERVER} {OTHER} {SILENT} {METADATA} $@; do ip addr add $each/32 dev lo; done
"""


class Greeter(socketserver.BaseRequestHandler):
    """Says who it is, then what it hears."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has gone
            self.request.sendall(f"{self.request.getsockname()[0]}\n".encode())
            while data := self.request.recv(65536):
                self.request.sendall(data)


def resolvers() -> list[str]:
    """The servers that this machine asks for names; here they are ours."""
    # Its resolv.conf stays as it is: to bind another one over it would keep an account from mounting /etc.
    rows = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    named = [row[1] for row in rows if row[:1] == ["nameserver"] and ":" not in row[1]]
    return named or ["127.0.0.1"]


def answer_names(sockets: list[socket.socket], log: Path) -> None:
    """Answer DNS queries, and note the names."""
    with log.open("a") as asked:
        while True:
            for sock in select.select(sockets, [], [])[0]:
                data, sender = sock.recvfrom(4096)
                query = dns_message.parse(data)
                print(query.name.lower(), file=asked, flush=True)
                if not query.name.endswith(UNANSWERED):
                    sock.sendto(answer_to(query), sender)


def answer_to(query: dns_message.Query) -> bytes:
    found = NAMES.get(query.name.lower())
    if found is None:
        return dns_message.failure(query, dns_message.NO_SUCH_NAME)
    return dns_message.answer(query, [*map(IPv4Address, found)], 1)


def bound(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    return sock


def serve(log: Path, names: list[socket.socket], ready: int) -> None:
    """Be the internet, once its interface has come; `names` are servers of the machine itself."""
    elsewhere = [each for each in resolvers() if not each.startswith("127.")]
    subprocess.run(["sh", "-ec", _SERVERS, "sh", *elsewhere], check=True)
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    for address in (SERVER, OTHER, ROUTER, METADATA):
        server = socketserver.ThreadingTCPServer((address, PORT), Greeter)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    os.write(ready, b"x")
    answer_names([*names, *map(bound, elsewhere)], log)


def begin(log: Path) -> int:
    """Start the servers in another network namespace, and lead there; returns the process."""
    ready, is_ready = os.pipe()
    attached, is_attached = os.pipe()
    pid = os.fork()
    if not pid:
        linux.die_with_parent(signal.SIGKILL)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        names = [bound(each) for each in resolvers() if each.startswith("127.")]
        linux.unshare(linux.NEW_NETWORK)
        os.write(is_ready, b"n")
        os.read(attached, 1)
        serve(log, names, is_ready)
    os.read(ready, 1)
    subprocess.run(["sh", "-ec", _SETUP.format(pid=pid)], check=True)
    os.write(is_attached, b"x")
    os.read(ready, 1)
    return pid


def main(scratch: Path, paths: list[str], *, nobody: bool) -> int:
    """Run the tests, by the account that is nobody on this machine if wanted."""
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    scratch.mkdir()
    log = scratch / "asked"
    log.touch()
    internet = begin(log)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={scratch}/pytest", *paths]
    if nobody:
        open_the_way([Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), CHECKOUT])
        os.chown(scratch, 64_999, 64_999)
    pid = os.fork()
    if not pid:
        if nobody:
            become_nobody(scratch)
        os.environ[VARIABLE] = str(log)
        os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"  # for names that nobody answers
        os.chdir(CHECKOUT)
        os.execv(sys.executable, argv)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.kill(internet, signal.SIGKILL)
    os.waitpid(internet, 0)
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[3:], nobody=sys.argv[2] == "nobody"))
