"""The pseudo-terminal of a command.

With namespaces the forked child opens it inside, so that `tty` and /dev/pts are right, and sends the master to the
service before it executes the program. Without, the service opens it and passes the slave in.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runloop_local.sandbox.frames import Message

_UNLOCK, _OPEN_PEER = 0x40045431, 0x5441  # TIOCSPTLCK, TIOCGPTPEER
_INPUT_IS_UTF8 = 0x4000
_FLAGS = os.O_RDWR | os.O_NOCTTY


def resize(file: int, rows: int, cols: int) -> None:
    """Set the size in characters; the foreground process group gets SIGWINCH."""
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def take(request: Message) -> None:
    """Make the terminal the controlling one; called in a forked child that leads its session.

    Its standard descriptors are the terminal already, or a socket over which to send the master of a new one.
    """
    wanted = request["terminal"]
    if wanted["open"]:
        _open_inside()
    attributes = termios.tcgetattr(0)
    attributes[0] |= _INPUT_IS_UTF8  # so that erasing takes a whole character
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    resize(0, wanted["rows"], wanted["cols"])
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _open_inside() -> None:
    # By hand, as openpty(3) might ask the name service, whose libraries are the sandbox's.
    control = os.open("/dev/ptmx", _FLAGS | os.O_CLOEXEC)
    fcntl.ioctl(control, _UNLOCK, struct.pack("i", 0))
    terminal = fcntl.ioctl(control, _OPEN_PEER, _FLAGS)
    with socket.socket(fileno=os.dup(0)) as service:
        socket.send_fds(service, [b"\0"], [control])
    for target in (0, 1, 2):
        os.dup2(terminal, target)
    os.close(terminal)
