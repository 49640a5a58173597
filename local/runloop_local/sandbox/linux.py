"""The Linux calls that Python has no name for. Raises OSError as `os` does."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import resource
import signal
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_CAPABILITIES_VERSION = 0x20080522
_FILE_CAPABILITIES = 1 << 1 | 1 << 2  # DAC_OVERRIDE, DAC_READ_SEARCH

_Argument = int | str | bytes | None | ctypes.Array[ctypes.c_char]


def call(name: str, *arguments: _Argument) -> int:
    """Call a libc function that returns -1 on failure."""
    result: int = getattr(_libc, name)(*map(_c, arguments))
    if result < 0:
        number = ctypes.get_errno()
        what = ", ".join(a for a in arguments if isinstance(a, str))
        raise OSError(number, f"{name}({what}): {os.strerror(number)}")
    return result


def _c(argument: _Argument) -> object:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    return os.fsencode(argument) if isinstance(argument, str) else argument


def is_x86_64() -> bool:
    """Whether old system call numbers are those of x86-64 (otherwise: the generic table)."""
    return platform.machine() == "x86_64"


def become_subreaper() -> None:
    """Descendants that lose their parent become children of this process."""
    call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Get this signal when the parent ends."""
    call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)


def no_new_privileges() -> None:
    """Set-uid files raise nothing from here on."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities(keep: frozenset[int] = frozenset()) -> None:
    """Programs started from here on cannot have any capability but these."""
    for capability in set(range(64)) - keep:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL above the last one this kernel knows


@contextmanager
def without_file_capabilities() -> Iterator[None]:
    """Meanwhile files are as open to this process as their modes say, also to root."""
    header, found = struct.pack("Ii", _CAPABILITIES_VERSION, 0), ctypes.create_string_buffer(24)
    call("capget", header, found)
    effective, *others = struct.unpack("6I", found.raw[:24])
    call("capset", header, struct.pack("6I", effective & ~_FILE_CAPABILITIES, *others))
    try:
        yield
    finally:
        call("capset", header, found.raw[:24])


NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC = 0x20000, 0x4000000, 0x8000000
NEW_GROUPS = 0x2000000
NEW_USERS, NEW_PIDS, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000

READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
RECURSIVE, PRIVATE, SLAVE = 16384, 1 << 18, 1 << 19

_DETACH = 2
_PR_SET_DUMPABLE = 4
_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 437, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOUNT_ATTR_IDMAP = 1, 0x100000
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
_RESOLVE_NO_MAGIC_LINKS, _RESOLVE_IN_ROOT = 0x2, 0x10


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    call("unshare", flags)


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace behind a descriptor."""
    call("setns", namespace, kind)


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    """mount(2)."""
    call("mount", source, target, kind, flags, options)


def pivot_to_here() -> None:
    """Make the working directory, a mount, the root, and forget the old root."""
    call("syscall", 155 if is_x86_64() else 41, ".", ".")
    call("umount2", ".", _DETACH)
    os.chdir("/")


