"""Sets up the namespaces of a sandbox and runs its agent in them, by one of three drivers, best isolated first.

- `idmapped`: the service is root; the sandbox's uids 0 to 65535 map to a range of host uids of its own.
- `root`: the service is root on a kernel or file system without idmapped mounts; the sandbox's root is the host's,
  with fewer capabilities.
- `unprivileged`: the service runs under any account, which is the only one that the sandbox has.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from runloop_local.sandbox import capture, linux, mounts, processes, rootfs, seccomp, size_files, uid_ranges
from runloop_local.sandbox.agent import Agent, AgentBackend, refuse, request_limits
from runloop_local.sandbox.base import is_image
from runloop_local.sandbox.linux import NEW_HOSTNAME, NEW_IPC, NEW_MOUNTS, NEW_NETWORK, NEW_PIDS, NEW_USERS
from runloop_local.sandbox.mounts import DetachedMount, MountContext
from runloop_local.sandbox.rootfs import IdMapping, Owner
from runloop_local.sandbox.size_files import GroupMemory, MemoryUse, ShownSize, SizeFiles
from runloop_local.sandbox.uid_ranges import Claim, UidRanges

if TYPE_CHECKING:
    from collections.abc import Callable

    from runloop_local.sandbox.frames import Message

FIRST_UID_ON_DISK = 100_000
_USER = 1000
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP_AND_RUNNING = 0x49
# Docker's defaults less NET_RAW, MKNOD and AUDIT_WRITE: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
# SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31})
_TMPFS_FOLDERS = ("/run", "/dev/shm")  # noqa: S108 - a sandbox's own
_SHARED_MEMORY = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")
"""Tables of System V IPC objects, each with one header line."""
_NETWORK_SETTINGS = {"ip_unprivileged_port_start": "0"}


@dataclass(frozen=True, slots=True)
class Root:
    """A sandbox's root file system that is mounted but not entered yet, and the mounts to attach in it."""

    owner: Owner
    trees: list[DetachedMount] = field(default_factory=list)
    sizes: SizeFiles | None = None
    """The files that show its size; None if that is not limited."""

    def enter(self) -> list[str]:
        """Pivot into the root and attach the mounts; returns the mount points that had to be created."""
        # Pivot first: the paths of mount points are then resolved in the sandbox's root, whatever its symlinks say.
        linux.pivot_root_to_cwd()
        return mounts.attach(self.trees, self.owner)


class IsolationDriver(Protocol):
    """Sets up a sandbox's namespaces. The methods are called in this order, the first three in the helper process."""

    calls: seccomp.Filter
    """The system calls that commands may make."""
    has_accounts: bool
    """True if files of disks can belong to other accounts than root."""
    forked_into: int
    """The namespaces that PID 1 is forked into, of which its own PID namespace is one."""

    def prepare(self, folder: str) -> None:
        """Set up what all sandboxes share, once."""
        ...

    def claim(self, request: Message) -> Claim:
        """Allocate what a sandbox holds exclusively."""
        ...

    def release(self, claim: Claim) -> None:
        """Release the claim of a sandbox that has ended."""
        ...

    def leave(self, network: int, claim: Claim) -> None:
        """In PID 1: leave this machine's other namespaces."""
        ...

    def build(self, request: Message) -> tuple[Root, list[str]]:
        """Mount the root, enter it and the remaining namespaces.

        Returns the root, and the mount points that were created for mounts beside the disk.
        """
        ...

    def user_switcher(self) -> Callable[[str], None]:
        """Return the function by which a forked child switches to an account of the sandbox."""
        ...

    def as_owner(self) -> None:
        """Outside of sandboxes: gain the right to read, copy and delete all files of their disks."""
        ...


