"""Runs a program on a pseudo-terminal: passes its output on to stdout, and ends with its exit code.

`-c PROGRAM COLUMNS LINES MODE COMMAND...`. With the mode `both` the terminal is also the program's input and its
controlling terminal; with `output` the program has this process's input, and cannot ask anything. However this process
ends, the program ends with it: signals are forwarded, and a watchdog outside its process group notices if it is killed.
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
"""Written to stderr: from now on input is not to be shown, as for a password; and that it is again."""
_SILENCE = 0.05  # seconds without output after which an ended program's output is complete
_GRACE = 0.5  # seconds of waiting after which output of other processes is left unread
_MAX_DRAINED = 1 << 20  # bytes that are read after the end
_POLL_INTERVAL = 0.1  # seconds between two checks of how the program reads its input
_PIECE = 65536
_END_OF_INPUT = b"\x04"
_INPUT_IS_UTF8 = 0x4000
_INTERACTIVE = "both"


def main(arguments: list[str]) -> int:
    """Run the command on a terminal; returns the exit code."""
    columns, lines, mode = int(arguments[0]), int(arguments[1]), arguments[2]
    watchdog = _start_watchdog()
    control, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    attributes = termios.tcgetattr(terminal)
    attributes[0] |= _INPUT_IS_UTF8  # so that Backspace erases a whole character
    attributes[1] &= ~termios.ONLCR  # lines end in \n, as in any other output
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if not child:
        _exec(arguments[3:], terminal, mode == _INTERACTIVE)
    os.write(watchdog, b"%d\n" % child)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda number, _: _signal(child, number))
    code = Relay(child, control, terminal, woken, mode == _INTERACTIVE).run()
    os.write(watchdog, b".")
    return code


class Relay:
    """Passes data between this process's standard descriptors and the terminal."""

    def __init__(self, child: int, control: int, terminal: int, woken: int, interactive: bool) -> None:
        self._child = child
        self._control = control
        self._terminal = terminal
        self._woken = woken
        self._input = interactive
        self._watches_input = interactive
        self._typed = b""
        self._echo = b""
        """Input that the terminal will echo; the user's front end has shown it already."""
        self._conceals = False
        os.set_blocking(control, False)

    def run(self) -> int:
        """Pass data on until the program has ended; returns its exit code."""
        while True:
            readable = [self._control, self._woken] + ([0] if self._input else [])
            ready, writable, _ = select.select(
                readable, [self._control] if self._typed else [], [], _POLL_INTERVAL if self._watches_input else None
            )
            if self._control in ready:
                self._print()
            if 0 in ready:
                self._read()
            if writable:
                self._type()
            if self._watches_input:
                self._check_modes()
            if self._woken in ready:
                os.read(self._woken, 512)
                ended, status = os.waitpid(self._child, os.WNOHANG)
                if ended:
                    self._drain()
                    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _print(self) -> int:
        """Pass on output; returns the number of bytes, -1 if the terminal has been closed."""
        try:
            data = os.read(self._control, _PIECE)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:  # the end of a terminal on Linux
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

    def _check_modes(self) -> None:
        """Report whether input is to be shown, and end the program's input once our own has ended."""
        modes = termios.tcgetattr(self._terminal)[3]
        reads_lines = bool(modes & termios.ICANON)
        conceals = reads_lines and not modes & termios.ECHO
        if conceals != self._conceals:
            self._conceals = conceals
            os.write(2, CONCEAL if conceals else REVEAL)
        if reads_lines and not self._input and not self._typed and not select.select([self._terminal], [], [], 0)[0]:
            os.write(self._control, _END_OF_INPUT)

    def _drain(self) -> None:
        """Pass on the program's last output; other processes may keep the terminal open for ever."""
        os.close(self._terminal)
        waited, left = 0.0, _MAX_DRAINED
        while waited < _GRACE and left > 0:
            before = time.monotonic()
            if not select.select([self._control], [], [], _SILENCE)[0]:
                return
            waited += time.monotonic() - before  # without the time that it takes to pass it on
            count = self._print()
            if count < 0:
                return
            left -= count


def _common(first: bytes, second: bytes) -> int:
    """The length of the common prefix."""
    return next((at for at, pair in enumerate(zip(first, second)) if pair[0] != pair[1]), min(len(first), len(second)))


def _start_watchdog() -> int:
    """Fork a process that reads a group's id from a pipe, and kills the group if the pipe ends without a dot.

    Returns the end of the pipe to write to. It closes however this process ends, `kill -9` included.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(reader)
        return writer
    try:
        os.setsid()
        os.dup2(reader, 0)
        os.closerange(1, 256)
        data = b""
        while piece := os.read(0, 64):
            data += piece
        if data and not data.endswith(b"."):
            _signal(int(data), signal.SIGKILL)
    finally:
        os._exit(0)


def _exec(command: list[str], terminal: int, interactive: bool) -> NoReturn:
    """Run the program in a forked child, in a session of its own."""
    try:
        os.setsid()
        if interactive:  # otherwise without /dev/tty, at which nobody would answer
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
    """Send a signal to the program and all that it started."""
    try:
        os.killpg(child, number)
    except ProcessLookupError:  # it does not lead a group yet, or has ended
        try:
            os.kill(child, number)
        except ProcessLookupError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
