"""The drivers that set up the namespaces of sandboxes, best isolated first.

- `idmapped`: the service is root; the sandbox's uids 0 to 65535 map to a range of host uids of its own.
- `root`: the service is root on a kernel or file system without idmapped mounts; the sandbox's root is the host's,
  with fewer capabilities.
- `unprivileged`: the service runs under any account, which is the only one that the sandbox has.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runloop_local.sandbox import linux, mounts, rootfs, seccomp, size_files, uid_ranges
from runloop_local.sandbox.base import is_image
from runloop_local.sandbox.linux import NEW_HOSTNAME, NEW_IPC, NEW_MOUNTS, NEW_NETWORK, NEW_PIDS, NEW_USERS
from runloop_local.sandbox.mounts import DetachedMount, MountContext
from runloop_local.sandbox.rootfs import IdMapping, Owner
from runloop_local.sandbox.size_files import ShownSize
from runloop_local.sandbox.uid_ranges import Claim, UidRanges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runloop_local.sandbox.frames import Message

FIRST_UID_ON_DISK = 100_000
_USER = 1000
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP_AND_RUNNING = 0x49
# Docker's defaults less NET_RAW, MKNOD and AUDIT_WRITE: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
# SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31})
_NETWORK_SETTINGS = {"ip_unprivileged_port_start": "0"}
_KINDS = {
    "pid": NEW_PIDS,
    "mnt": NEW_MOUNTS,
    "uts": NEW_HOSTNAME,
    "ipc": NEW_IPC,
    "net": NEW_NETWORK,
    "user": NEW_USERS,
    "commands": NEW_USERS,
}
"""The namespaces of a sandbox, by their names in /proc/self/ns, and the user namespace of its commands."""
_UNSHARED = ("uts", "ipc", "net")

Namespaces = dict[str, int]
"""Descriptors of a sandbox's namespaces, by those names, and of others that the driver needs for commands."""


class Root(NamedTuple):
    """A sandbox's root file system that is mounted but not entered yet, and the mounts to attach in it."""

    owner: Owner
    trees: Sequence[DetachedMount] = ()
    sizes: size_files.Files = MappingProxyType({})
    """The files that show its size; none if that is not limited."""

    def enter(self) -> list[str]:
        """Pivot into the root and attach the mounts; returns the mount points that had to be created."""
        # Pivot first: the paths of mount points are then resolved in the sandbox's root, whatever its symlinks say.
        linux.pivot_root_to_cwd()
        return mounts.attach(self.trees, self.owner)


class IsolationDriver(Protocol):
    """Sets up a sandbox's namespaces.

    PID 1 is born in new namespaces, a process that it forks builds the sandbox and ends, and PID 1 settles in what that
    has made. From then on agents enter.
    """

    calls: seccomp.Filter
    """The system calls that commands may make."""
    has_accounts: bool
    """True if a sandbox has several accounts: files can belong to each, and an agent can act as each."""
    held_by_first: tuple[str, ...]
    """The namespaces that PID 1 enters once they are made, in this order."""

    def born_in(self, network: int) -> int:
        """The new namespaces that PID 1 is forked into, of which its own PID namespace is one."""
        ...

    def prepare(self, folder: str) -> None:
        """Set up what all sandboxes share, once."""
        ...

    def claim(self, request: Message) -> Claim:
        """Allocate what a sandbox holds exclusively."""
        ...

    def release(self, claim: Claim) -> None:
        """Release the claim of a sandbox that has ended."""
        ...

    def build(self, request: Message, claim: Claim, network: int) -> tuple[Root, list[str], Namespaces]:
        """Mount the root, enter it and the remaining namespaces.

        Returns the root, the mount points that were created for mounts beside the disk, and the user namespaces.
        """
        ...

    def enter(self, namespaces: Namespaces) -> None:
        """In an agent: enter all of them, the PID namespace for its children only."""
        ...

    def become(self, user: str, namespaces: Namespaces) -> None:
        """In a child of an agent: switch to an account of the sandbox."""
        ...

    def as_owner(self) -> None:
        """Outside of sandboxes: gain the right to read, copy and delete all files of their disks."""
        ...


def opened(network: int) -> Namespaces:
    """The namespaces of this process that any account may open, by the /proc of its PID namespace."""
    names = ("pid", "mnt", *(_UNSHARED if network else _UNSHARED[:-1]))
    return {name: os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names}


def _enter(namespaces: Namespaces, *names: str) -> None:
    for name in names:
        if name in namespaces:
            linux.enter(namespaces[name], _KINDS[name])


