"""The fork server of the service: it has everything imported, so forking a sandbox's agent takes a few milliseconds.

There is one per service, single-threaded. It is controlled over an inherited socket and exits when that closes.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from runloop_local.sandbox import agent, frames, linux, plain, processes
from runloop_local.sandbox.cpus import CpuAllocator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runloop_local.sandbox.inside import IsolationDriver
    from runloop_local.sandbox.uid_ranges import Claim

_MAX_REQUEST = 1 << 20
_HIGHEST = 1 << 16  # more descriptors than this process ever has


@dataclass(frozen=True, slots=True)
class DriverOperations:
    """The operations of one isolation driver that the fork server runs."""

    run: Callable[[frames.Message, socket.socket, Claim], None]
    """Serve as a sandbox's agent, in a forked process."""
    claim: Callable[[frames.Message], Claim]
    """Allocate what a sandbox has for itself."""
    release: Callable[[Claim], None]
    """Release a claim."""
    as_owner: Callable[[], None] | None
    """Gain full access to the files of sandboxes, in a forked process; None if this process has it."""
    builders: Mapping[str, Callable[..., None]]
    """Builders of layers, by the name by which a tool is asked for, each run in a forked process."""
    fork: Callable[[], int] = os.fork
    """Fork the process that serves as a sandbox's agent."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What a running sandbox holds of this machine."""

    claim: Claim
    cpus: tuple[int, ...] = ()
    """The processors that it may use; empty if that is not limited."""


class Zygote:
    """Forks agents and tools, and reports their exit."""

    def __init__(self, control: socket.socket, driver: DriverOperations) -> None:
        self._control = control
        self._driver = driver
        self._children: dict[int, int] = {}  # pid -> the number of the request that started it
        self._held: dict[int, _Held] = {}  # pid -> what its sandbox holds
        self._cpus = CpuAllocator(os.sched_getaffinity(0)) if sys.platform == "linux" else None
        self._decoder = frames.Decoder(_MAX_REQUEST)
        self._operations = {"start": self._start, "tool": self._tool, "kill": self._kill}

    def serve(self) -> None:
        """Answer requests; returns when the service is gone."""
        agent.serve(self._control, self._receive, self._reap)

    def _receive(self) -> bool:
        data, descriptors = frames.receive(self._control)
        for request, passed in self._decoder.feed(data, descriptors):
            self._operations[request["op"]](request, passed)
            frames.close_all(passed)
        return bool(data)

    def _reap(self) -> None:
        for pid, status in agent.ended_children():
            number = self._children.pop(pid, None)
            if number is not None:
                # Before the reply, which tells the service that nothing of the sandbox runs any more.
                self._kill_orphans()
                self._release(self._held.pop(pid, None))
                frames.send(self._control, {"id": number, "status": status})

    def _kill_orphans(self) -> None:
        """Kill the orphans of an agent that was killed: this process is their subreaper."""
        if sys.platform == "linux":
            processes.end_children(keep=self._children)

    def _start(self, request: frames.Message, passed: list[int]) -> None:
        held = None
        # Duplicated, as `_receive` closes the descriptors of each request.
        with socket.socket(fileno=os.dup(passed[0])) as sock:
            try:
                held = self._take(request)
                pid = self._driver.fork()
            except OSError as error:
                agent.refuse(sock, error)
                # The uid range goes back at once: there is no child whose end would release it.
                self._release(held)
                self._report_failed_fork(request)
                return
            if not pid:
                self._become_agent(request, sock, held)
        self._children[pid] = request["id"]
        self._held[pid] = held

    def _take(self, request: frames.Message) -> _Held:
        claim = self._driver.claim(request)
        if self._cpus is None or "size" not in request:
            return _Held(claim)
        return _Held(claim, self._cpus.take(request["size"]["cpus"]))

    def _release(self, held: _Held | None) -> None:
        if held is None:
            return
        self._driver.release(held.claim)
        if self._cpus is not None:
            self._cpus.release(held.cpus)

    def _report_failed_fork(self, request: frames.Message) -> None:
        """Report that the fork failed; running sandboxes go on."""
        frames.send(self._control, {"id": request["id"], "status": 1})

    def _become_agent(self, request: frames.Message, sock: socket.socket, held: _Held) -> NoReturn:
        status = 1
        try:
            agent.reset_signals()
            # Before anything else runs: what is forked from here on is counted, and ends with the group.
            _enter_groups(request)
            # A sandbox must not inherit descriptors of the service, the helper or other sandboxes.
            own = close_other_descriptors(sock, held.claim.descriptors)
            self._driver.run({**request, "cpus": held.cpus}, own, held.claim)
            status = 0
        except OSError as error:
            agent.refuse(sock, error)
        finally:
            os._exit(status)

    def _tool(self, request: frames.Message, passed: list[int]) -> None:
        """Run a trusted program, or build a layer; `passed` are its stderr, stdin and stdout, or the first of these."""
        try:
            pid = self._fork_tool(request["argv"], passed)
        except OSError as error:
            os.write(passed[0], agent.reason(error).encode())
            self._report_failed_fork(request)
            return
        if not pid:
            self._become_tool(request, passed)
        self._children[pid] = request["id"]

    def _fork_tool(self, argv: list[str], passed: list[int]) -> int:
        if self._driver.as_owner is not None or argv[0] in self._driver.builders:
            return os.fork()
        # Without a copy of this process: a third of the time.
        standard = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in zip((2, 0, 1), passed, strict=False)]
        return os.posix_spawnp(
            argv[0], argv, os.environ, file_actions=standard, setsigmask=(), setsigdef=agent.ALTERED_SIGNALS
        )

    def _become_tool(self, request: frames.Message, passed: list[int]) -> NoReturn:
        status = 1
        try:
            agent.reset_signals()
            for standard, fd in zip((2, 0, 1), passed, strict=False):
                os.dup2(fd, standard)
            name, *arguments = request["argv"]
            if name in self._driver.builders:
                self._driver.builders[name](*arguments)
                status = 0
            else:
                if self._driver.as_owner is not None:
                    self._driver.as_owner()
                os.execvp(request["argv"][0], request["argv"])  # noqa: S606 - argv is ours
        except OSError as error:
            os.write(2, str(error).encode(errors="replace"))
        finally:
            os._exit(status)

    def _kill(self, request: frames.Message, _passed: list[int]) -> None:
        for pid in [pid for pid, number in self._children.items() if number == request["target"]]:
            # Not reaped yet, as `_reap` takes it out of the table: the number cannot be another process's.
            os.kill(pid, signal.SIGKILL)


