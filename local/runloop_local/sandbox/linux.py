"""Linux system calls that the standard library lacks. They raise OSError, as those of `os` do."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import resource
import signal
import struct
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc_with_lock = ctypes.PyDLL(None, use_errno=True)
"""The same, but Python's lock is held meanwhile, as `fork` needs it."""

for _name in ("syscall", "signal", "setns", "prctl", "clone"):
    getattr(_libc, _name)  # looked up once, before any fork

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PTRACE_DETACH = 17
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4

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
    """True if the older system calls have x86-64's numbers, not those of the generic table."""
    return platform.machine() == "x86_64"


def become_subreaper() -> None:
    """Adopt orphaned descendants as children of this process."""
    call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Have the kernel send this signal to the process when its parent ends."""
    call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)


def let_go(pid: int, number: int) -> None:
    """Stop tracing a child that has stopped for this signal, which it then gets, unless it was for its tracer alone."""
    call("ptrace", _PTRACE_DETACH, pid, 0, 0 if number == signal.SIGTRAP else number)


def no_new_privileges() -> None:
    """Set no_new_privs: from here on set-uid files grant no privileges."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities(keep: frozenset[int] = frozenset()) -> None:
    """Drop all capabilities but these from the bounding set, so that programs started later cannot have them."""
    _libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)  # which outlive that; EINVAL where the kernel has none
    for capability in set(range(64)) - keep:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL above the last one this kernel knows


@contextmanager
def without_file_capabilities() -> Iterator[None]:
    """Obey file modes even as root, inside the `with` block."""
    header, found = struct.pack("Ii", _CAPABILITIES_VERSION, 0), ctypes.create_string_buffer(24)
    call("capget", header, found)
    effective, *others = struct.unpack("6I", found.raw[:24])
    call("capset", header, struct.pack("6I", effective & ~_FILE_CAPABILITIES, *others))
    try:
        yield
    finally:
        call("capset", header, found.raw[:24])


NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC = 0x20000, 0x4000000, 0x8000000
NEW_CGROUP = 0x2000000
NEW_USERS, NEW_PIDS, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
FOR_PARENT = 0x8000
"""A flag of `fork`: the child is one of this process's parent."""

READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
RECURSIVE, PRIVATE, SLAVE = 16384, 1 << 18, 1 << 19

_CLONE = 56 if platform.machine() == "x86_64" else 220
_ZEROS = [ctypes.c_long(0)] * 4
_SHARED_MEMORY, _DESCRIPTOR = 0x100, 0x1000
_ANY_CHILD = 0x40000000
"""An option of waiting: also for a child that sends no signal when it ends."""
_SLEEPER_SECONDS = 60
"""After that the process that holds a new user namespace ends by itself, if this one was killed meanwhile."""
_sleep = ctypes.cast(_libc.sleep, ctypes.c_void_p)
_stack = ctypes.create_string_buffer(1 << 14)
_stack_top = ctypes.c_void_p(ctypes.addressof(_stack) + len(_stack) & ~15)
_DEFAULT, _IGNORE = ctypes.c_void_p(0), ctypes.c_void_p(1)
_DETACH = 2
_MOVE = 8192
_PR_SET_DUMPABLE = 4
_PIDFD_SEND_SIGNAL = 424
_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 437, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOUNT_ATTR_IDMAP = 1, 0x100000
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
_RESOLVE_NO_MAGIC_LINKS, _RESOLVE_IN_ROOT = 0x2, 0x10


def fork(namespaces: int = 0) -> int:
    """Fork a single-threaded process, the child in new namespaces of these kinds; returns its pid, and 0 in the child.

    The interpreter is not made fit for threads in the child, as `os.fork` does it: each page that a child touches is
    copied, which takes longer than all the rest. With a new PID namespace the child is its first process; a process
    that unshares it would stay outside itself.
    """
    pid = int(_libc_with_lock.syscall(_CLONE, ctypes.c_long(namespaces | signal.SIGCHLD), *_ZEROS))
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid


def set_signal(number: int, *, ignored: bool = False) -> None:
    """Ignore a signal, or leave it to the kernel, which reaps the children of a process that ignores SIGCHLD."""
    _libc.signal(number, _IGNORE if ignored else _DEFAULT)  # not by Python's own, which touches a lot more memory


