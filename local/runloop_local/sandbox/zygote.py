"""The fork server of the service: it has everything imported, so forking a sandbox's agent takes a few milliseconds.

There is one per service, single-threaded. It is controlled over an inherited socket and exits when that closes. It
keeps each sandbox's socket to the service, and forks an agent when there is something to read and nobody to read it.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from runloop_local.sandbox import agent, frames, linux, plain, processes
from runloop_local.sandbox.cpus import CpuAllocator

if sys.platform == "linux":
    # Now, not once it knows its driver: the service locks the folder meanwhile.
    from runloop_local.sandbox import base_layer, capture, drivers, first_process, inside, rootfs, size_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runloop_local.sandbox.drivers import IsolationDriver
    from runloop_local.sandbox.first_process import FirstProcesses
    from runloop_local.sandbox.uid_ranges import Claim

_MAX_REQUEST = 1 << 20
_RETRY_SECONDS = 0.1


class DriverOperations(NamedTuple):
    """The operations of one isolation driver that the fork server runs."""

    start: Callable[[frames.Message, Claim, socket.socket, socket.socket], int]
    """Start a sandbox in new processes; returns the pid of the first. It ends with that one.

    The sockets are for the process that talks to the service, and for the one that brings the namespaces.
    """
    serve: Callable[[frames.Message, socket.socket, dict[str, int]], int] | None
    """Serve as an agent that enters those, in a forked process; None if the first process is the only agent."""
    claim: Callable[[frames.Message], Claim]
    """Allocate what a sandbox has for itself."""
    release: Callable[[Claim], None]
    """Release a claim."""
    as_owner: Callable[[], None] | None
    """Gain full access to the files of sandboxes, in a forked process; None if this process has it."""
    builders: Mapping[str, Callable[..., None]]
    """Builders of layers, by the name by which a tool is asked for, each run in a forked process."""
    keeps: frozenset[int] = frozenset()
    """The pids of other children of this process."""


class _Held(NamedTuple):
    """What a running sandbox holds of this machine."""

    claim: Claim
    cpus: tuple[int, ...] = ()
    """The processors that it may use; empty if that is not limited."""


class _Sandbox:
    """A sandbox that has not ended."""

    def __init__(
        self, request: frames.Message, held: _Held, first: int, sock: socket.socket, handed: socket.socket
    ) -> None:
        self.request = request
        """The request that started it."""
        self.held = held
        self.first = first
        """The pid of its first process; 0 once that has ended, and all in its PID namespace with it."""
        self.sock = sock
        """Its end of the socket to the service, which whoever is its agent reads."""
        self.handed = handed
        """Brings the namespaces once they are set up, and ends with the process that does so."""
        self.namespaces: dict[str, int] = {}
        self.agent = 0
        """The pid of its agent; 0 if it has none."""

    @property
    def number(self) -> int:
        """The number of that request."""
        return int(self.request["id"])

    def forget(self, pid: int) -> None:
        """Forget one of its processes, which was reaped."""
        if pid == self.agent:
            self.agent = 0
        else:
            self.first = 0

    def kill(self) -> None:
        """Kill its processes; they have not been reaped, so the numbers are still theirs."""
        for pid in filter(None, (self.first, self.agent)):
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Close all descriptors."""
        self.sock.close()
        self.handed.close()
        frames.close_all([*self.namespaces.values()])


