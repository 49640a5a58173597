"""The agent of a sandbox without namespaces, whose commands are plain processes, behind Landlock where possible."""

from __future__ import annotations

import errno
import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_local.sandbox import landlock, linux, processes, seccomp
from runloop_local.sandbox.agent import (
    Agent,
    AgentBackend,
    close_other_descriptors,
    refuse,
    request_limits,
    reset_signals,
)
from runloop_local.sandbox.uid_ranges import Claim, UidRanges

if TYPE_CHECKING:
    import socket

    from runloop_local.sandbox.frames import Message


_RUNTIME_FOLDERS = ("/run", "/tmp", "/var/tmp")  # noqa: S108 - to hide them


class PlainProcesses:
    """Runs sandboxes as plain processes; where the service is root, each one behind Landlock gets its own uid."""

    def __init__(self) -> None:
        self._ranges = UidRanges()

    def claim(self, request: Message) -> Claim:
        """Claim a uid for the sandbox: its disk's owner, unless another sandbox has that uid now."""
        if not request["landlock"]:
            return Claim()
        _filter()
        if os.getuid():
            return Claim()
        return Claim(self._ranges.take(Path(request["disk"]).stat().st_uid))

    def release(self, claim: Claim) -> None:
        """Release the sandbox's uid."""
        if claim.first_uid:
            self._ranges.release(claim.first_uid)

    def start(self, request: Message, claim: Claim, service: socket.socket, _helper: socket.socket) -> int:
        """Fork the agent of a sandbox; returns its pid."""
        pid = os.fork()
        if not pid:
            try:
                self._run(request, claim, service)
            except OSError as error:
                refuse(service, error)
            finally:
                os._exit(0)
        return pid

    def _run(self, request: Message, claim: Claim, sock: socket.socket) -> None:
        """Serve one sandbox whose files are in the request's `disk`."""
        reset_signals()
        os.umask(0o022)
        # A sandbox must not inherit descriptors of the service, the helper or other sandboxes.
        close_other_descriptors(sock.fileno())
        if sys.platform == "linux":
            linux.confine(request)
        elif request["nice"]:
            os.nice(request["nice"])
        disk = request["disk"]
        backend = AgentBackend(
            become=_keep_uid, signal_all=_signal_groups, end_all=_end_groups, rlimits=request_limits(request)
        )
        if sys.platform == "linux":
            linux.become_subreaper()
            _chown_disk(disk, claim.first_uid or os.getuid())
            if claim.first_uid:
                _hide_host_folders(disk)
            linux.drop_capabilities()
            if request["landlock"]:
                _confine(disk, claim.first_uid)
            backend = AgentBackend(
                _keep_uid,
                _signal_descendants,
                _end_descendants,
                backend.rlimits,
                load=_load,
                cpus=request["cpus"],
                fork=linux.fork,
            )
        os.chdir(disk)
        Agent(sock, backend).serve()


@cache
def _filter() -> seccomp.Filter:
    """The seccomp filter of all sandboxes, compiled once in the helper process, before it forks."""
    return seccomp.Filter(seccomp.policy_on_this_machine(own_account=os.getuid() == 0))


def _confine(disk: str, own_account: int) -> None:
    calls = _filter()
    landlock.restrict(disk)
    if own_account:
        linux.become(own_account)
    calls.apply()


def _chown_disk(disk: str, uid: int) -> None:
    """Give the disk to this uid, which may differ from the last run's: that may be another sandbox's by now."""
    if os.getuid() == 0 and Path(disk).stat().st_uid != uid:
        status = os.spawnlp(os.P_WAIT, "chown", "chown", "-RhP", f"{uid}:{uid}", disk)  # noqa: S606 - argv is ours
        if status:
            raise OSError(errno.EPERM, f"the disk cannot be given to account {uid}")


def _hide_host_folders(disk: str) -> None:
    """Make the disk reachable for another uid, and hide the folders in which daemons keep their sockets.

    The topmost parent that other accounts cannot traverse, and the daemons' folders, are masked by a read-only tmpfs
    that contains nothing but the mount point of the disk.
    """
    try:
        linux.unshare(linux.NEW_MOUNTS)
    except OSError as error:
        raise OSError(error.errno, "Landlock for root needs the right to mount, for an account per devbox") from error
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    held = os.open(disk, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # before its parents are masked
    masked = [folder for folder in _RUNTIME_FOLDERS if Path(folder).is_dir()]
    masked += [folder for folder in _untraversable_parent(disk) if not any(map(Path(folder).is_relative_to, masked))]
    flags = linux.NO_SUID | linux.NO_DEV
    for folder in masked:
        linux.mount("tmpfs", folder, "tmpfs", flags, "mode=755,size=64k")
    Path(disk).mkdir(parents=True, exist_ok=True)
    linux.mount(f"/proc/self/fd/{held}", disk, None, linux.BIND)
    os.close(held)
    linux.mount(None, disk, None, linux.BIND | linux.REMOUNT | flags)
    for folder in masked:
        linux.mount(None, folder, None, linux.BIND | linux.REMOUNT | linux.READ_ONLY | flags)


def _untraversable_parent(disk: str) -> list[str]:
    """The topmost parent that other accounts cannot traverse; masking it masks those below."""
    return [str(above) for above in reversed(Path(disk).parents) if not above.stat().st_mode & 0o001][:1]


def _keep_uid(_user: str) -> None:
    """Do nothing: commands run under the agent's own uid."""


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