def send_signal(folder: str, number: int) -> None:
    """Send a signal to the process that has this folder in /proc (Linux 5.1)."""
    process = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call("syscall", _PIDFD_SEND_SIGNAL, process, number, 0, 0)  # many builds of Python lack it
    finally:
        os.close(process)


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    call("unshare", flags)


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace that a descriptor refers to."""
    call("setns", namespace, kind)


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    """mount(2)."""
    call("mount", source, target, kind, flags, options)


def pivot_root_to_cwd() -> None:
    """Make the working directory, which is a mount point, the root, and detach the old root."""
    # pivot_root(".", ".") stacks the old root on the new one, so it needs no folder to be put into.
    try:
        call("syscall", 155 if is_x86_64() else 41, ".", ".")
    except PermissionError:
        _move_root_to_cwd()
    else:
        call("umount2", ".", _DETACH)
    os.chdir("/")


def _move_root_to_cwd() -> None:
    """The same where Docker's filter of system calls refuses pivot_root.

    The old root stays below the new one in the mount namespace, out of reach: nothing has a descriptor of it, and the
    root of a mount namespace cannot be left by `..`.
    """
    mount(".", "/", None, _MOVE)
    os.chroot(".")


def mount_idmapped(source: str, target: str, users: int) -> None:
    """Bind-mount a folder with its owners mapped by a user namespace (Linux 5.12)."""
    bound = open_tree(source)
    try:
        set_attributes(bound, users=users)
        call("syscall", _MOVE_MOUNT, bound, "", _AT_FDCWD, target, _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(bound)


def open_tree(source: str | int, *, recursive: bool = False) -> int:
    """A descriptor of a detached bind mount of a path, or of a descriptor, which is closed (Linux 5.2)."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    if isinstance(source, str):
        return call("syscall", _OPEN_TREE, _AT_FDCWD, source, flags)
    try:
        return call("syscall", _OPEN_TREE, source, "", flags | _AT_EMPTY_PATH)
    finally:
        os.close(source)


def set_attributes(tree: int, *, users: int | None = None, read_only: bool = False) -> None:
    """Map the owners of a detached mount by a user namespace, or make it and its submounts read-only."""
    wanted = (_MOUNT_ATTR_IDMAP if users is not None else 0) | (READ_ONLY if read_only else 0)
    if wanted:
        attributes = struct.pack("QQQQ", wanted, 0, 0, users or 0)
        flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if read_only else 0)
        call("syscall", _MOUNT_SETATTR, tree, "", flags, attributes, len(attributes))


def attach(tree: int, mount_point: int) -> None:
    """Mount a detached mount on the file or folder that a descriptor refers to."""
    call("syscall", _MOVE_MOUNT, tree, "", mount_point, "", _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)


def detach(target: str) -> None:
    """Unmount lazily: programs that use the mount keep it."""
    call("umount2", target, _DETACH)