def uid_of(user: str) -> int:
    """The uid of `user` or `root`, where a sandbox has several accounts."""
    return 0 if user == "root" else _USER


def for_commands(namespaces: Namespaces) -> Namespaces:
    """Close those that have been entered; returns what is left."""
    for name in _KINDS.keys() & namespaces.keys():
        os.close(namespaces[name])
    return {name: each for name, each in namespaces.items() if name not in _KINDS}


class IdmappedDriver:
    """For root, on kernels and file systems that have idmapped mounts."""

    has_accounts = True
    held_by_first: tuple[str, ...] = ("mnt", *_UNSHARED, "user")

    def __init__(self) -> None:
        self.calls = seccomp.Filter(seccomp.policy())
        self._ranges = UidRanges()
        self._disks: dict[int, int] = {}

    def born_in(self, network: int) -> int:
        """Mounts, which host root makes; the other namespaces are created later, by the sandbox's root."""
        return NEW_PIDS | NEW_MOUNTS

    def prepare(self, folder: str) -> None:
        """Create the mount points of the host's folders, and prepare to create user namespaces."""
        rootfs.prepare_lowest(folder)
        linux.raise_process_limit()

    def claim(self, request: Message) -> Claim:
        """Take a range of uids, and the user namespace that maps the owners of the disk's files to it."""
        first = self._ranges.take()
        try:
            return Claim(first, (self._disk_users(first),))
        except OSError:
            self._ranges.release(first)
            raise

    def _disk_users(self, first: int) -> int:
        """The user namespace for a range's idmapped mounts; kept, because ranges are reused.

        Host root is mapped too: it owns the folders on the disk that surround the sandbox's files.
        """
        if first not in self._disks:
            self._disks[first] = linux.user_namespace(f"0 0 1\n{FIRST_UID_ON_DISK} {first} {uid_ranges.SIZE}")
        return self._disks[first]

    def release(self, claim: Claim) -> None:
        """Release the range."""
        self._ranges.release(claim.first_uid)

    def build(self, request: Message, claim: Claim, network: int) -> tuple[Root, list[str], Namespaces]:
        """Mount as host root, then become the sandbox's root, which has no rights outside."""
        (disks,) = claim.descriptors
        users = linux.user_namespace(f"0 {claim.first_uid} {uid_ranges.SIZE}", claim.first_uid)
        owner = Owner(claim.first_uid, "redirect_dir=on,", IdMapping(users, disks))
        root = mount_root(request, owner, FIRST_UID_ON_DISK)
        rootfs.mask_proc()
        made = root.enter()
        # Last, as mounting with host root's rights ends here: the sandbox's root has none over these mounts.
        linux.enter(users, NEW_USERS)
        linux.become(0)
        linux.make_dumpable()  # or the files of /proc by which accounts are mapped would not be ours
        # Unshared inside the user namespace, which therefore owns them: the sandbox's root configures its network.
        linux.unshare(NEW_HOSTNAME | NEW_IPC | network)
        set_up_network(network)
        # For commands and agents: who is in it has no rights over PID 1.
        commands = linux.user_namespace(f"0 0 {uid_ranges.SIZE}")
        return root, made, {"user": users, "commands": commands}

    def enter(self, namespaces: Namespaces) -> None:
        """Enter them as host root, and become the root of commands."""
        _enter(namespaces, *_KINDS)
        linux.become(0)

    def become(self, user: str, namespaces: Namespaces) -> None:
        """Switch to the account; the agent has entered the user namespace of commands."""
        linux.become(uid_of(user))

    def as_owner(self) -> None:
        """Do nothing: the helper is root."""


class RootDriver:
    """For root on kernels and file systems without idmapped mounts."""

    has_accounts = True
    held_by_first: tuple[str, ...] = ("mnt",)

    def __init__(self) -> None:
        self.calls = seccomp.Filter(seccomp.policy())

    def born_in(self, network: int) -> int:
        """All of them; there is no user namespace."""
        return NEW_PIDS | NEW_MOUNTS | NEW_HOSTNAME | NEW_IPC | network

    def prepare(self, folder: str) -> None:
        """Do nothing: sandboxes share nothing."""

    def claim(self, request: Message) -> Claim:
        """An empty claim."""
        return Claim()

    def release(self, claim: Claim) -> None:
        """Do nothing: claims are empty."""

    def build(self, request: Message, claim: Claim, network: int) -> tuple[Root, list[str], Namespaces]:
        """Mount and enter the root; as root inside is the host's, lock the kernel's settings."""
        root = mount_root(request, Owner(0, "redirect_dir=on,"))
        # Through the new root's /proc, before that is locked.
        set_up_network(network, "proc")
        rootfs.mask_proc()
        rootfs.lock_proc()
        rootfs.lock_devices()
        return root, root.enter(), {}

    def enter(self, namespaces: Namespaces) -> None:
        """Enter them, without the groups and capabilities that commands may not have."""
        _enter(namespaces, *_KINDS)
        linux.become(0)
        linux.drop_capabilities(_CAPABILITIES)

    def become(self, user: str, namespaces: Namespaces) -> None:
        """Switch to the host's uid of the same number."""
        linux.become(uid_of(user))

    def as_owner(self) -> None:
        """Do nothing: the helper is root."""