class IdmappedDriver:
    """For root, on kernels and file systems that have idmapped mounts."""

    has_accounts = True
    forked_into = NEW_PIDS

    def __init__(self) -> None:
        self.calls = seccomp.Filter(seccomp.policy())
        self._ranges = UidRanges()
        self._disks: dict[int, int] = {}

    def prepare(self, folder: str) -> None:
        """Create the mount points of the host's folders."""
        rootfs.prepare_lowest(folder)

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

    def leave(self, network: int, claim: Claim) -> None:
        """Unshare mounts as host root; the other namespaces are created later, by the sandbox's root."""
        self._network = network
        self._first = claim.first_uid
        # A separate process creates the user namespaces while this one goes on.
        self._namespaces = linux.UserNamespaces(self._first)
        self._namespaces.begin()
        linux.unshare(NEW_MOUNTS)

    def build(self, request: Message) -> tuple[Root, list[str]]:
        """Mount as host root, then become the sandbox's root, which has no rights outside."""
        users, disks = self._namespaces.finish(f"0 {self._first} {uid_ranges.SIZE}"), self._disks[self._first]
        self._namespaces.begin()
        owner = Owner(self._first, "redirect_dir=on,", IdMapping(users, disks))
        root = mount_root(request, owner, FIRST_UID_ON_DISK)
        rootfs.mask_proc()
        made = root.enter()
        # Last, as mounting with host root's rights ends here: the sandbox's root has none over these mounts.
        linux.enter(users, NEW_USERS)
        os.close(users)
        os.close(disks)
        linux.become(0)
        linux.make_dumpable()  # or the files of /proc by which accounts are mapped would not be ours
        # Unshared inside the user namespace, which therefore owns them: the sandbox's root configures its network.
        linux.unshare(NEW_HOSTNAME | NEW_IPC | self._network)
        set_up_network(self._network)
        return root, made

    def user_switcher(self) -> Callable[[str], None]:
        """Commands enter a child user namespace with the same accounts, so that they have no rights over PID 1."""
        users = self._namespaces.finish(f"0 0 {uid_ranges.SIZE}")
        self._namespaces.end()
        self._namespaces.reap()  # or the sandbox would have a process that is not one of its commands

        def enter(user: str) -> None:
            linux.enter(users, NEW_USERS)
            linux.become(0 if user == "root" else _USER)

        return enter

    def as_owner(self) -> None:
        """Do nothing: the helper is root."""


class RootDriver:
    """For root on kernels and file systems without idmapped mounts."""

    has_accounts = True
    forked_into = NEW_PIDS

    def __init__(self) -> None:
        self.calls = seccomp.Filter(seccomp.policy())

    def prepare(self, folder: str) -> None:
        """Do nothing: sandboxes share nothing."""

    def claim(self, request: Message) -> Claim:
        """An empty claim."""
        return Claim()

    def release(self, claim: Claim) -> None:
        """Do nothing: claims are empty."""

    def leave(self, network: int, claim: Claim) -> None:
        """Unshare all namespaces at once; there is no user namespace."""
        self._network = network
        linux.unshare(NEW_MOUNTS | NEW_HOSTNAME | NEW_IPC | network)

    def build(self, request: Message) -> tuple[Root, list[str]]:
        """Mount and enter the root; as root inside is the host's, lock the kernel's settings and drop capabilities."""
        root = mount_root(request, Owner(0, "redirect_dir=on,"))
        # Through the new root's /proc, before that is locked.
        set_up_network(self._network, "proc")
        rootfs.mask_proc()
        rootfs.lock_proc()
        rootfs.lock_devices()
        made = root.enter()
        # Last, as mounting needs more of them than commands may have.
        linux.drop_capabilities(_CAPABILITIES)
        return root, made

    def user_switcher(self) -> Callable[[str], None]:
        """Commands switch to the host's uid of the same number."""
        return lambda user: linux.become(0 if user == "root" else _USER)

    def as_owner(self) -> None:
        """Do nothing: the helper is root."""


class UnprivilegedDriver:
    """For a service without privileges."""

    has_accounts = False
    forked_into = NEW_PIDS | NEW_USERS  # the new user namespace grants the right to create the others

    def __init__(self) -> None:
        self.calls = seccomp.Filter(seccomp.policy(one_account=True))
        self._account = os.getuid(), os.getgid()

    def prepare(self, folder: str) -> None:
        """Do nothing: sandboxes share nothing."""

    def claim(self, request: Message) -> Claim:
        """An empty claim."""
        return Claim()

    def release(self, claim: Claim) -> None:
        """Do nothing: claims are empty."""

    def leave(self, network: int, claim: Claim) -> None:
        """Become root of its user namespace, and unshare all others."""
        self._network = network
        linux.map_account(*self._account)
        linux.unshare(NEW_MOUNTS | NEW_HOSTNAME | NEW_IPC | network)

    def build(self, request: Message) -> tuple[Root, list[str]]:
        """Mount and enter the root, as root of the user namespace."""
        root = mount_root(request, Owner(0, "userxattr,", has_accounts=False))
        set_up_network(self._network, "proc")
        rootfs.mask_proc()
        made = root.enter()
        return root, made

    def user_switcher(self) -> Callable[[str], None]:
        """Commands enter a child user namespace that maps the one uid to the account's, without rights over PID 1."""
        known = {user: _one_account(uid) for user, uid in (("root", 0), ("user", _USER))}

        def enter(user: str) -> None:
            linux.enter(known[user], NEW_USERS)
            # All accounts are one here: a set-uid file would only pretend to be a boundary.
            linux.no_new_privileges()

        return enter

    def as_owner(self) -> None:
        """Become root of a user namespace, to bypass permissions that a command has removed from its own files."""
        linux.enter_own_user_namespace()


