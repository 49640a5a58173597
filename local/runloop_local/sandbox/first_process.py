"""PID 1 of a sandbox in namespaces: it holds them and sleeps, and the kernel ends all other processes with it.

A page that is written to after a fork, on either side, is there twice. So it does as little as can be, and is forked
from a process that changes nothing of its memory: what the helper writes to between two forks would be 1 MB for each.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, NoReturn

from runloop_local.sandbox import linux
from runloop_local.sandbox.agent import close_other_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NUMBER, _REQUEST = struct.Struct("i"), struct.Struct("iii")
_ANCILLARY_BYTES = 256
_ENTERED = b"e"


class FirstProcesses:
    """A process that forks the first processes of sandboxes, as children of its parent."""

    def __init__(self, build: Callable[..., NoReturn]) -> None:
        """`build` sets a sandbox up, in a process beside the first one: it gets a socket to that, and descriptors."""
        self._socket, theirs = socket.socketpair()
        # Its parent's signal alone would miss a parent that ends before a first process asks for that.
        until_end, self._lives = os.pipe()
        self.pid = linux.fork()
        if not self.pid:
            _serve(theirs, until_end, build)
        theirs.close()
        os.close(until_end)

    def fork(self, namespaces: int, groups: Sequence[int], descriptors: Sequence[int]) -> int:
        """Fork one into new namespaces of these kinds; returns its pid.

        `groups` are files by which it enters its control groups, `descriptors` are for the process that builds.
        """
        try:
            passed = [*groups, *descriptors]
            socket.send_fds(self._socket, [_REQUEST.pack(namespaces, len(groups), len(passed))], passed)
            answer = self._socket.recv(_NUMBER.size)
        except ConnectionError:
            answer = b""
        if not answer:
            sys.exit("The process that starts sandboxes was killed.")  # the service then has another helper
        pid: int = _NUMBER.unpack(answer)[0]
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid


def _serve(requests: socket.socket, until_end: int, build: Callable[..., NoReturn]) -> NoReturn:
    try:
        close_other_descriptors(requests.fileno(), until_end)
        linux.die_with_parent(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        linux.set_signal(signal.SIGINT)
        linux.set_signal(signal.SIGCHLD, ignored=True)
        gc.disable()
        while True:
            data, ancillary, _, _ = requests.recvmsg(_REQUEST.size, _ANCILLARY_BYTES)
            if not data:
                break
            namespaces, groups, count = _REQUEST.unpack(data)
            passed = _descriptors(ancillary)
            try:
                if len(passed) < count:
                    raise OSError(errno.EMFILE, "")
                pid = linux.fork(namespaces | linux.FOR_PARENT)
            except OSError as error:
                pid = -(error.errno or 1)
            if not pid:
                _become_first(build, until_end, passed[:groups], passed[groups:])
            requests.send(_NUMBER.pack(pid))
            for fd in passed:
                os.close(fd)
    finally:
        os._exit(0)


def _become_first(
    build: Callable[..., NoReturn], until_end: int, groups: Iterable[int], passed: Iterable[int]
) -> NoReturn:
    try:
        for file in groups:  # before the first fork: what is forked from here on is counted, and ends with the group
            os.write(file, b"0")
        ours, theirs = socket.socketpair()
        linux.set_signal(signal.SIGCHLD)  # this child is waited for
        builder = linux.fork()
        if not builder:
            ours.close()
            build(theirs, *passed)
        theirs.close()
        count, ancillary, _, _ = ours.recvmsg(1, _ANCILLARY_BYTES)
        namespaces = _descriptors(ancillary)
        if count and len(namespaces) == count[0]:  # else that process has failed
            for namespace in namespaces:
                linux.enter(namespace, 0)
            if os.getuid():  # nobody, in a user namespace that maps other accounts
                linux.become(0)
            # As the agent, although its memory is of before the first request.
            linux.make_undumpable()
            linux.die_with_parent(signal.SIGKILL)
            ours.send(_ENTERED)
            os.waitpid(builder, 0)
            linux.set_signal(signal.SIGCHLD, ignored=True)
            # Also the handover's socket, by which the helper hears that nothing else runs here.
            close_other_descriptors(until_end)
            os.read(until_end, 1)  # it ends when the helper does, and nobody writes to it
    finally:
        os._exit(1)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> memoryview[int]:
    return memoryview(ancillary[0][2] if ancillary else b"").cast("i")


def settle(first: socket.socket, namespaces: list[int]) -> bool:
    """Hand namespaces to the first process; returns True once it has entered them."""
    socket.send_fds(first, [bytes([len(namespaces)])], namespaces)
    return first.recv(1) == _ENTERED