class UnprivilegedDriver:
    """For a service without privileges."""

    has_accounts = False
    held_by_first: tuple[str, ...] = ("mnt",)

    def __init__(self) -> None:
        self.calls = seccomp.Filter(seccomp.policy(one_account=True))
        self._account = os.getuid(), os.getgid()

    def born_in(self, network: int) -> int:
        """All of them; the user namespace grants the right to create the others."""
        return NEW_USERS | NEW_PIDS | NEW_MOUNTS | NEW_HOSTNAME | NEW_IPC | network

    def prepare(self, folder: str) -> None:
        """Do nothing: sandboxes share nothing."""

    def claim(self, request: Message) -> Claim:
        """An empty claim."""
        return Claim()

    def release(self, claim: Claim) -> None:
        """Do nothing: claims are empty."""

    def build(self, request: Message, claim: Claim, network: int) -> tuple[Root, list[str], Namespaces]:
        """Become root of the user namespace, mount and enter the root."""
        linux.map_account(*self._account)
        users = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        root = mount_root(request, Owner(0, "userxattr,", has_accounts=False))
        set_up_network(network, "proc")
        rootfs.mask_proc()
        made = root.enter()
        # For commands, so that they have no rights over PID 1 and the agents.
        return root, made, {"user": users, "as root": _one_account(0), "as user": _one_account(_USER)}

    def enter(self, namespaces: Namespaces) -> None:
        """Become root of the user namespace, which grants the right to enter the others."""
        _enter(namespaces, "user", *(name for name in _KINDS if name != "user"))

    def become(self, user: str, namespaces: Namespaces) -> None:
        """Enter a child user namespace that maps the one uid to the account's."""
        linux.enter(namespaces["as root" if user == "root" else "as user"], NEW_USERS)
        # All accounts are one here: a set-uid file would only pretend to be a boundary.
        linux.no_new_privileges()

    def as_owner(self) -> None:
        """Become root of a user namespace, to bypass permissions that a command has removed from its own files."""
        linux.enter_own_user_namespace()


DRIVERS: Mapping[str, type[IsolationDriver]] = {
    "idmapped": IdmappedDriver,
    "root": RootDriver,
    "unprivileged": UnprivilegedDriver,
}


def _one_account(uid: int) -> int:
    return linux.user_namespace(f"{uid} 0 1")


def mount_root(request: Message, owner: Owner, first_uid_on_disk: int = 0) -> Root:
    """Build the root and make it the working directory; its mounts do not propagate to the host."""
    # A new mount namespace shares propagation with the old one until it is made private.
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    context = MountContext(request["folder"], request["sandbox"], owner, first_uid_on_disk)
    mounted = [mount["layers"] for mount in request.get("mounts", []) if "layers" in mount]
    if owner.mapped is not None and not all(map(is_image, [request["layers"], *mounted])):
        rootfs.mount_lowest(context.folder, owner.mapped)
    rootfs.build(context.folder, context.sandbox, request["layers"], owner)
    trees = mounts.prepare(request.get("mounts", []), context)
    os.chdir(f"{context.own}/m")
    return Root(owner, trees, size_files.mount(shown_size(request), owner.uid) if "size" in request else {})


def shown_size(request: Message) -> ShownSize:
    """The size that programs of a sandbox are to see."""
    memory = min(request["size"]["memory"], os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return ShownSize(memory, tuple(request["cpus"]))


def set_up_network(network: int, proc: str = "/proc") -> None:
    """Bring up the loopback interface and open ports below 1024 to all accounts, in a new network namespace."""
    if not network:
        return
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))
    for name, value in _NETWORK_SETTINGS.items():
        linux.write(f"{proc}/sys/net/ipv4/{name}", value)