class Zygote:
    """Forks the processes of sandboxes, and tools, and reports their exit."""

    def __init__(self, control: socket.socket, driver: DriverOperations) -> None:
        self._control = control
        self._driver = driver
        self._tools: dict[int, int] = {}  # pid -> the number of the request that started it
        self._sandboxes: dict[int, _Sandbox] = {}  # pid of each of its processes -> the sandbox
        self._cpus = CpuAllocator(os.sched_getaffinity(0)) if sys.platform == "linux" else None
        self._decoder = frames.Decoder(_MAX_REQUEST)
        self._selector = selectors.DefaultSelector()
        self._without_agent: list[_Sandbox] = []
        """Those that are asked for something, but whose agent could not be forked yet."""
        self._operations = {"start": self._start, "tool": self._tool, "kill": self._kill, "resume": self._resume}

    def serve(self) -> None:
        """Answer requests; returns when the service is gone."""
        wake = agent.child_wakeups()
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(wake, selectors.EVENT_READ)
        with suppress(ConnectionError):  # the service went away while it was being answered
            frames.send(self._control, {"id": 0})
            while self._serve_once(wake):
                pass

    def _serve_once(self, wake: int) -> bool:
        ready = [key for key, _ in self._selector.select(_RETRY_SECONDS if self._without_agent else None)]
        for sandbox in self._without_agent:
            self._selector.register(sandbox.sock, selectors.EVENT_READ, partial(self._wake, sandbox))
        self._without_agent.clear()
        for key in ready:
            if key.data is not None and self._selector.get_map().get(key.fd) is key:  # no other has ended it meanwhile
                key.data()
        files = [key.fd for key in ready]
        if wake in files:
            os.read(wake, 4096)
            self._reap()
        return self._control.fileno() not in files or self._receive()

    def _receive(self) -> bool:
        data, descriptors = frames.receive(self._control)
        for request, passed in self._decoder.feed(data, descriptors):
            self._operations[request["op"]](request, passed)
            frames.close_all(passed)
        return bool(data)

    def _reap(self) -> None:
        changed: dict[_Sandbox, int] = {}
        for pid, status in agent.ended_children():
            if pid in self._tools:
                frames.send(self._control, {"id": self._tools.pop(pid), "status": status})
            elif pid in self._sandboxes:
                sandbox = self._sandboxes.pop(pid)
                sandbox.forget(pid)
                changed[sandbox] = status
        # Only once all that were reaped are forgotten: their numbers may be those of other processes by now.
        for sandbox, status in changed.items():
            self._go_on(sandbox, status)

    def _go_on(self, sandbox: _Sandbox, status: int) -> None:
        """Go on after the end of a process of a sandbox."""
        if not sandbox.first and not sandbox.agent:
            self._end(sandbox, status)
        elif sandbox.first and status == agent.RESTS:
            self._selector.register(sandbox.sock, selectors.EVENT_READ, partial(self._wake, sandbox))
        else:
            sandbox.kill()  # neither goes on without the other

    def _end(self, sandbox: _Sandbox, status: int) -> None:
        # Before the reply, which tells the service that nothing of the sandbox runs any more.
        self._kill_orphans()
        for sock in (sandbox.sock, sandbox.handed):
            with suppress(KeyError, ValueError):  # not watched, or closed
                self._selector.unregister(sock)
        if sandbox in self._without_agent:
            self._without_agent.remove(sandbox)
        sandbox.close()
        self._release(sandbox.held)
        frames.send(self._control, {"id": sandbox.number, "status": status})

    def _kill_orphans(self) -> None:
        """Kill the orphans of an agent that was killed: this process is their subreaper."""
        if sys.platform == "linux":
            processes.end_children(keep={*self._tools, *self._sandboxes, *self._driver.keeps})

    def _start(self, request: frames.Message, passed: list[int]) -> None:
        held = None
        # Duplicated, as `_receive` closes the descriptors of each request.
        sock, (handed, theirs) = socket.socket(fileno=os.dup(passed[0])), socket.socketpair()
        try:
            held = self._take(request)
            request["cpus"] = held.cpus
            pid = self._driver.start(request, held.claim, sock, theirs)
        except OSError as error:
            agent.refuse(sock, error)
            # The uid range goes back at once: there is no child whose end would release it.
            if held is not None:
                self._release(held)
            for each in (sock, handed):
                each.close()
            self._report_failed_fork(request)
        else:
            self._sandboxes[pid] = sandbox = _Sandbox(request, held, pid, sock, handed)
            self._begin(sandbox)
        finally:
            theirs.close()

    def _begin(self, sandbox: _Sandbox) -> None:
        if self._driver.serve is None:
            sandbox.sock.close()  # the first process is the agent
            return
        self._selector.register(sandbox.handed, selectors.EVENT_READ, partial(self._hear_of_setup, sandbox))
        with suppress(ConnectionError):  # it has failed, and told the service
            frames.send(sandbox.handed, {**sandbox.request, "first_uid": sandbox.held.claim.first_uid})

    def _take(self, request: frames.Message) -> _Held:
        claim = self._driver.claim(request)
        if self._cpus is None or "size" not in request:
            return _Held(claim)
        return _Held(claim, self._cpus.take(request["size"]["cpus"]))

    def _release(self, held: _Held) -> None:
        self._driver.release(held.claim)
        if self._cpus is not None:
            self._cpus.release(held.cpus)

    def _report_failed_fork(self, request: frames.Message) -> None:
        """Report that the fork failed; running sandboxes go on."""
        frames.send(self._control, {"id": request["id"], "status": 1})

    def _hear_of_setup(self, sandbox: _Sandbox) -> None:
        """Take the namespaces of a sandbox; agents may come once the process that has set them up is gone."""
        if namespaces := frames.receive_named(sandbox.handed):
            sandbox.namespaces = namespaces
            return
        self._selector.unregister(sandbox.handed)
        sandbox.handed.close()
        if sandbox.namespaces:
            self._selector.register(sandbox.sock, selectors.EVENT_READ, partial(self._wake, sandbox))
        else:  # it could not be set up, or nobody could enter it
            sandbox.kill()

    def _wake(self, sandbox: _Sandbox) -> None:
        """Fork an agent for a sandbox without one, as there is something to read for it."""
        self._selector.unregister(sandbox.sock)
        if _is_at_end(sandbox.sock):
            sandbox.kill()  # the service has let go of it
            return
        try:
            pid = linux.fork()
        except OSError:  # no more processes for now: what was asked waits, as it is read by the agent
            self._without_agent.append(sandbox)
            return
        if not pid:
            self._become_agent(sandbox)
        sandbox.agent = pid
        self._sandboxes[pid] = sandbox

    def _become_agent(self, sandbox: _Sandbox) -> NoReturn:
        status = 1
        try:
            if self._driver.serve is not None:
                status = self._driver.serve(sandbox.request, sandbox.sock, sandbox.namespaces)
        except OSError as error:
            os.write(2, f"The agent of a sandbox ended: {agent.reason(error)}\n".encode(errors="replace"))
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
        self._tools[pid] = request["id"]

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
        for sandbox in self._named(request):
            sandbox.kill()

    def _resume(self, request: frames.Message, _passed: list[int]) -> None:
        """Continue what was stopped before it executed its program: the agent that starts it waits for that."""
        for agent_pid in [sandbox.agent for sandbox in self._named(request) if sandbox.agent]:
            for pid in processes.children(agent_pid):
                if processes.command_line(pid) == processes.command_line(os.getpid()):
                    processes.kill(pid, signal.SIGCONT)

    def _named(self, request: frames.Message) -> list[_Sandbox]:
        """The sandbox that a request is for, if it has not ended."""
        return [sandbox for sandbox in {*self._sandboxes.values()} if sandbox.number == request["target"]]


