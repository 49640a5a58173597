"""The system calls that programs of a devbox may not make, as tables.

They follow Docker's default profile with its default capabilities; `DIFFERENCES` lists where they deviate. Call numbers
are those of x86-64, 32-bit x86 and the generic table (aarch64 and later machines).
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Numbers = tuple[int | None, int | None, int | None]
HIGHEST = 466
"""removexattrat, the last call that was reviewed: calls above it answer ENOSYS."""
GAPS = ((336, 424), (387, 393), (295, 403))
"""Ranges of lower numbers without a call, or with calls that were not reviewed: start and end, exclusive."""

_RETURN_ERROR = 0x00050000


class Action(IntEnum):
    """The result of a call, as seccomp's return value."""

    ALLOWED = 0x7FFF0000
    DONE = _RETURN_ERROR
    """The call succeeds without effect."""
    FORBIDDEN = _RETURN_ERROR | errno.EPERM
    ABSENT = _RETURN_ERROR | errno.ENOSYS
    """As on a kernel without the call, so that programs fall back to another."""
    NO_FAMILY = _RETURN_ERROR | errno.EAFNOSUPPORT
    NO_ATTRIBUTES = _RETURN_ERROR | errno.EOPNOTSUPP
    """As on a file system without extended attributes."""


class Refused(NamedTuple):
    """Calls that are refused whatever their arguments."""

    reason: str
    action: Action
    calls: Mapping[str, Numbers]


class Check(NamedTuple):
    """A call that is allowed if one argument is among `values`, or has none of `bits` set.

    `only_with` is another argument and bits: if it has none of them set, the call is allowed without this check.
    `and_also` is another argument and the value that it must have in addition.
    """

    call: str
    numbers: Numbers
    argument: int
    action: Action
    values: tuple[int, ...] = ()
    bits: int = 0
    only_with: tuple[int, int] | None = None
    and_also: tuple[int, int] | None = None


class Difference(NamedTuple):
    """A deviation from Docker's default profile."""

    calls: str
    docker: str
    here: str
    reason: str


