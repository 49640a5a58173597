"""Compiles the tables of `syscalls` to seccomp filters (BPF)."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import TYPE_CHECKING, NamedTuple

from runloop_local.sandbox import linux, syscalls
from runloop_local.sandbox.syscalls import Action, Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOAD, _JUMP, _RETURN = 0x20, 0x05, 0x06
_IF_EQUAL, _IF_NOT_LESS, _IF_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_X86_64, _X86, _GENERIC = range(3)
_MACHINES = {
    "x86_64": {0xC000003E: _X86_64, 0x40000003: _X86},
    "aarch64": {0xC00000B7: _GENERIC},
    "riscv64": {0xC00000F3: _GENERIC},
    "loongarch64": {0xC0000102: _GENERIC},
}
"""The audit architectures of the programs that a machine runs, and the column of their system call numbers."""


class Policy(NamedTuple):
    """The rules of a filter; every other known call is allowed."""

    refused: Mapping[Action, tuple[syscalls.Numbers, ...]]
    checks: tuple[Check, ...]


def policy(*, one_account: bool = False) -> Policy:
    """The policy for devboxes in namespaces; with a single uid, changes of owners pretend to succeed."""
    refused = _refused()
    if not one_account:
        return _policy(refused, syscalls.CHECKS)
    refused[Action.DONE] = [*syscalls.OWNERS.values(), *syscalls.ACCOUNTS.values()]
    return _policy(refused, (*syscalls.CHECKS, syscalls.ENTER_USER_NAMESPACE, syscalls.USER_NAMESPACE))


def policy_on_this_machine(*, own_account: bool) -> Policy:
    """The policy for devboxes without namespaces; stricter if their uid is the service's, not their own."""
    refused = _refused()
    refused[Action.ABSENT] += syscalls.SET_ID_UNSEEN.values()
    checks = (*syscalls.CHECKS, *syscalls.SET_ID)
    if own_account:
        return _policy(refused, checks)
    refused[Action.FORBIDDEN] += syscalls.OWNERS.values()
    refused[Action.NO_ATTRIBUTES] = [*syscalls.ATTRIBUTES.values()]
    return _policy(refused, (*checks, *syscalls.OTHER_PROCESSES))


def _refused() -> dict[Action, list[syscalls.Numbers]]:
    refused: dict[Action, list[syscalls.Numbers]] = {}
    for group in syscalls.REFUSED:
        refused.setdefault(group.action, []).extend(group.calls.values())
    return refused


def _policy(refused: Mapping[Action, list[syscalls.Numbers]], checks: tuple[Check, ...]) -> Policy:
    return Policy({action: tuple(calls) for action, calls in refused.items()}, checks)


class _Instruction(NamedTuple):
    """An instruction or a label. The target of a jump is a label, or the number of instructions to skip."""

    code: int = 0
    value: int = 0
    yes: str | int = 0
    label: str = ""


def program(wanted: Policy, machine: str) -> bytes:
    """Compile a policy to BPF for a machine; raises OSError if its system calls are not known."""
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"there is no system call filter for {machine}")
    lines = [_Instruction(_LOAD, _ARCHITECTURE)]
    for architecture, column in _MACHINES[machine].items():
        block = [*_block(wanted, column)]
        length = sum(not line.label for line in block)
        lines += [_Instruction(_IF_EQUAL, architecture, yes=1), _Instruction(_JUMP, length), *block]
    # Programs of any other architecture have no calls at all: their numbers would mean other calls.
    return _assemble([*lines, _Instruction(_RETURN, Action.ABSENT)])


def _block(wanted: Policy, column: int) -> Iterator[_Instruction]:
    """The instructions for the calls of one architecture."""
    yield _Instruction(_LOAD, _NUMBER)
    yield from _search(_decisions(wanted, column), column)
    for check in wanted.checks:
        if check.numbers[column] is not None:
            yield _Instruction(label=f"{column} {check.call}")
            yield from _argument(check)


