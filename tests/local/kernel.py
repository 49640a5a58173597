"""A process that holds a kernel's lock, as a kernel does."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.local.api import Api

_HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class LockHolder:
    """The process; it has ended at the end of the `with` block."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, code: str) -> None:
        """Run a line of Python in it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(code + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def fork(self) -> None:
        """Have it fork a child that inherits all it has open, and lives until the `with` block ends."""
        self.do("import select; poll = select.poll(); poll.register(0, 0); os.fork() or (poll.poll(), os._exit(0))")

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def holding(lock: str, before: Sequence[str] = ()) -> Iterator[LockHolder]:
    """A process, started through `before`, that holds a lock."""
    command = [*before, sys.executable, "-c", _HOLD, lock]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield LockHolder(process)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


async def registered(api: Api, name: str = "") -> dict[str, Any]:
    """A new kernel: its id, and the file to lock."""
    kernel: dict[str, Any] = await api.json("/local/kernels", {"name": name})
    return kernel
