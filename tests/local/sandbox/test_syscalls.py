"""The filter as a table: what becomes of each call, on each machine, as its instructions say."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from runloop_local.sandbox import seccomp, syscalls
from runloop_local.sandbox.syscalls import Action

KINDS = {  # a program's architecture, which column its numbers are in, and the machine that runs it
    "x86-64": (0xC000003E, 0, "x86_64"),
    "x86": (0x40000003, 1, "x86_64"),
    "aarch64": (0xC00000B7, 2, "aarch64"),
}
NEW_USERS, NEW_MOUNTS, NEW_NETWORK = 0x10000000, 0x20000, 0x40000000
NAMED = {name: numbers for group in syscalls.REFUSED for name, numbers in group.calls.items()}


def _instruction(code: bytes, place: int) -> tuple[int, int, int, int]:
    operation, yes, no, value = struct.unpack_from("HBBI", code, 8 * place)
    return operation, yes, no, value


def action(code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would do: its machine has an accumulator and jumps forward."""
    given = struct.pack("IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    accumulator = place = 0
    while True:
        operation, yes, no, value = _instruction(code, place)
        place += 1
        if operation == 0x20:
            [accumulator] = struct.unpack_from("I", given, value)
        elif operation == 0x06:
            return value
        elif operation == 0x05:
            place += value
        else:
            met = {
                0x15: accumulator == value,
                0x25: accumulator > value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }
            place += yes if met[operation] else no


def ask(kind: str, call: int, *arguments: int, one_account: bool = False) -> Action:
    architecture, _, machine = KINDS[kind]
    code = seccomp.program(seccomp.policy(one_account=one_account), machine)
    return Action(action(code, architecture, call, *arguments))


@pytest.mark.parametrize("one_account", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_each_refused_call_gets_its_answer(kind: str, one_account: bool) -> None:
    column = KINDS[kind][1]
    for group in syscalls.REFUSED:
        for name, numbers in group.calls.items():
            number = numbers[column]
            if number is not None:
                assert ask(kind, number, one_account=one_account) is group.action, name


@pytest.mark.parametrize("kind", KINDS)
def test_all_other_known_calls_happen(kind: str) -> None:
    column = KINDS[kind][1]
    first, end = syscalls.GAPS[column]
    checked = {check.numbers[column] for check in syscalls.CHECKS}
    refused = {numbers[column] for numbers in NAMED.values()}
    for number in {*range(syscalls.HIGHEST + 1)} - {*range(first, end)} - checked - refused:
        assert ask(kind, number) is Action.ALLOWED, number


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_known_is_not_there(kind: str) -> None:
    for number in (*range(*syscalls.GAPS[KINDS[kind][1]]), 467, 500, 10_000, 0x40000000, 0x40000000 | 250, 0xFFFFFFFF):
        assert ask(kind, number) is Action.ABSENT, number


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", 0xC00000B7), ("aarch64", 0x40000028)])
def test_programs_of_another_kind_have_no_calls(machine: str, architecture: int) -> None:
    assert action(seccomp.program(seccomp.policy(), machine), architecture, 0) == Action.ABSENT


def test_a_machine_that_is_not_known_is_refused() -> None:
    with pytest.raises(OSError, match="no system call filter for s390x"):
        seccomp.program(seccomp.policy(), "s390x")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "argument", "expected"),
    [
        ("clone", 0x11, Action.ALLOWED),  # fork
        ("clone", 0x7D0F00, Action.ALLOWED),  # a thread
        ("clone", 0x11 | NEW_USERS, Action.FORBIDDEN),
        ("clone", 0x11 | NEW_MOUNTS, Action.FORBIDDEN),
        ("clone", NEW_NETWORK, Action.FORBIDDEN),
        ("socket", 1, Action.ALLOWED),
        ("socket", 2, Action.ALLOWED),
        ("socket", 10, Action.ALLOWED),
        ("socket", 16, Action.ALLOWED),
        ("socket", 38, Action.NO_FAMILY),  # AF_ALG
        ("socket", 40, Action.NO_FAMILY),  # AF_VSOCK
        ("socket", 30, Action.NO_FAMILY),  # AF_TIPC
        ("socketpair", 1, Action.ALLOWED),
        ("socketpair", 30, Action.NO_FAMILY),
        ("socketpair", 40, Action.NO_FAMILY),
        ("personality", 0, Action.ALLOWED),
        ("personality", 0xFFFFFFFF, Action.ALLOWED),
        ("personality", 0x40000, Action.ALLOWED),
        ("personality", 0x400000, Action.FORBIDDEN),  # READ_IMPLIES_EXEC
    ],
)
def test_an_argument_decides(kind: str, call: str, argument: int, expected: Action) -> None:
    [check] = [check for check in syscalls.CHECKS if check.call == call]
    number = check.numbers[KINDS[kind][1]]
    assert number is not None
    assert ask(kind, number, argument) is expected
    assert ask(kind, number, 1 << 40 | argument) is expected  # the kernel looks at the lower half too