def _decisions(wanted: Policy, column: int) -> list[tuple[int, Action | Check]]:
    """The decisions as ranges, each given by its first call number; x32's numbers lie above all others."""
    known: dict[int | None, Action | Check] = {
        numbers[column]: action for action, calls in wanted.refused.items() for numbers in calls
    }
    known |= {check.numbers[column]: check for check in wanted.checks}
    known |= dict.fromkeys(range(*syscalls.GAPS[column]), Action.ABSENT)
    every = [known.get(number, Action.ALLOWED) for number in range(syscalls.HIGHEST + 1)] + [Action.ABSENT]
    return [(number, made) for number, made in enumerate(every) if not number or every[number - 1] != made]


def _search(decisions: list[tuple[int, Action | Check]], column: int) -> Iterator[_Instruction]:
    """A binary search over the ranges: on installation the kernel runs the filter once for every system call."""
    if len(decisions) == 1:
        [(_, made)] = decisions
        yield (
            _Instruction(_RETURN, made)
            if isinstance(made, Action)
            else _Instruction(_JUMP, yes=f"{column} {made.call}")
        )
        return
    middle = len(decisions) // 2
    lower = [*_search(decisions[:middle], column)]
    yield _Instruction(_IF_NOT_LESS, decisions[middle][0], yes=len(lower))
    yield from lower
    yield from _search(decisions[middle:], column)


def _argument(check: Check) -> Iterator[_Instruction]:
    """The instructions that check an argument: its lower 32 bits, which are all that the kernel uses of these."""
    if check.only_with is not None:
        other, bits = check.only_with
        yield _Instruction(_LOAD, _FIRST_ARGUMENT + 8 * other)
        yield _Instruction(_IF_ANY_BIT, bits, yes=1)
        yield _Instruction(_RETURN, Action.ALLOWED)
    if check.and_also is not None:
        other, value = check.and_also
        yield _Instruction(_LOAD, _FIRST_ARGUMENT + 8 * other)
        yield _Instruction(_IF_EQUAL, value, yes=1)
        yield _Instruction(_RETURN, check.action)
    yield _Instruction(_LOAD, _FIRST_ARGUMENT + 8 * check.argument)
    if check.bits:
        yield _Instruction(_IF_ANY_BIT, check.bits, yes=1)
        yield _Instruction(_RETURN, Action.ALLOWED)
        yield _Instruction(_RETURN, check.action)
        return
    for left, value in enumerate(reversed(check.values)):
        yield _Instruction(_IF_EQUAL, value, yes=len(check.values) - left)
    yield _Instruction(_RETURN, check.action)
    yield _Instruction(_RETURN, Action.ALLOWED)


def _assemble(lines: list[_Instruction]) -> bytes:
    labels: dict[str, int] = {}
    instructions: list[_Instruction] = []
    for line in lines:
        if line.label:
            labels[line.label] = len(instructions)
        else:
            instructions.append(line)
    return b"".join(_instruction(line, index, labels) for index, line in enumerate(instructions))


def _instruction(line: _Instruction, index: int, labels: Mapping[str, int]) -> bytes:
    if isinstance(line.yes, str):
        return struct.pack("HBBI", line.code, 0, 0, labels[line.yes] - index - 1)
    return struct.pack("HBBI", line.code, line.yes, 0, line.value)


class Filter:
    """A compiled filter, which can be installed with a single system call."""

    def __init__(self, wanted: Policy) -> None:
        code = program(wanted, platform.machine())
        self._code = ctypes.create_string_buffer(code, len(code))
        self._pointer = ctypes.create_string_buffer(
            struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(self._code))
        )

    def apply(self) -> None:
        """Install it for this process and its children; requires CAP_SYS_ADMIN or `linux.no_new_privileges`."""
        linux.call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(self._pointer), 0, 0)