def close_other_descriptors(sock: socket.socket, keep: tuple[int, ...]) -> socket.socket:
    """Close all descriptors but the socket, the standard ones and those to keep; returns the socket."""
    # In ranges between those to keep: there may be tens of thousands, most of which were never open.
    previous = 2
    for fd in (*sorted({sock.fileno(), *keep}), _HIGHEST):
        os.closerange(previous + 1, fd)
        previous = fd
    return sock


def main(control: int, driver: str, folder: str) -> None:
    """Serve on an inherited descriptor, with this driver for the sandboxes in `folder`."""
    sock = socket.socket(fileno=control)
    sock.set_inheritable(False)
    try:
        if sys.platform == "linux":
            linux.become_subreaper()
            linux.set_title("runloop-local sandboxes")
        operations = _operations_of(driver, folder)
    except OSError as error:
        agent.refuse(sock, error)
        return
    Zygote(sock, operations).serve()


def _operations_of(driver: str, folder: str) -> DriverOperations:
    if driver == "process":
        processes_here = plain.PlainProcesses()
        return DriverOperations(processes_here.run, processes_here.claim, processes_here.release, None, {})
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "namespaces need Linux")
    from runloop_local.sandbox import base_layer, inside, rootfs, size_files

    chosen = inside.DRIVERS[driver]()
    chosen.prepare(folder)
    size_files.machine_cpuinfo()
    shift = inside.FIRST_UID_ON_DISK if driver == "idmapped" else 0
    rootfs.prepare_scratch(folder, shift or os.getuid())
    layers = f"{folder}/layers"
    builders = {
        rootfs.BASE: partial(base_layer.build, layers, shift, real_accounts=driver != "unprivileged"),
        rootfs.SKELETON: partial(base_layer.build_skeleton, layers),
        "unpack": partial(_unpack, layers, shift, chosen),
        "adopt": partial(_adopt, layers, chosen),
    }
    as_owner = None if chosen.has_accounts else chosen.as_owner  # root has all rights
    fork = partial(linux.fork_into, chosen.forked_into)
    return DriverOperations(partial(inside.run, chosen), chosen.claim, chosen.release, as_owner, builders, fork)


def _unpack(layers: str, shift: int, driver: IsolationDriver, *arguments: str) -> None:
    from runloop_local.sandbox import unpack  # in the forked process: no other start of this one waits for it

    unpack.main(layers, unpack.Owners(shift, real=driver.has_accounts), driver.as_owner, *arguments)


def _adopt(layers: str, driver: IsolationDriver, *arguments: str) -> None:
    from runloop_local.sandbox import adopt

    adopt.main(layers, driver.as_owner, *arguments)


def _enter_groups(request: frames.Message) -> None:
    """Enter the request's control groups and nice level, with all future children of this process."""
    if request.get("nice"):
        os.nice(request["nice"])
    for file in request.get("groups", ()):
        linux.write(file, "0")
    if request.get("groups") and os.getuid() == 0:
        linux.unshare(linux.NEW_CGROUP)  # so that no path of this machine shows in the sandbox's /proc
