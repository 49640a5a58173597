"""A filter under which changing owners and accounts succeeds without effect.

Without privileges a user namespace has one account, and package managers give up when they cannot chown. This is a
convenience and no boundary.
"""

from __future__ import annotations

import ctypes
import struct

from runloop_local.sandbox import linux

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _SUCCEED = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with errno 0
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET = 0, 4
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

# chown, fchown, lchown, fchownat; set(re)(res)(fs)uid and gid, setgroups
_X86_64 = (92, 93, 94, 260, 105, 106, 113, 114, 116, 117, 119, 122, 123)
_GENERIC = (54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159)
_AUDIT_X86_64, _AUDIT_AARCH64 = 0xC000003E, 0xC00000B7


def program(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """The filter's instructions: these calls of this architecture succeed, all others happen."""
    count = len(numbers)
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_JUMP_IF_EQUAL, 0, count + 1, architecture),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        *((_JUMP_IF_EQUAL, count - index, 0, number) for index, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _SUCCEED),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def pretend_ownership() -> None:
    """Put this process and its children under the filter."""
    arguments = (_AUDIT_X86_64, _X86_64) if linux.is_x86_64() else (_AUDIT_AARCH64, _GENERIC)
    code = ctypes.create_string_buffer(program(*arguments))
    length = (len(code) - 1) // 8
    pointer = ctypes.create_string_buffer(struct.pack("HxxxxxxP", length, ctypes.addressof(code)))
    linux.no_new_privileges()
    linux.call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(pointer), 0, 0)
