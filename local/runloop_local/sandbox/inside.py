"""The agent of a sandbox in namespaces: three ways in, from most to least privilege of the service.

- `idmapped`: the service is root; the sandbox's accounts 0 to 65535 are this machine's 100000 to 165535.
- `root`: the service is root on a kernel or file system without idmapped mounts; fewer capabilities instead.
- `unprivileged`: the service is any account, the only one that the sandbox then has.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from runloop_local.sandbox import linux, processes, rootfs, seccomp
from runloop_local.sandbox.agent import Agent, Place, refuse, request_limits
from runloop_local.sandbox.linux import NEW_HOSTNAME, NEW_IPC, NEW_MOUNTS, NEW_NETWORK, NEW_PIDS, NEW_USERS
from runloop_local.sandbox.rootfs import Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from runloop_local.sandbox.frames import Message

FIRST_UID = 100_000
_UIDS = 65_536
_USER = 1000
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP_AND_RUNNING = 0x49
# Docker's defaults less NET_RAW, MKNOD and AUDIT_WRITE: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
# SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31})
_IN_MEMORY = ("/run", "/dev/shm")  # noqa: S108 - a sandbox's own
_SHARED_MEMORY = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")
"""Tables with a line of headings."""
_NETWORK_SETTINGS = {"ip_unprivileged_port_start": "0"}


class Way(Protocol):
    """One of the ways in. The methods are called in this order, `prepare` once and in the helper process."""

    keep: tuple[int, ...]
    """Descriptors that must stay open in the helper process and its forks."""

    def prepare(self, folder: str) -> None:
        """What all sandboxes share."""
        ...

    def leave(self, network: int) -> None:
        """Leave this machine's namespaces, before the fork that makes PID 1."""
        ...

    def build(self, request: Message) -> None:
        """In PID 1: mount the root, enter it and the remaining namespaces."""
        ...

    def commands(self) -> Callable[[str], None]:
        """In PID 1: how a forked child becomes one of the sandbox's accounts."""
        ...

    def as_owner(self) -> None:
        """Become whoever may read, copy and delete all files of a sandbox's disk, from outside."""
        ...


class Idmapped:
    """For root, on kernels and file systems that have idmapped mounts."""

    keep: tuple[int, ...] = ()

    def prepare(self, folder: str) -> None:
        """Mount this machine's folders a second time, with owners that the sandboxes know."""
        ids = f"0 {FIRST_UID} {_UIDS}"
        self._users = linux.user_namespace(ids, ids)
        self.keep = (self._users,)
        linux.unshare(NEW_MOUNTS)
        linux.mount(None, "/", None, linux.RECURSIVE | linux.SLAVE)
        for name in rootfs.overlaid():
            target = f"{folder}/low/{name}"
            os.makedirs(target, exist_ok=True)  # noqa: PTH103 - beside the calls that take strings
            linux.mount_idmapped(f"/{name}", target, self._users)

    def leave(self, network: int) -> None:
        """Mounts are made with this machine's root; the rest belongs to the sandbox's root."""
        self._network = network
        linux.unshare(NEW_MOUNTS | NEW_PIDS)

    def build(self, request: Message) -> None:
        """Mount as root, then become the sandbox's own root, which is nobody here."""
        mount_root(request, Owner(FIRST_UID, "redirect_dir=on,", "../low"))
        rootfs.mask_proc()
        linux.pivot_to_here()
        linux.enter(self._users, NEW_USERS)
        os.close(self._users)
        become(0)
        linux.show_to_debuggers()  # or the files of /proc by which accounts are mapped would not be ours
        linux.unshare(NEW_HOSTNAME | NEW_IPC | self._network)
        set_up_network(self._network)

    def commands(self) -> Callable[[str], None]:
        """Commands get a child namespace with the same accounts, and so no power over PID 1."""
        ids = f"0 0 {_UIDS}"
        users = linux.user_namespace(ids, ids)

        def enter(user: str) -> None:
            linux.enter(users, NEW_USERS)
            become(0 if user == "root" else _USER)

        return enter

    def as_owner(self) -> None:
        """Root is."""


class Root:
    """For root where there are no idmapped mounts."""

    keep: tuple[int, ...] = ()

    def prepare(self, folder: str) -> None:
        """Nothing is shared."""

    def leave(self, network: int) -> None:
        """All at once."""
        self._network = network
        linux.unshare(NEW_MOUNTS | NEW_PIDS | NEW_HOSTNAME | NEW_IPC | network)

    def build(self, request: Message) -> None:
        """Root inside is this machine's root, so the kernel's settings are locked and capabilities dropped."""
        mount_root(request, Owner(0, "redirect_dir=on,"))
        set_up_network(self._network, "proc")
        rootfs.mask_proc()
        rootfs.lock_proc()
        linux.pivot_to_here()
        linux.drop_capabilities(_CAPABILITIES)

    def commands(self) -> Callable[[str], None]:
        """Plain accounts."""
        return lambda user: become(0 if user == "root" else _USER)

    def as_owner(self) -> None:
        """Root is."""


