"""The program of a command, with the account, root and limits that the calling process has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from runloop_local.sandbox import shells

if TYPE_CHECKING:
    from collections.abc import Sequence

_STANDARD = (0, 1, 2)


def start(argv: Sequence[str], cwd: str, environment: dict[str, str], standard: Sequence[int]) -> int:
    """Start this program in a session of its own, on these three descriptors; returns its pid.

    A forked child would copy what it touches of this process before it executes the program, which takes longer than
    all the rest. This process is paused instead until the program has been executed.
    """
    program = shells.find(argv[0]) if shells.is_one(argv[0]) else argv[0]
    environment = _with_shell(environment)
    files = [(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in zip(standard, _STANDARD, strict=True)]
    os.chdir(cwd)
    try:
        path = program if "/" in program else _looked_up(program, environment)
        return os.posix_spawn(path, [program, *argv[1:]], environment, file_actions=files, setsid=True)
    finally:
        os.chdir("/")


def _looked_up(program: str, environment: dict[str, str]) -> str:
    """The path of a program by the PATH of its environment; the name itself if it is not there."""
    paths = (os.path.join(folder, program) for folder in os.get_exec_path(environment))  # noqa: PTH118 - names, no paths
    return next((path for path in paths if os.access(path, os.X_OK)), program)


def become(argv: Sequence[str], cwd: str, environment: dict[str, str]) -> NoReturn:
    """Execute this program; on failure write the reason to stderr and exit with 127 or 126, as a shell does."""
    program, *arguments = argv
    if shells.is_one(program) and not (program := shells.find(program)):
        os.write(2, f"{shells.missing(argv[0])}\n".encode())
        os._exit(127)
    try:
        os.chdir(cwd)
    except OSError as error:
        _give_up(f"{cwd}: {os.strerror(error.errno or 0)}", error)
    try:
        os.execvpe(program, [program, *arguments], _with_shell(environment))  # noqa: S606 - that is its purpose
    except OSError as error:
        _give_up(shells.not_started(program, error), error)


def _give_up(said: str, error: OSError) -> NoReturn:
    os.write(2, f"{said}\n".encode(errors="replace"))
    os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _with_shell(environment: dict[str, str]) -> dict[str, str]:
    return environment if "SHELL" in environment else {**environment, "SHELL": shells.find(shells.LOGIN)}
