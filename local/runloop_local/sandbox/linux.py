"""The Linux calls that Python has no name for. Raises OSError as `os` does."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

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


NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC = 0x20000, 0x4000000, 0x8000000
NEW_GROUPS = 0x2000000
NEW_USERS, NEW_PIDS, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000

READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
RECURSIVE, PRIVATE, SLAVE = 16384, 1 << 18, 1 << 19

_DETACH = 2
_PR_SET_DUMPABLE = 4
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _MOUNT_ATTR_IDMAP = 1, 4, 0x100000


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
    tree = call("syscall", _OPEN_TREE, _AT_FDCWD, source, _OPEN_TREE_CLONE | os.O_CLOEXEC)
    try:
        attributes = struct.pack("QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, users)
        call("syscall", _MOUNT_SETATTR, tree, "", _AT_EMPTY_PATH, attributes, len(attributes))
        call("syscall", _MOVE_MOUNT, tree, "", _AT_FDCWD, target, _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def user_namespace(uid_map: str, gid_map: str) -> int:
    """A descriptor of a new user namespace with these maps; the caller must be allowed to write them."""
    ready, say_ready = os.pipe()
    go, say_go = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            unshare(NEW_USERS)
            os.write(say_ready, b"x")
            os.read(go, 1)
        finally:
            os._exit(0)
    os.close(say_ready)
    try:
        if not os.read(ready, 1):
            raise OSError(errno.EPERM, "user namespaces are not allowed on this machine")
        write(f"/proc/{pid}/uid_map", uid_map)
        write(f"/proc/{pid}/gid_map", gid_map)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.write(say_go, b"x")
        os.waitpid(pid, 0)
        for fd in (ready, go, say_go):
            os.close(fd)


def enter_own_user_namespace() -> None:
    """Become root of a new user namespace that knows this account only; what an unprivileged account may do."""
    uid, gid = os.getuid(), os.getgid()
    unshare(NEW_USERS)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"0 {uid} 1")
    write("/proc/self/gid_map", f"0 {gid} 1")


def write(path: str, text: str) -> None:
    """Write a file of /proc in one call."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
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
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)