def mount_idmapped(source: str, target: str, users: int) -> None:
    """Bind a folder with its owners mapped as a user namespace maps them (Linux 5.12)."""
    bound = tree(source)
    try:
        set_attributes(bound, users=users)
        call("syscall", _MOVE_MOUNT, bound, "", _AT_FDCWD, target, _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(bound)


def tree(source: str | int, *, recursive: bool = False) -> int:
    """A descriptor of a detached mount of what a path names, or a descriptor, which this closes (Linux 5.2)."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    if isinstance(source, str):
        return call("syscall", _OPEN_TREE, _AT_FDCWD, source, flags)
    try:
        return call("syscall", _OPEN_TREE, source, "", flags | _AT_EMPTY_PATH)
    finally:
        os.close(source)


def set_attributes(tree: int, *, users: int | None = None, read_only: bool = False) -> None:
    """Map the owners of a detached mount as a user namespace does, or close it and those in it to writing."""
    wanted = (_MOUNT_ATTR_IDMAP if users is not None else 0) | (READ_ONLY if read_only else 0)
    if wanted:
        attributes = struct.pack("QQQQ", wanted, 0, 0, users or 0)
        flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if read_only else 0)
        call("syscall", _MOUNT_SETATTR, tree, "", flags, attributes, len(attributes))


def attach(tree: int, place: int) -> None:
    """Put a detached mount over what is behind a descriptor."""
    call("syscall", _MOVE_MOUNT, tree, "", place, "", _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)


def detach(target: str) -> None:
    """Take a mount away; what stands on it goes on."""
    call("umount2", target, _DETACH)


def open_in_root(root: str, path: str) -> int:
    """An O_PATH descriptor of what `path` is where the folder `root` is /, whatever links say (Linux 5.6)."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    how = struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGIC_LINKS)
    try:
        return call("syscall", _OPENAT2, folder, path, how, len(how))
    finally:
        os.close(folder)


class UserNamespaces:
    """A process that makes user namespaces, each one inside the one before.

    What is done in a namespace is also counted for the account that made it: `maker`, by default the caller's.
    """

    def __init__(self, maker: int | None = None) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._orders)
            os.close(self._answers)
            _make_user_namespaces(maker, orders, answers)
        os.close(orders)
        os.close(answers)
        self._process = os.open(f"/proc/{self.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def begin(self) -> None:
        """Have the next one made, while the caller does something else."""
        os.write(self._orders, b"n")

    def finish(self, ids: str) -> int:
        """A descriptor of that one, with this map of users and groups, which the caller must be allowed to write."""
        if not os.read(self._answers, 1):
            raise OSError(errno.EPERM, "user namespaces are not allowed on this machine")
        for name in ("uid_map", "gid_map"):
            write(name, ids, self._process)
        return os.open("ns/user", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._process)

    def end(self) -> None:
        """End the process; whoever forked it reaps it."""
        with suppress(BrokenPipeError):  # it has failed
            os.write(self._orders, b"e")
        for fd in (self._orders, self._answers, self._process):
            os.close(fd)


def _make_user_namespaces(maker: int | None, orders: int, answers: int) -> NoReturn:
    try:
        die_with_parent(signal.SIGKILL)
        if maker is not None:
            _become_with_all_capabilities(maker)
        while os.read(orders, 1) == b"n":
            unshare(NEW_USERS)
            show_to_debuggers()  # or who is in the namespace above could not write the maps
            os.write(answers, b"x")
    finally:
        os._exit(0)


def _become_with_all_capabilities(uid: int) -> None:
    """Some machines let only accounts with capabilities make user namespaces."""
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))  # the limit of all that a namespace holds
    call("prctl", _PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    become(uid)
    die_with_parent(signal.SIGKILL)  # which a change of account undoes


def become(uid: int) -> None:
    """Take this account and its group, and no others."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def user_namespace(ids: str) -> int:
    """A descriptor of a new user namespace with this map of users and groups."""
    namespaces = UserNamespaces()
    try:
        namespaces.begin()
        return namespaces.finish(ids)
    finally:
        namespaces.end()
        os.waitpid(namespaces.pid, 0)


def enter_own_user_namespace() -> None:
    """Become root of a new user namespace that knows this account only; what an unprivileged account may do."""
    uid, gid = os.getuid(), os.getgid()
    unshare(NEW_USERS)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"0 {uid} 1")
    write("/proc/self/gid_map", f"0 {gid} 1")


def write(path: str, text: str, folder: int | None = None) -> None:
    """Write a file of /proc in one call; `folder` is a descriptor of what the path is relative to."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def hide_from_debuggers() -> None:
    """Let nobody trace this process or look into it; ends with exec."""
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def show_to_debuggers() -> None:
    """The opposite, which a change of account undoes silently."""
    call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)


def set_title(title: str) -> None:
    """What this process and its forks show as their command line, which otherwise tells paths of this machine."""
    start, end = _start_arguments()[:2]
    ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)


def cover_in_start(secret: bytes, variable: str) -> None:
    """Cover a secret in the arguments that this process was started with, and in that variable of its environment."""
    command, command_end, environment, environment_end = _start_arguments()
    _cover(secret, command, command_end, b"(--[a-z-]+=)?")
    _cover(secret, environment, environment_end, re.escape(f"{variable}=".encode()))


def _cover(secret: bytes, start: int, end: int, before: bytes) -> None:
    """Cover it in each entry that is nothing but this pattern and the secret."""
    wanted = re.compile(before + re.escape(secret))
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        if wanted.fullmatch(entry):
            ctypes.memset(start + len(entry) - len(secret), ord("*"), len(secret))
        start += len(entry) + 1


def _start_arguments() -> tuple[int, int, int, int]:
    """Where in memory the command line begins and ends, and the environment."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end, environment, environment_end = map(int, fields[45:49])
    return start, end, environment, environment_end