REFUSED = (
    Refused(
        "keyrings are not divided by namespaces as files are, and their bugs have given programs root",
        Action.FORBIDDEN,
        {
            "add_key": (248, 286, 217),
            "request_key": (249, 287, 218),
            "keyctl": (250, 288, 219),
        },
    ),
    Refused(
        "reaches much of the kernel past any filter",
        Action.ABSENT,
        {
            "io_uring_setup": (425, 425, 425),
            "io_uring_enter": (426, 426, 426),
            "io_uring_register": (427, 427, 427),
        },
    ),
    Refused(
        "lets a program pause the kernel within a page fault, which makes other bugs exploitable",
        Action.ABSENT,
        {
            "userfaultfd": (323, 374, 282),
        },
    ),
    Refused(
        "allocates memory that the service cannot inspect, to measure it for instance",
        Action.ABSENT,
        {
            "memfd_secret": (447, 447, 447),
        },
    ),
    Refused(
        "its flags are in memory, where a filter cannot see them: libraries fall back to clone",
        Action.ABSENT,
        {
            "clone3": (435, 435, 435),
        },
    ),
    Refused(
        "mounts are made before a devbox's first command, and none after",
        Action.FORBIDDEN,
        {
            "mount": (165, 21, 40),
            "umount": (None, 22, None),
            "umount2": (166, 52, 39),
            "pivot_root": (155, 217, 41),
            "open_tree": (428, 428, 428),
            "move_mount": (429, 429, 429),
            "fsopen": (430, 430, 430),
            "fsconfig": (431, 431, 431),
            "fsmount": (432, 432, 432),
            "fspick": (433, 433, 433),
            "mount_setattr": (442, 442, 442),
            "quotactl": (179, 131, 60),
            "quotactl_fd": (443, 443, 443),
        },
    ),
    Refused(
        "namespaces are made before a devbox's first command",
        Action.FORBIDDEN,
        {
            "unshare": (272, 310, 97),
            "setns": (308, 346, 268),
            "sethostname": (170, 74, 161),
            "setdomainname": (171, 121, 162),
        },
    ),
    Refused(
        "loads code into the kernel",
        Action.FORBIDDEN,
        {
            "bpf": (321, 357, 280),
            "perf_event_open": (298, 336, 241),
            "init_module": (175, 128, 105),
            "finit_module": (313, 350, 273),
            "delete_module": (176, 129, 106),
            "kexec_load": (246, 283, 104),
            "kexec_file_load": (320, None, 294),
        },
    ),
    Refused(
        "opens files by handle, past the permissions of the folders above them",
        Action.FORBIDDEN,
        {
            "open_by_handle_at": (304, 342, 265),
        },
    ),
    Refused(
        "inspects or changes other processes beyond what a debugger needs",
        Action.FORBIDDEN,
        {
            "kcmp": (312, 349, 272),
            "pidfd_getfd": (438, 438, 438),
            "process_madvise": (440, 440, 440),
        },
    ),
    Refused(
        "affects the whole machine",
        Action.FORBIDDEN,
        {
            "acct": (163, 51, 89),
            "reboot": (169, 88, 142),
            "swapon": (167, 87, 224),
            "swapoff": (168, 115, 225),
            "syslog": (103, 103, 116),
            "settimeofday": (164, 79, 170),
            "stime": (None, 25, None),
            "clock_settime": (227, 264, 112),
            "clock_settime64": (None, 404, 404),
            "vhangup": (153, 111, 58),
            "iopl": (172, 110, None),
            "ioperm": (173, 101, None),
            "fanotify_init": (300, 338, 262),
            "lsm_get_self_attr": (459, 459, 459),
            "lsm_set_self_attr": (460, 460, 460),
            "lsm_list_modules": (461, 461, 461),
        },
    ),
    Refused(
        "places memory on the nodes of the machine",
        Action.FORBIDDEN,
        {
            "mbind": (237, 274, 235),
            "get_mempolicy": (239, 275, 236),
            "set_mempolicy": (238, 276, 237),
            "set_mempolicy_home_node": (450, 450, 450),
            "migrate_pages": (256, 294, 238),
            "move_pages": (279, 317, 239),
        },
    ),
    Refused(
        "obsolete",
        Action.FORBIDDEN,
        {
            "uselib": (134, 86, None),
            "ustat": (136, 62, None),
            "sysfs": (139, 135, None),
            "_sysctl": (156, 149, None),
            "lookup_dcookie": (212, 253, 18),
            "nfsservctl": (180, 169, 42),
            "create_module": (174, 127, None),
            "query_module": (178, 167, None),
            "get_kernel_syms": (177, 130, None),
            "getpmsg": (181, 188, None),
            "putpmsg": (182, 189, None),
            "vm86": (None, 166, None),
            "vm86old": (None, 113, None),
            "bdflush": (None, 134, None),
            "oldstat": (None, 18, None),
            "oldfstat": (None, 28, None),
            "oldlstat": (None, 84, None),
            "oldolduname": (None, 59, None),
            "olduname": (None, 109, None),
            "nice": (None, 34, None),
            "readdir": (None, 89, None),
            "sgetmask": (None, 68, None),
            "ssetmask": (None, 69, None),
            "sigaction": (None, 67, None),
            "signal": (None, 48, None),
            "sigpending": (None, 73, None),
            "sigsuspend": (None, 72, None),
        },
    ),
)