@pytest.mark.parametrize("call", range(22))
def test_no_socket_is_made_past_the_look_at_its_family(call: int) -> None:
    """32-bit x86 has a call for all that sockets do, whose own arguments are in memory."""
    makes_one = call in (1, 8)
    assert ask("x86", 102, call, 0x1000) is (Action.ABSENT if makes_one or not 0 < call < 21 else Action.ALLOWED)
    assert ask("x86", 102, 1 << 40 | call, 0x1000) is ask("x86", 102, call, 0x1000)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_devbox_with_one_account_makes_user_namespaces_and_nothing_else(kind: str) -> None:
    number = NAMED["unshare"][KINDS[kind][1]]
    assert number is not None
    assert ask(kind, number, NEW_USERS) is Action.FORBIDDEN
    assert ask(kind, number, NEW_USERS, one_account=True) is Action.ALLOWED
    for more in (NEW_MOUNTS, NEW_NETWORK, 0x80, 0x200):
        assert ask(kind, number, NEW_USERS | more, one_account=True) is Action.FORBIDDEN
        assert ask(kind, number, more, one_account=True) is Action.FORBIDDEN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("one_account", [False, True])
def test_only_the_agent_of_a_devbox_with_one_account_enters_user_namespaces_and_no_others(
    kind: str, one_account: bool
) -> None:
    number = NAMED["setns"][KINDS[kind][1]]
    assert number is not None
    expected = Action.ALLOWED if one_account else Action.FORBIDDEN
    assert ask(kind, number, 3, NEW_USERS, one_account=one_account) is expected
    for others in (0, NEW_MOUNTS, NEW_NETWORK, NEW_USERS | NEW_MOUNTS):
        assert ask(kind, number, 3, others, one_account=one_account) is Action.FORBIDDEN


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_devbox_with_one_account_pretends_to_change_owners(kind: str) -> None:
    for numbers in (*syscalls.OWNERS.values(), *syscalls.ACCOUNTS.values()):
        number = numbers[KINDS[kind][1]]
        if number is not None:
            assert ask(kind, number, one_account=True) is Action.DONE
            assert ask(kind, number) is Action.ALLOWED


def ask_on_this_machine(kind: str, name: str, *arguments: int, own_account: bool) -> Action | None:
    """None where the machine has no such call."""
    architecture, column, machine = KINDS[kind]
    checks = {check.call: check.numbers for check in (*syscalls.SET_ID, *syscalls.OTHER_PROCESSES)}
    number = {**checks, **NAMED, **syscalls.OWNERS, **syscalls.ATTRIBUTES, **syscalls.SET_ID_UNSEEN}[name][column]
    if number is None:
        return None
    code = seccomp.program(seccomp.policy_on_this_machine(own_account=own_account), machine)
    return Action(action(code, architecture, number, *arguments))


CREATE, READ = 0o100 | 0o1, 0
PATH, DIRECTORY = 0x7FFF0000, 0xFFFFFF9C