def _is_at_end(sock: socket.socket) -> bool:
    """True if a socket that is ready to be read has nothing more."""
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def main(control: int) -> None:
    """Serve on an inherited descriptor, whose first message has the driver, and the folder of the sandboxes."""
    sock = socket.socket(fileno=control)
    sock.set_inheritable(False)
    try:
        processes.raise_descriptor_limit()
        if sys.platform == "linux":
            linux.become_subreaper()
            linux.set_title("runloop-local sandboxes")
        assigned = _first_message(sock)
        if assigned is None:
            return
        operations = _operations_of(assigned["driver"], assigned["folder"])
    except OSError as error:
        agent.refuse(sock, error)
        return
    Zygote(sock, operations).serve()


def _first_message(sock: socket.socket) -> frames.Message | None:
    """The first message; None if the service has ended before."""
    decoder = frames.Decoder(_MAX_REQUEST)
    while data := frames.receive(sock)[0]:
        for message, _ in decoder.feed(data, ()):
            return message
    return None


def _operations_of(driver: str, folder: str) -> DriverOperations:
    if driver == "process":
        here = plain.PlainProcesses()
        return DriverOperations(here.start, None, here.claim, here.release, None, {})
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "namespaces need Linux")
    chosen = drivers.DRIVERS[driver]()
    chosen.prepare(folder)
    # Before the first fork, so that no process needs to do it again.
    size_files.machine_cpuinfo()
    capture.prepare()
    shift = drivers.FIRST_UID_ON_DISK if driver == "idmapped" else 0
    rootfs.prepare_scratch(folder, shift or os.getuid())
    layers = f"{folder}/layers"
    builders = {
        rootfs.BASE: partial(base_layer.build, layers, shift, real_accounts=driver != "unprivileged"),
        rootfs.SKELETON: partial(base_layer.build_skeleton, layers),
        "unpack": partial(_unpack, layers, shift, chosen),
        "adopt": partial(_adopt, layers, chosen),
    }
    as_owner = None if chosen.has_accounts else chosen.as_owner  # root has all rights
    firsts = first_process.FirstProcesses(partial(inside.build, chosen))
    start = partial(_start_in_namespaces, chosen, firsts)
    serve = partial(inside.serve, chosen)
    keeps = frozenset({firsts.pid})
    return DriverOperations(start, serve, chosen.claim, chosen.release, as_owner, builders, keeps)


def _start_in_namespaces(
    driver: IsolationDriver,
    firsts: FirstProcesses,
    request: frames.Message,
    claim: Claim,
    service: socket.socket,
    helper: socket.socket,
) -> int:
    network = linux.NEW_NETWORK if request["network"] == "none" else 0
    groups = [os.open(file, os.O_WRONLY | os.O_CLOEXEC) for file in request.get("groups", ())]
    try:
        return firsts.fork(driver.born_in(network), groups, [helper.fileno(), service.fileno(), *claim.descriptors])
    finally:
        frames.close_all(groups)


def _unpack(layers: str, shift: int, driver: IsolationDriver, *arguments: str) -> None:
    from runloop_local.sandbox import unpack  # in the forked process: no other start of this one waits for it

    unpack.main(layers, unpack.Owners(shift, real=driver.has_accounts), driver.as_owner, *arguments)


def _adopt(layers: str, driver: IsolationDriver, *arguments: str) -> None:
    from runloop_local.sandbox import adopt

    adopt.main(layers, driver.as_owner, *arguments)