_NAMESPACES = 0x7E020000
CLONE = Check("clone", (56, 120, 220), 0, Action.FORBIDDEN, bits=_NAMESPACES)
PERSONALITY = Check(
    "personality", (135, 136, 92), 0, Action.FORBIDDEN, values=(0, 8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
)
_UNIX, _IPV4, _IPV6, _NETLINK, _PACKET = 1, 2, 10, 16, 17
_FAMILIES = (_UNIX, _IPV4, _IPV6, _NETLINK, _PACKET)
SOCKET = Check("socket", (41, 359, 198), 0, Action.NO_FAMILY, values=_FAMILIES)
SOCKET_PAIR = Check("socketpair", (53, 360, 199), 0, Action.NO_FAMILY, values=_FAMILIES)
_CALLS_WITHOUT_FAMILY = tuple(number for number in range(1, 21) if number not in (1, 8))  # SYS_SOCKET, SYS_SOCKETPAIR
SOCKET_CALL = Check("socketcall", (None, 102, None), 0, Action.ABSENT, values=_CALLS_WITHOUT_FAMILY)
CHECKS = (CLONE, PERSONALITY, SOCKET, SOCKET_PAIR, SOCKET_CALL)

ENTER_USER_NAMESPACE = Check("setns", (308, 346, 268), 1, Action.FORBIDDEN, values=(0x10000000,))
"""With a single uid the agent, which is under the filter too, enters another user namespace for each account."""

USER_NAMESPACE = Check("unshare", (272, 310, 97), 0, Action.FORBIDDEN, values=(0x10000000,))
"""For `sudo` in devboxes with a single uid."""

OWNERS: Mapping[str, Numbers] = {
    "chown": (92, 182, None),
    "fchown": (93, 95, 55),
    "lchown": (94, 16, None),
    "fchownat": (260, 298, 54),
    "chown32": (None, 212, None),
    "fchown32": (None, 207, None),
    "lchown32": (None, 198, None),
}
ACCOUNTS: Mapping[str, Numbers] = {
    "setuid": (105, 23, 146),
    "setgid": (106, 46, 144),
    "setreuid": (113, 70, 145),
    "setregid": (114, 71, 143),
    "setgroups": (116, 81, 159),
    "setresuid": (117, 164, 147),
    "setresgid": (119, 170, 149),
    "setfsuid": (122, 138, 151),
    "setfsgid": (123, 139, 152),
    "setuid32": (None, 213, None),
    "setgid32": (None, 214, None),
    "setreuid32": (None, 203, None),
    "setregid32": (None, 204, None),
    "setgroups32": (None, 206, None),
    "setresuid32": (None, 208, None),
    "setresgid32": (None, 210, None),
    "setfsuid32": (None, 215, None),
    "setfsgid32": (None, 216, None),
}
"""Package managers fail if they cannot change owners and accounts."""

_SET_ID = 0o6000
_CREATE = 0x400040  # O_CREAT, O_TMPFILE
SET_ID = (
    Check("chmod", (90, 15, None), 1, Action.FORBIDDEN, bits=_SET_ID),
    Check("fchmod", (91, 94, 52), 1, Action.FORBIDDEN, bits=_SET_ID),
    Check("fchmodat", (268, 306, 53), 2, Action.FORBIDDEN, bits=_SET_ID),
    Check("fchmodat2", (452, 452, 452), 2, Action.FORBIDDEN, bits=_SET_ID),
    Check("mknod", (133, 14, None), 1, Action.FORBIDDEN, bits=_SET_ID),
    Check("mknodat", (259, 297, 33), 2, Action.FORBIDDEN, bits=_SET_ID),
    Check("creat", (85, 8, None), 1, Action.FORBIDDEN, bits=_SET_ID),
    Check("open", (2, 5, None), 2, Action.FORBIDDEN, bits=_SET_ID, only_with=(1, _CREATE)),
    Check("openat", (257, 295, 56), 3, Action.FORBIDDEN, bits=_SET_ID, only_with=(2, _CREATE)),
)
"""Set-uid and set-gid bits are refused where a devbox's files are on this machine: others could start them."""
SET_ID_UNSEEN: Mapping[str, Numbers] = {"openat2": (437, 437, 437)}
"""Calls whose mode a filter cannot see, as it is in memory."""

OTHER_PROCESSES = (
    Check("prlimit64", (302, 340, 261), 0, Action.FORBIDDEN, values=(0,)),
    Check("setpriority", (141, 97, 140), 1, Action.FORBIDDEN, values=(0,), and_also=(0, 0)),  # PRIO_PROCESS
    Check("ioprio_set", (251, 289, 30), 1, Action.FORBIDDEN, values=(0,), and_also=(0, 1)),  # IOPRIO_WHO_PROCESS
    Check("sched_setparam", (142, 154, 118), 0, Action.FORBIDDEN, values=(0,)),
    Check("sched_setscheduler", (144, 156, 119), 0, Action.FORBIDDEN, values=(0,)),
    Check("sched_setaffinity", (203, 241, 122), 0, Action.FORBIDDEN, values=(0,)),
    Check("sched_setattr", (314, 351, 274), 0, Action.FORBIDDEN, values=(0,)),
)
"""For devboxes that share the service's uid: a process may change itself (0), but no other."""
ATTRIBUTES: Mapping[str, Numbers] = {
    "setxattr": (188, 226, 5),
    "lsetxattr": (189, 227, 6),
    "fsetxattr": (190, 228, 7),
    "setxattrat": (463, 463, 463),
    "removexattr": (197, 235, 14),
    "lremovexattr": (198, 236, 15),
    "fremovexattr": (199, 237, 16),
    "removexattrat": (466, 466, 466),
}

DIFFERENCES = (
    Difference(
        "socket and socketpair of any family but unix, IPv4, IPv6, netlink and packet",
        "most families; not AF_VSOCK, AF_ALG",
        "EAFNOSUPPORT",
        "the kernel loads a family's module on first use; the rare ones have had the most vulnerabilities, and "
        "AF_VSOCK reaches the hypervisor",
    ),
    Difference(
        "socketcall(SYS_SOCKET) and socketcall(SYS_SOCKETPAIR) of 32-bit x86",
        "allowed",
        "ENOSYS",
        "the family is in memory, where a filter cannot see it; 32-bit programs that use no other call have no network",
    ),
    Difference("memfd_secret", "allowed", "ENOSYS", "nothing needs memory that cannot be inspected"),
    Difference(
        "x32, calls above removexattrat (466), numbers without a call",
        "x32 is allowed; new calls are refused once the profile does not know them",
        "ENOSYS",
        "x32 is a second set of all calls that nothing uses; calls that were not reviewed are not allowed",
    ),
    Difference(
        "io_uring_setup, io_uring_enter, io_uring_register, userfaultfd",
        "EPERM",
        "ENOSYS",
        "programs that probe for it use their fallback",
    ),
    Difference("programs for 32-bit ARM on aarch64", "allowed", "ENOSYS", "their calls have different numbers"),
    Difference(
        "personality(ADDR_NO_RANDOMIZE)",
        "EPERM",
        "allowed",
        "gdb and ThreadSanitizer turn address randomisation off for what they start; set-uid programs turn it on again",
    ),
    Difference(
        "setns(..., CLONE_NEWUSER), where the service has no privileges",
        "EPERM",
        "allowed",
        "the filter is installed once, for the agent, which moves each command into its user namespace; no other "
        "program has the descriptor of a user namespace in which it has privileges",
    ),
    Difference(
        "unshare(CLONE_NEWUSER) and nothing else, where the service has no privileges",
        "EPERM",
        "allowed",
        "sudo there enters a user namespace in which the account is root; mounts, networks and other namespaces, "
        "which make user namespaces dangerous, stay forbidden inside",
    ),
    Difference(
        "chown, setuid, setgid and their kind, where the service has no privileges",
        "allowed",
        "succeed without effect",
        "there is only one account, and package managers fail if they cannot change owners",
    ),
    Difference(
        "chmod, mknod, creat and open with set-uid or set-gid bits; openat2, behind Landlock",
        "allowed",
        "EPERM; ENOSYS",
        "the files are on this machine, where other accounts could run them; the mode of openat2 is in memory, where a "
        "filter cannot see it",
    ),
    Difference(
        "chown and setxattr and their kind, behind Landlock where the service is not root",
        "allowed",
        "EPERM; EOPNOTSUPP",
        "Landlock does not cover them, and other files of the account are on this machine",
    ),
    Difference(
        "prlimit64, setpriority, ioprio_set and sched_set* of another process, behind Landlock where the service is "
        "not root",
        "allowed",
        "EPERM",
        "they could stop the service and other programs of the account; programs that use them on their own threads "
        "get the error, too",
    ),
)
"""Everything else is as in Docker's default profile with its default capabilities: ptrace and process_vm_readv for
debuggers, chroot, memfd_create, name_to_handle_at and Landlock are allowed; user namespaces, mounts, keyrings, bpf and
perf_event_open are not, so podman, bubblewrap and Chromium's own sandbox (`--no-sandbox`) do not work inside."""
