"""What the standard library has for sockets in one way on Windows and in another elsewhere."""

from __future__ import annotations

import select
import sys


def is_readable(descriptor: int, milliseconds: int = 0) -> bool:
    """True once a socket has data, or was closed by the other side; False if that takes longer."""
    if sys.platform == "win32":
        return bool(select.select([descriptor], [], [], milliseconds / 1000)[0])
    poll = select.poll()  # elsewhere `select` refuses descriptors from 1,024 on
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(milliseconds))
