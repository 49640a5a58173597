"""Make user namespaces in a process of its own, and print what became of them: `own_namespaces.py FUNCTION`."""

from __future__ import annotations

import array
import fcntl
import os
import sys
from pathlib import Path

from runloop_local.sandbox import linux, processes

_SIZE = 65536
_GET_OWNER_UID = 0xB704  # NS_GET_OWNER_UID


def for_another_account() -> None:
    """The owner; what this process is then, whether it has other rights than before, and what is left."""
    rights, files = _capabilities(), os.listdir("/proc/self/fd")
    namespace, owner = linux.user_namespace(f"0 200000 {_SIZE}", 200_000), array.array("I", [0])
    fcntl.ioctl(namespace, _GET_OWNER_UID, owner)
    os.close(namespace)
    _tell(owner[0], os.getresuid(), _capabilities() == rights)
    _tell(processes.children(os.getpid()), os.listdir("/proc/self/fd") == files)


def where_none_is_allowed() -> None:
    """The reason."""
    linux.enter_own_user_namespace()
    linux.write("/proc/sys/user/max_user_namespaces", "0")
    try:
        linux.user_namespace("0 0 1")
    except PermissionError as error:
        _tell(error.strerror)


def in_a_pid_namespace() -> None:
    """The account there, where /proc has other numbers than this process knows."""
    linux.enter_own_user_namespace()
    if not linux.fork(linux.NEW_PIDS):
        linux.enter(linux.user_namespace("7 0 1"), linux.NEW_USERS)
        _tell(os.getpid(), os.getuid())
        os._exit(0)
    os.wait()


def _tell(*facts: object) -> None:
    os.write(1, f"{' '.join(map(str, facts))}\n".encode())


def _capabilities() -> list[str]:
    return [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Cap")]


if __name__ == "__main__":
    {each.__name__: each for each in (for_another_account, where_none_is_allowed, in_a_pid_namespace)}[sys.argv[1]]()