class Unprivileged:
    """For any account."""

    keep: tuple[int, ...] = ()

    def prepare(self, folder: str) -> None:
        """Nothing is shared."""

    def leave(self, network: int) -> None:
        """The user namespace comes first: it gives the right to the others."""
        self._network = network
        linux.enter_own_user_namespace()
        linux.unshare(NEW_MOUNTS | NEW_PIDS | NEW_HOSTNAME | NEW_IPC | network)

    def build(self, request: Message) -> None:
        """Mount as the user namespace's root."""
        mount_root(request, Owner(0, "userxattr,"))
        set_up_network(self._network, "proc")
        rootfs.mask_proc()
        linux.pivot_to_here()

    def commands(self) -> Callable[[str], None]:
        """Each account is a name for the one that there is, in a child namespace without power over PID 1."""
        known = {user: _one_account(uid) for user, uid in (("root", 0), ("user", _USER))}

        def enter(user: str) -> None:
            linux.enter(known[user], NEW_USERS)
            seccomp.pretend_ownership()

        return enter

    def as_owner(self) -> None:
        """Root of a user namespace passes permissions that a command took from itself."""
        linux.enter_own_user_namespace()


WAYS: dict[str, type[Way]] = {"idmapped": Idmapped, "root": Root, "unprivileged": Unprivileged}


def _one_account(uid: int) -> int:
    return linux.user_namespace(f"{uid} 0 1", f"{uid} 0 1")


def become(uid: int) -> None:
    """Take this account and its group, and no others."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def mount_root(request: Message, owner: Owner) -> None:
    """Build the root in a mount namespace from which nothing reaches this machine's."""
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    rootfs.build(request["folder"], request["sandbox"], request["layers"], owner)


def set_up_network(network: int, proc: str = "/proc") -> None:
    """Loopback, and ports below 1024 for everybody, in a network namespace of its own."""
    if not network:
        return
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))
    for name, value in _NETWORK_SETTINGS.items():
        linux.write(f"{proc}/sys/net/ipv4/{name}", value)


def run(way: Way, request: Message, sock: socket.socket) -> None:
    """Serve one sandbox from a PID 1 of its own; this process waits for its end."""
    os.umask(0o022)
    way.leave(NEW_NETWORK if request["network"] == "none" else 0)
    pid = os.fork()
    if not pid:
        _be_first(way, request, sock)
    sock.close()
    linux.die_with_parent(signal.SIGKILL)  # and PID 1 dies with this process
    os.waitpid(pid, 0)


def _be_first(way: Way, request: Message, sock: socket.socket) -> NoReturn:
    try:
        way.build(request)
        forget_code()
        become_command = way.commands()
        socket.sethostname(request["hostname"])
        linux.hide_from_debuggers()
        linux.die_with_parent(signal.SIGKILL)
        Agent(sock, Place(become_command, signal_all, end_all, request_limits(request), is_idle, load)).serve()
    except OSError as error:
        refuse(sock, error)
    finally:
        os._exit(0)  # and with PID 1 the kernel ends everything


def forget_code() -> None:
    """From here on this interpreter can load nothing from the sandbox's files."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()


def signal_all(number: int, _groups: set[int]) -> None:
    """Signal everything but PID 1."""
    if os.getpid() != 1:
        raise PermissionError("only PID 1 may signal all processes it sees")
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        return  # there is nothing but PID 1


def is_idle() -> bool:
    """Whether a stop would lose nothing: there is no process but PID 1, and nothing that lives in memory only."""
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        in_memory = any(os.listdir(folder) for folder in _IN_MEMORY)  # noqa: PTH208 - names, no paths
        return not in_memory and all(Path(table).read_bytes().count(b"\n") == 1 for table in _SHARED_MEMORY)
    return False


def load() -> tuple[int, int]:
    """Of everything but PID 1, with what lies in file systems that are memory."""
    memory, count = processes.load([int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"])  # noqa: PTH208 - names, no paths
    return memory + sum(_used(folder) for folder in _IN_MEMORY), count


def _used(folder: str) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def end_all(_groups: set[int]) -> None:
    """PID 1's own end does it."""
