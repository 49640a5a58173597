"""Shows the product's own modules a Python as on Windows: names and modules that only POSIX has are gone.

Everything else, the interpreter, IPython and ipykernel included, goes on as on this system. Run as a program it starts
a kernel: `python -m tests.windows.as_windows -f CONNECTION_FILE`; with `serve` and the like it is `runloop-local`.
"""

from __future__ import annotations

import builtins
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

MODULE = "tests.windows.as_windows"
OWN = ("runloop_jupyter", "runloop_sdk", "runloop_local")
NO_MODULES = frozenset({"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"})
NO_NAMES = {
    "os": frozenset(
        (
            *(
                "O_CLOEXEC",
                "O_DIRECTORY",
                "O_NOCTTY",
                "O_NOFOLLOW",
                "O_NONBLOCK",
                "WNOHANG",
                "chown",
                "fchmod",
                "fchown",
            ),
            *("fork", "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg", "lchown", "mkfifo", "mknod"),
            *("openpty", "posix_fallocate", "posix_spawn", "pread", "pwrite", "register_at_fork", "setsid", "setuid"),
            *("statvfs", "sysconf", "uname", "wait"),
        )
    ),
    "select": frozenset(("epoll", "poll")),
    "signal": frozenset(
        (
            "SIGALRM",
            "SIGCHLD",
            "SIGHUP",
            "SIGKILL",
            "SIGPIPE",
            "SIGUSR1",
            "SIGUSR2",
            "SIGWINCH",
            "alarm",
            "pthread_kill",
        )
    ),
    "socket": frozenset(("AF_UNIX", "SCM_RIGHTS", "socketpair")),
}
BY_DESCRIPTOR = ("link", "mkdir", "open", "remove", "rename", "replace", "stat", "symlink", "unlink", "utime")
"""Functions of `os` that take no descriptor of a folder there, and `utime` none of a file."""


class Pretended(ModuleType):
    """A module without some of its names, and with some others."""

    def __init__(self, real: ModuleType, missing: frozenset[str] = frozenset(), **added: object) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _missing=missing, _added=added)

    def __getattr__(self, name: str) -> Any:
        if name in self._added:
            return self._added[name]
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


def pretend() -> None:
    """From now on the product's modules, none of which is imported yet, see Windows."""
    assert not [name for name in sys.modules if name.split(".")[0] in OWN]
    modules = _modules()
    real = builtins.__import__

    def imported(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - as `__import__` calls it
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and str((globals or {}).get("__name__")).split(".")[0] in OWN:
            if name in NO_MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in modules:
                return modules[name]
        return real(name, globals, locals, fromlist or (), level)

    builtins.__import__ = imported


def _modules() -> dict[str, ModuleType]:
    import select
    import signal
    import socket

    without = {each.__name__: Pretended(each, NO_NAMES[each.__name__]) for each in (select, signal, socket)}
    refusing = {name: _without_descriptors(getattr(os, name)) for name in BY_DESCRIPTOR}
    return {
        **without,
        "os": Pretended(os, NO_NAMES["os"], devnull="nul", O_BINARY=0, **refusing),
        "sys": Pretended(sys, platform="win32"),
        "msvcrt": _msvcrt(),
        "subprocess": Pretended(subprocess, CREATE_NEW_PROCESS_GROUP=0x200, CREATE_NO_WINDOW=0x8000000, Popen=_popen),
    }


def _without_descriptors(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*given: Any, **named: Any) -> Any:
        if {"dir_fd", "src_dir_fd", "dst_dir_fd"} & {name for name, value in named.items() if value is not None}:
            raise NotImplementedError(f"{function.__name__}: dir_fd unavailable on this platform")
        if function is os.utime and isinstance(given[0], int):
            raise TypeError("utime: path should be string, bytes or os.PathLike, not int")
        return function(*given, **named)

    return called


def _popen(command: list[str], *, creationflags: int = 0, **options: Any) -> subprocess.Popen[Any]:
    """Start a program, which sees Windows, too, if it is the service."""
    assert not {"pass_fds", "preexec_fn", "start_new_session"} & options.keys()
    if command[1:4] == ["-P", "-m", "runloop_local"]:
        command = [sys.executable, "-P", "-m", MODULE, *command[4:]]
    return subprocess.Popen(command, start_new_session=bool(creationflags), **options)


def _msvcrt() -> ModuleType:
    """Its locks, by those of this system: both belong to the opened file."""
    import fcntl

    made = ModuleType("msvcrt")
    unlock = 0

    def locking(descriptor: int, mode: int, nbytes: int) -> None:
        assert nbytes == 1
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN if mode == unlock else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error

    made.__dict__.update(LK_NBLCK=2, LK_UNLCK=unlock, locking=locking)
    return made


if __name__ == "__main__":
    pretend()
    if sys.argv[1] == "-f":
        from ipykernel import kernelapp

        kernelapp.launch_new_instance()
    else:
        from runloop_local.__main__ import main

        main()