DRIVERS: dict[str, type[IsolationDriver]] = {
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
    return Root(owner, trees, _mount_sizes(request, owner, trees) if "size" in request else None)


def _mount_sizes(request: Message, owner: Owner, trees: list[DetachedMount]) -> SizeFiles:
    counted = GroupMemory.of(request.get("groups", ()))
    memory = min(request["size"]["memory"], os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    size = ShownSize(memory, tuple(request["cpus"]))
    return size_files.mount(size, counted or (lambda: MemoryUse(load(trees)[0])), owner.uid)


def set_up_network(network: int, proc: str = "/proc") -> None:
    """Bring up the loopback interface and open ports below 1024 to all accounts, in a new network namespace."""
    if not network:
        return
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))
    for name, value in _NETWORK_SETTINGS.items():
        linux.write(f"{proc}/sys/net/ipv4/{name}", value)


def run(driver: IsolationDriver, request: Message, sock: socket.socket, claim: Claim) -> NoReturn:
    """Serve as PID 1 of a sandbox, forked into the driver's namespaces."""
    os.umask(0o022)
    try:
        driver.leave(NEW_NETWORK if request["network"] == "none" else 0, claim)
        root, made = driver.build(request)
        # From here on the root is the sandbox's, and a module found there would be its code.
        disable_imports()
        captured = capture.start() if request["network"] == "none" else capture.Capture()
        become_command = driver.user_switcher()
        socket.sethostname(request["hostname"])
        # It has the socket to the service, and in its memory what came by it: no program of the sandbox may look there.
        linux.make_undumpable()
        linux.die_with_parent(signal.SIGKILL)
        driver.calls.apply()  # inherited by all commands; last, as it forbids what the setup above needed
        limits, greeting = (
            request_limits(request),
            {
                "made": made,
                "uncaptured": [captured.problem] if captured.problem else [],
                "holding": [""] * len(captured.holding),
            },
        )
        refresh = None if root.sizes is None else root.sizes.refresh
        used = partial(load, root.trees)
        backend = AgentBackend(
            become_command,
            signal_all,
            end_all,
            limits,
            is_idle,
            used,
            request["cpus"],
            refresh,
            greeting,
            linux.fork_to_execute,
            captured.holding,
        )
        Agent(sock, backend).serve()
    except OSError as error:
        refuse(sock, error)
    finally:
        os._exit(0)  # and with PID 1 the kernel ends everything


def disable_imports() -> None:
    """Disable imports, so that this interpreter never loads code from the sandbox's files."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()


def signal_all(number: int, _groups: set[int]) -> None:
    """Send a signal to every process but PID 1."""
    if os.getpid() != 1:
        raise PermissionError("only PID 1 may signal all processes it sees")
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        return  # there is nothing but PID 1


def is_idle() -> bool:
    """True if a restart would lose nothing: no process but PID 1, no files in tmpfs, no System V IPC objects."""
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        in_memory = any(os.listdir(folder) for folder in _TMPFS_FOLDERS)  # noqa: PTH208 - names, no paths
        return not in_memory and all(Path(table).read_bytes().count(b"\n") == 1 for table in _SHARED_MEMORY)
    return False


def load(trees: list[DetachedMount]) -> tuple[int, int]:
    """The memory and number of all processes but PID 1, files in tmpfs included."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]  # noqa: PTH208 - names, no paths
    in_memory = sum(_used(folder) for folder in ("/dev", *_TMPFS_FOLDERS)) + mounts.used_memory(trees)
    return processes.load(pids, in_memory)


def _used(folder: str) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def end_all(_groups: set[int]) -> None:
    """Do nothing: the kernel kills everything when PID 1 exits."""