@pytest.mark.parametrize("own_account", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("chmod", (PATH, 0o755), Action.ALLOWED),
        ("chmod", (PATH, 0o1777), Action.ALLOWED),
        ("chmod", (PATH, 0o4755), Action.FORBIDDEN),
        ("chmod", (PATH, 0o2755), Action.FORBIDDEN),
        ("fchmod", (3, 0o644), Action.ALLOWED),
        ("fchmod", (3, 0o6000), Action.FORBIDDEN),
        ("fchmodat", (DIRECTORY, PATH, 0o755), Action.ALLOWED),
        ("fchmodat", (DIRECTORY, PATH, 0o4000), Action.FORBIDDEN),
        ("fchmodat2", (DIRECTORY, PATH, 0o4000, 0x1000), Action.FORBIDDEN),
        ("mknod", (PATH, 0o100644), Action.ALLOWED),
        ("mknod", (PATH, 0o104755), Action.FORBIDDEN),
        ("mknodat", (DIRECTORY, PATH, 0o104755), Action.FORBIDDEN),
        ("creat", (PATH, 0o4755), Action.FORBIDDEN),
        ("open", (PATH, CREATE, 0o644), Action.ALLOWED),
        ("open", (PATH, CREATE, 0o4755), Action.FORBIDDEN),
        ("open", (PATH, 0x410002, 0o4755), Action.FORBIDDEN),  # O_TMPFILE
        ("open", (PATH, READ, 0o4755), Action.ALLOWED),  # what is there without a file to make means nothing
        ("openat", (DIRECTORY, PATH, CREATE, 0o644), Action.ALLOWED),
        ("openat", (DIRECTORY, PATH, CREATE, 0o2755), Action.FORBIDDEN),
        ("openat", (DIRECTORY, PATH, READ, 0xFFFF), Action.ALLOWED),
        ("openat2", (DIRECTORY, PATH, PATH, 24), Action.ABSENT),
    ],
)
def test_no_file_of_this_machine_becomes_set_id(
    kind: str, call: str, arguments: tuple[int, ...], expected: Action, own_account: bool
) -> None:
    assert ask_on_this_machine(kind, call, *arguments, own_account=own_account) in (expected, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("prlimit64", (0, 7), Action.ALLOWED),
        ("prlimit64", (4711, 7), Action.FORBIDDEN),
        ("setpriority", (0, 0, 5), Action.ALLOWED),
        ("setpriority", (0, 4711, 5), Action.FORBIDDEN),
        ("setpriority", (2, 1000, 5), Action.FORBIDDEN),  # all of an account
        ("setpriority", (2, 0, 5), Action.FORBIDDEN),
        ("ioprio_set", (3, 0, 0), Action.FORBIDDEN),
        ("ioprio_set", (1, 0, 0), Action.ALLOWED),
        ("ioprio_set", (1, 4711, 0), Action.FORBIDDEN),
        ("sched_setaffinity", (4711, 8), Action.FORBIDDEN),
        ("sched_setscheduler", (4711, 0), Action.FORBIDDEN),
        ("sched_setparam", (4711,), Action.FORBIDDEN),
        ("sched_setattr", (4711,), Action.FORBIDDEN),
        ("chown", (PATH, 0, 0), Action.FORBIDDEN),
        ("fchownat", (DIRECTORY, PATH, 0, 0), Action.FORBIDDEN),
        ("setxattr", (PATH,), Action.NO_ATTRIBUTES),
        ("fremovexattr", (3,), Action.NO_ATTRIBUTES),
        ("keyctl", (0,), Action.FORBIDDEN),
    ],
)
def test_the_services_own_account_is_held_by_the_filter_and_another_by_the_kernel(
    kind: str, call: str, arguments: tuple[int, ...], expected: Action
) -> None:
    assert ask_on_this_machine(kind, call, *arguments, own_account=False) in (expected, None)
    assert ask_on_this_machine(kind, call, *arguments, own_account=True) in (
        Action.FORBIDDEN if call in NAMED else Action.ALLOWED,
        None,
    )


HEADERS = {
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"): 0,
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_32.h"): 1,
    Path("/usr/include/asm-generic/unistd.h"): 2,
}


@pytest.mark.parametrize("header", [pytest.param(path, id=path.name) for path in HEADERS if path.is_file()])
def test_numbers_are_those_of_the_kernels_headers(header: Path) -> None:
    """What newer kernels have may be missing from a header, never different."""
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    known = {name: int(number) for name, number in found}
    tables = (NAMED, syscalls.OWNERS, syscalls.ACCOUNTS, syscalls.ATTRIBUTES, syscalls.SET_ID_UNSEEN)
    checks = (
        *syscalls.CHECKS,
        syscalls.ENTER_USER_NAMESPACE,
        syscalls.USER_NAMESPACE,
        *syscalls.SET_ID,
        *syscalls.OTHER_PROCESSES,
    )
    numbered = [pair for table in tables for pair in table.items()] + [(check.call, check.numbers) for check in checks]
    for name, numbers in numbered:
        number = numbers[HEADERS[header]]
        assert known.get(name, number) == number, name
        assert number is not None or name not in known, name


def test_each_difference_from_docker_has_its_reason_in_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs/security.md").read_text()
    for each in syscalls.DIFFERENCES:
        assert all((each.calls, each.docker, each.here, each.reason))
        assert f"| {each.calls} | {each.docker} | {each.here} | {each.reason} |" in page
    told = " ".join(each.calls for each in syscalls.DIFFERENCES)
    for check in syscalls.CHECKS:
        assert check.call in told or check.call == "clone"
