"""The agent of a sandbox without namespaces: plain processes below it, behind Landlock where Linux has it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from runloop_local.sandbox import landlock, linux, processes
from runloop_local.sandbox.agent import Agent, Place, request_limits

if TYPE_CHECKING:
    import socket

    from runloop_local.sandbox.frames import Message


def run(request: Message, sock: socket.socket) -> None:
    """Serve one sandbox whose files are in the request's `disk`."""
    os.umask(0o022)
    os.chdir(request["disk"])
    place = Place(become=_stay, signal_all=_signal_groups, end_all=_end_groups, rlimits=request_limits(request))
    if sys.platform == "linux":
        linux.become_subreaper()
        linux.drop_capabilities()
        if request["landlock"]:
            landlock.restrict(request["disk"])
        place = Place(_stay, _signal_descendants, _end_descendants, place.rlimits, load=_load)
    Agent(sock, place).serve()


def _stay(_user: str) -> None:
    """There is one account only: that of the service."""


def _signal_groups(number: int, groups: set[int]) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            continue  # it has ended, or consists of zombies


def _end_groups(groups: set[int]) -> None:
    _signal_groups(signal.SIGKILL, groups)


def _signal_descendants(number: int, _groups: set[int]) -> None:
    for pid in processes.descendants(os.getpid()):
        processes.kill(pid, number)


def _load() -> tuple[int, int]:
    return processes.load(processes.descendants(os.getpid()))


def _end_descendants(_groups: set[int]) -> None:
    processes.end_children()