def open_in_root(root: str, path: str) -> int:
    """An O_PATH descriptor of `path`, resolved with the folder `root` as /, symbolic links included (Linux 5.6)."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    how = struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGIC_LINKS)
    try:
        return call("syscall", _OPENAT2, folder, path, how, len(how))
    finally:
        os.close(folder)


def user_namespace(ids: str, creator: int | None = None) -> int:
    """A descriptor of a new user namespace with this uid and gid map, which the caller must be allowed to write.

    The kernel also charges what is used in it to the uid that created it, by default the caller's.
    """
    pid, process = _sleeper(creator)
    try:
        number = _number_in_proc(process)
        for name in ("uid_map", "gid_map"):
            write(f"/proc/{number}/{name}", ids)
        return os.open(f"/proc/{number}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, _ANY_CHILD)
        os.close(process)


def _sleeper(creator: int | None) -> tuple[int, int]:
    """The number of a new process that sleeps in a new user namespace, and a descriptor of it.

    It shares this one's memory, as to copy that would take ten times as long as to make the namespace; a function of
    the C library is all that it runs.
    """
    descriptor = ctypes.c_int()
    made = ctypes.c_void_p(_SLEEPER_SECONDS), ctypes.byref(descriptor)
    with nullcontext() if creator is None else _with_effective_uid(creator):
        pid = _libc.clone(_sleep, _stack_top, NEW_USERS | _SHARED_MEMORY | _DESCRIPTOR, *made)
        number = ctypes.get_errno()
    if pid < 0:
        if number in (errno.EPERM, errno.ENOSPC):  # the second is that of their greatest number, 0 perhaps
            raise OSError(errno.EPERM, "user namespaces are not allowed on this machine")
        raise OSError(number, os.strerror(number))
    return pid, descriptor.value


def _number_in_proc(process: int) -> int:
    """The number of a process in /proc, which may be of another PID namespace than this process is in."""
    file = os.open(f"/proc/self/fdinfo/{process}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(file, 1 << 12).partition(b"\nPid:")[2].split(b"\n", 1)[0])
    finally:
        os.close(file)


@contextmanager
def _with_effective_uid(uid: int) -> Iterator[None]:
    """Have this uid but all capabilities, without which some machines forbid creating user namespaces."""
    call("prctl", _PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)  # or seteuid would clear the effective ones
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        call("prctl", _PR_SET_SECUREBITS, 0, 0, 0, 0)


def raise_process_limit() -> None:
    """Allow this process and its forks as many processes as it may: that is the limit of user namespaces they make."""
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def become(uid: int) -> None:
    """Become this uid and the gid of the same number, without supplementary groups."""
    # Groups first: after setresuid there is no right left to change them.
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Be this uid and the gid of the same number inside the `with` block, in an agent that is root without groups.

    What is executed meanwhile keeps nothing of root: the saved ids become the effective ones.
    """
    if not uid:
        yield
        return
    os.setresgid(uid, uid, 0)
    os.setresuid(uid, uid, 0)
    make_undumpable()  # which a change of account may undo, as this machine is set up
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        make_undumpable()
        die_with_parent(signal.SIGKILL)  # which a change of account undoes


def enter_own_user_namespace() -> None:
    """Become root of a new user namespace that maps only this account, which needs no privileges."""
    account = os.getuid(), os.getgid()
    unshare(NEW_USERS)
    map_account(*account)


def map_account(uid: int, gid: int) -> None:
    """Map this account, which was the caller's before it entered its user namespace, to root there."""
    write("/proc/self/setgroups", "deny")  # without privileges, the kernel requires it before a gid map is written
    write("/proc/self/uid_map", f"0 {uid} 1")
    write("/proc/self/gid_map", f"0 {gid} 1")


def write(path: str, text: str, folder: int | None = None) -> None:
    """Write a file of /proc in a single call; a relative path starts at the descriptor `folder`."""
    # A single write, as the kernel takes a map of ids once and as a whole.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def confine(request: Mapping[str, Any]) -> None:
    """Enter the control groups and the nice level of a request, with all future children of this process."""
    if request.get("nice"):
        os.nice(request["nice"])
    for file in request.get("groups", ()):
        write(file, "0")
    if request.get("groups") and os.getuid() == 0:
        unshare(NEW_CGROUP)  # so that no path of this machine shows in the sandbox's /proc


def make_undumpable() -> None:
    """Make this process undumpable, so that others can neither trace it nor read its /proc files; exec resets it."""
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def make_dumpable() -> None:
    """Make this process dumpable again: a change of uid silently makes it undumpable."""
    call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)


def set_title(title: str) -> None:
    """Set the command line that this process and its forks show, which otherwise reveals paths of this machine."""
    start, end = _start_arguments()[:2]
    ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)


def mask_secret(secret: bytes, variable: str) -> None:
    """Overwrite a secret in this process's arguments and in this environment variable, as /proc shows them."""
    command, command_end, environment, environment_end = _start_arguments()
    _mask(secret, command, command_end, b"(--[a-z-]+=)?")
    _mask(secret, environment, environment_end, re.escape(f"{variable}=".encode()))


def _mask(secret: bytes, start: int, end: int, before: bytes) -> None:
    """Overwrite the secret in each entry that consists of the pattern `before` and the secret."""
    wanted = re.compile(before + re.escape(secret))
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        if wanted.fullmatch(entry):
            ctypes.memset(start + len(entry) - len(secret), ord("*"), len(secret))
        start += len(entry) + 1


def _start_arguments() -> tuple[int, int, int, int]:
    """The addresses in memory of the start and end of the command line, and of the environment."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end, environment, environment_end = map(int, fields[45:49])
    return start, end, environment, environment_end
