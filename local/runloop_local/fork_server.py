"""The process of the fork server for sandboxes: it imports what it needs while the service imports the rest of itself.

Imports from the standard library only, as it is the first thing that the service starts.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = Path(__file__).resolve().parent

# It loads these files only: no package's __init__, no site-packages, nothing named by the environment.
_BOOTSTRAP = """
import sys, types
for name, folder in (("runloop_local", sys.argv[1]), ("runloop_local.sandbox", sys.argv[1] + "/sandbox")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from runloop_local.sandbox import zygote
zygote.main(int(sys.argv[2]))
"""


class ForkServer:
    """A process that waits on its socket to be told its driver and folder, and touches no file before.

    It ends when the socket is closed, which the end of a `with` block does.
    """

    def __init__(self) -> None:
        self.sock, theirs = socket.socketpair()
        try:
            self.process = _start(theirs.fileno())
        except OSError:
            self.sock.close()
            raise
        finally:
            theirs.close()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.sock.close()
        self.process.wait()

    def has_ended(self) -> bool:
        """True if it was killed."""
        return self.process.poll() is not None


def _start(control: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-IS", "-c", _BOOTSTRAP, str(_PACKAGE), str(control)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        argv, pass_fds=[control], env={}, stdin=quiet, stdout=quiet, start_new_session=True, cwd="/"
    )
