"""Run a program on a terminal of its own: what it prints there goes to stdout, its exit code is this one's.

`-c PROGRAM COLUMNS LINES MODE COMMAND...`. With the mode `both` the terminal is the program's input as well, and its
controlling terminal; with `output` its input is what it is here, and it can ask nobody. However this process ends, what
it started ends with it: a signal to it goes on to the program, and a keeper outside of its process group notices that
it was killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time
from typing import NoReturn

CONCEAL, REVEAL = b"\x1b[8m", b"\x1b[28m"
"""Told on stderr: what is typed from now on is not shown, as a password's; and that it is again."""
_SILENCE = 0.05  # seconds in which what an ended program printed arrives
_GRACE = 0.5  # seconds of waiting after which what others go on printing is left
_MOST_LATE = 1 << 20  # bytes of it: a terminal keeps fewer
_LOOK = 0.1  # seconds between two looks at how it reads its input
_PIECE = 65536
_END_OF_INPUT = b"\x04"
_INPUT_IS_UTF8 = 0x4000
_INTERACTIVE = "both"


def main(arguments: list[str]) -> int:
    """Run the command on a terminal; the exit code."""
    columns, lines, mode = int(arguments[0]), int(arguments[1]), arguments[2]
    keeper = _keeper()
    control, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    attributes = termios.tcgetattr(terminal)
    attributes[0] |= _INPUT_IS_UTF8  # so that erasing takes a whole character
    attributes[1] &= ~termios.ONLCR  # lines end as in any other output
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if not child:
        _become(arguments[3:], terminal, mode == _INTERACTIVE)
    os.write(keeper, b"%d\n" % child)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda number, _: _signal(child, number))
    code = Relay(child, control, terminal, woken, mode == _INTERACTIVE).run()
    os.write(keeper, b".")
    return code


class Relay:
    """Between this process's standard descriptors and the terminal."""

    def __init__(self, child: int, control: int, terminal: int, woken: int, interactive: bool) -> None:
        self._child = child
        self._control = control
        self._terminal = terminal
        self._woken = woken
        self._input = interactive
        self._watches_input = interactive
        self._typed = b""
        self._echo = b""
        """What the terminal will show of what was typed: whoever typed it has seen it."""
        self._conceals = False
        os.set_blocking(control, False)

    def run(self) -> int:
        """Pass on until the program has ended; its exit code."""
        while True:
            readable = [self._control, self._woken] + ([0] if self._input else [])
            ready, writable, _ = select.select(
                readable, [self._control] if self._typed else [], [], _LOOK if self._watches_input else None
            )
            if self._control in ready:
                self._print()
            if 0 in ready:
                self._read()
            if writable:
                self._type()
            if self._watches_input:
                self._look()
            if self._woken in ready:
                os.read(self._woken, 512)
                ended, status = os.waitpid(self._child, os.WNOHANG)
                if ended:
                    self._drain()
                    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _print(self) -> int:
        """Pass on what was printed; how much it is, or -1 when the terminal has been closed."""
        try:
            data = os.read(self._control, _PIECE)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:  # Linux's end of a terminal
                raise
            return -1
        shown = data
        if self._echo:
            common = _common(data, self._echo)
            shown, self._echo = data[common:], self._echo[common:] if common == len(data) else b""
        while shown:
            shown = shown[os.write(1, shown) :]
        return len(data) or -1

    def _read(self) -> None:
        data = os.read(0, _PIECE)
        self._input = bool(data)
        self._typed += data
        self._type()

    def _type(self) -> None:
        if not self._typed:
            return
        echoes = termios.tcgetattr(self._terminal)[3] & termios.ECHO
        try:
            count = os.write(self._control, self._typed)
        except BlockingIOError:
            return
        self._echo += self._typed[:count] if echoes else b""
        self._typed = self._typed[count:]

    def _look(self) -> None:
        """Tell whether what is typed is shown; and end each reading once the input has ended."""
        modes = termios.tcgetattr(self._terminal)[3]
        reads_lines = bool(modes & termios.ICANON)
        conceals = reads_lines and not modes & termios.ECHO
        if conceals != self._conceals:
            self._conceals = conceals
            os.write(2, CONCEAL if conceals else REVEAL)
        if reads_lines and not self._input and not self._typed and not select.select([self._terminal], [], [], 0)[0]:
            os.write(self._control, _END_OF_INPUT)

    def _drain(self) -> None:
        """Pass on what the program printed last; others may hold the terminal open for ever."""
        os.close(self._terminal)
        waited, left = 0.0, _MOST_LATE
        while waited < _GRACE and left > 0:
            before = time.monotonic()
            if not select.select([self._control], [], [], _SILENCE)[0]:
                return
            waited += time.monotonic() - before  # not what it takes to pass it on
            count = self._print()
            if count < 0:
                return
            left -= count


def _common(first: bytes, second: bytes) -> int:
    """With how many equal bytes both begin."""
    return next((at for at, pair in enumerate(zip(first, second)) if pair[0] != pair[1]), min(len(first), len(second)))


def _keeper() -> int:
    """A process that kills the group whose number it is told when this process has gone without a dot."""
    told, tell = os.pipe()
    if os.fork():
        os.close(told)
        return tell
    try:
        os.setsid()
        os.dup2(told, 0)
        os.closerange(1, 256)
        data = b""
        while piece := os.read(0, 64):
            data += piece
        if data and not data.endswith(b"."):
            _signal(int(data), signal.SIGKILL)
    finally:
        os._exit(0)


def _become(command: list[str], terminal: int, interactive: bool) -> NoReturn:
    """In a forked child: the program, in a session of its own."""
    try:
        os.setsid()
        if interactive:  # else nothing asks at /dev/tty, where nobody answers
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            os.dup2(terminal, 0)
        os.dup2(terminal, 1)
        os.dup2(terminal, 2)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 - the program is the caller's
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _signal(child: int, number: int) -> None:
    """Send a signal to the program and what it started."""
    try:
        os.killpg(child, number)
    except ProcessLookupError:  # before it leads a group, or after its end
        try:
            os.kill(child, number)
        except ProcessLookupError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
