"""The agent starts a sandbox's commands: in namespaces that others hold, or as the root of a process tree without them.

The service controls it over one inherited socket, and passes the commands' descriptors over it, so the agent relays no
data. When the service is gone the socket closes and the agent exits. Where others hold the sandbox, it also exits when
it has had nothing to do for a while: the socket outlives it, and the next agent reads on where it has stopped. It
imports everything before it enters the sandbox's root; after that it loads no code, because the sandbox could have
written it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import socket
import sys
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from runloop_local.sandbox import accounts, frames, linux, program, terminal, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from runloop_local.sandbox.size_files import Refresh

ENDS, RESTS = 0, 3
"""The exit statuses of an agent: the service is gone, or there was nothing to do for a while."""
HIGHEST_DESCRIPTOR = 1 << 16
"""More than any helper process ever has."""
_MAX_REQUEST = 4 << 20
_STANDARD = (0, 1, 2)
_OWN_ACCOUNTS = ("root", "user")
"""The accounts that every sandbox has; others are looked up on its disk."""
_IGNORED = [number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN]
"""Signals that were ignored when this process started, or that Python ignores."""
ALTERED_SIGNALS = frozenset({signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT, *_IGNORED})
"""Signals that the helper processes ignore or handle."""


class AgentBackend(NamedTuple):
    """The operations of the agent that depend on the kind of isolation."""

    become: Callable[[str], None]
    """Switch the calling process to the account `user` or `root`."""
    signal_all: Callable[[int, set[int]], None]
    """Send a signal to every process of the sandbox but the agent; gets the process groups that commands led."""
    end_all: Callable[[set[int]], None]
    """Kill every process of the sandbox but the agent; gets the same process groups."""
    rlimits: Mapping[int, int] = MappingProxyType({})
    is_idle: Callable[[], bool] = lambda: False
    """True if the sandbox could be restarted without anything in it noticing."""
    load: Callable[[], tuple[int, int]] = lambda: (0, 0)
    """The sandbox's memory in bytes and its number of processes, without the agent."""
    cpus: tuple[int, ...] = ()
    """The processors that commands run on; empty for all."""
    refresh: Refresh | None = None
    """Brings files up to date that show what the sandbox uses."""
    fork: Callable[[], int] = os.fork
    """Fork the process that becomes a command."""
    acting_as: Callable[[str], AbstractContextManager[None]] | None = None
    """Act as the account `user` or `root` for a while, under the limits of commands; None if only children can."""
    rest_seconds: float | None = None
    """The time without requests and commands after which the agent leaves; None if the sandbox would end with it."""


class Agent:
    """Serves one sandbox until its socket ends."""

    def __init__(self, sock: socket.socket, backend: AgentBackend) -> None:
        self._sock = sock
        self._backend = backend
        self._commands: dict[int, int] = {}  # pid -> the number of the request that started it
        self._groups: set[int] = set()
        self._decoder = frames.Decoder(_MAX_REQUEST)
        self._operations = {
            "spawn": self._spawn,
            "ping": self._ping,
            "signal": self._signal,
            "all": self._signal_all,
            "idle": self._idle,
            "load": self._load,
            "dial": self._dial,
        }
        self._used = time.monotonic()

    def serve(self) -> int:
        """Answer requests and reap children until the service is gone, or there is a rest; returns the exit status."""
        wake = child_wakeups()  # before the greeting, so that no child can end unseen
        status: int | None = None
        try:
            frames.send(self._sock, {"id": 0, "agents": 1})
            while status is None:
                status = self._serve_once(wake)
        except ConnectionError:
            status = ENDS  # the service went away while it was being answered
        finally:
            if status != RESTS:
                self._backend.end_all(self._groups)
        return status

    def _serve_once(self, wake: int) -> int | None:
        """Serve what there is, or wait for it; returns the exit status if that was the last time."""
        ready = select.select([self._sock.fileno(), wake], [], [], self._longest_wait())[0]
        if wake in ready:
            os.read(wake, 4096)
            self._reap()
        if self._sock.fileno() in ready:
            return None if self._receive() else ENDS
        if not self._is_due_to_rest():
            return None
        frames.send(self._sock, {"id": 0, "agents": 0})
        return RESTS

    def _is_due_to_rest(self) -> bool:
        rest = self._backend.rest_seconds
        is_busy = self._commands or not self._decoder.is_empty
        return rest is not None and not is_busy and time.monotonic() - self._used >= rest

    def _longest_wait(self) -> float | None:
        """Seconds until something is due: to bring files up to date while commands may read them, or to leave."""
        if self._commands:
            return None if self._backend.refresh is None else self._backend.refresh()
        rest = self._backend.rest_seconds
        if rest is None or not self._decoder.is_empty:
            return None
        return max(0.0, self._used + rest - time.monotonic())

    def _receive(self) -> bool:
        data, descriptors = frames.receive(self._sock)
        self._used = time.monotonic()
        # Whatever fails is answered: a request without a reply would leave the service waiting for ten seconds.
        for request, passed in self._decoder.feed(data, descriptors):
            try:
                self._operations[request["op"]](request, passed)
            except OSError as error:
                frames.send(self._sock, {"id": request["id"], "error": reason(error)})
            finally:
                frames.close_all(passed)
        return bool(data)

    def _reap(self) -> None:
        self._used = time.monotonic()
        for pid, status in ended_children():
            number = self._commands.pop(pid, None)
            if number is not None:
                # A group that its leader has left lives on with the leader's children: it stays known, so that a kill
                # of all reaches them.
                self._forget_empty_group(pid)
                frames.send(self._sock, {"id": number, "status": status})

    def _forget_empty_group(self, group: int) -> None:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            self._groups.discard(group)
        except PermissionError:
            pass  # not empty

    def _spawn(self, request: frames.Message, passed: list[int]) -> None:
        if self._backend.refresh is not None:
            self._backend.refresh(soon=True)
        pid = self._start_program(request, passed) or self._fork(request, passed)
        # Noted before the next look at SIGCHLD: a command that ends at once is reaped by that look, not before.
        self._commands[pid] = request["id"]
        self._groups.add(pid)

    def _start_program(self, request: frames.Message, passed: list[int]) -> int:
        """Start a command without a copy of this process; returns its pid, or 0 if it has to be forked."""
        acting_as, user = self._backend.acting_as, request["user"]
        if acting_as is None or user not in _OWN_ACCOUNTS or request.get("tool") or "terminal" in request:
            return 0
        try:
            with acting_as(user):
                return program.start(request["argv"], request["cwd"], request["env"], passed)
        except BlockingIOError:  # no more processes
            raise
        except (OSError, ValueError):
            return 0  # a forked child fails in the same way, and says why on the command's stderr

    def _fork(self, request: frames.Message, passed: list[int]) -> int:
        pid = self._backend.fork()
        if not pid:
            self._become_command(request, passed)
        return pid

    def _become_command(self, request: frames.Message, passed: list[int]) -> NoReturn:
        try:
            # The agent ignores no signals, and an exec resets those that it handles.
            os.setsid()  # a process group of its own, which can be signalled as a whole
            for target in _STANDARD:
                os.dup2(passed[target], target)
            self._sock.close()  # before another process of the sandbox can look into this one
            environment = self._become(request["user"], request["env"])
            set_rlimits(self._backend.rlimits)
            use_cpus(self._backend.cpus)
            if "terminal" in request:
                terminal.take(request)
            if request.get("tool"):
                os._exit(tools.run(request["argv"]))
            program.become(request["argv"], request["cwd"], environment)
        except BaseException as error:  # noqa: BLE001 - a forked child must not return into the agent's loop
            os.write(2, f"{error}\n".encode(errors="replace"))
        finally:
            os._exit(126)

    def _become(self, user: str, environment: dict[str, str]) -> dict[str, str]:
        """Switch to an account, by name or number; returns the environment of its program."""
        if user in _OWN_ACCOUNTS:
            self._backend.become(user)
            return environment
        self._backend.become("root")
        account = accounts.account_of(user)
        accounts.switch(account)
        return {"HOME": account.home, **environment}

    def _ping(self, request: frames.Message, _passed: list[int]) -> None:
        frames.send(self._sock, {"id": request["id"]})

    def _signal(self, request: frames.Message, _passed: list[int]) -> None:
        pids = [pid for pid, number in self._commands.items() if number == request["command"]]
        for pid in pids:  # not reaped yet, so the number cannot belong to another process
            kill = os.killpg if request["group"] else os.kill
            try:
                kill(pid, request["number"])
            except (ProcessLookupError, PermissionError) as error:
                if request["group"] and isinstance(error, ProcessLookupError):  # between fork and setsid
                    os.kill(pid, request["number"])
        frames.send(self._sock, {"id": request["id"]})

    def _signal_all(self, request: frames.Message, _passed: list[int]) -> None:
        self._backend.signal_all(request["number"], self._groups)
        frames.send(self._sock, {"id": request["id"]})

    def _idle(self, request: frames.Message, _passed: list[int]) -> None:
        frames.send(self._sock, {"id": request["id"], "status": 0 if self._backend.is_idle() else 1})

    def _load(self, request: frames.Message, _passed: list[int]) -> None:
        memory, count = self._backend.load()
        frames.send(self._sock, {"id": request["id"], "memory": memory, "processes": count})

    def _dial(self, request: frames.Message, _passed: list[int]) -> None:
        family = socket.AF_INET6 if ":" in request["host"] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as outgoing:
            outgoing.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # the service waits until it is connected
                outgoing.connect((request["host"], request["port"]))
            frames.send(self._sock, {"id": request["id"]}, [outgoing.fileno()])


def child_wakeups() -> int:
    """A descriptor that becomes readable on SIGCHLD."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    # The handler does nothing, but without one the signal would be ignored and never reach the wakeup descriptor.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def ended_children() -> list[tuple[int, int]]:
    """Reap the children that have ended; returns their pids and exit statuses, 0 to 255."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        if os.WIFSTOPPED(status):  # it has asked to be traced by its parent, as programs do that want no debugger
            with contextlib.suppress(OSError):  # killed meanwhile
                linux.let_go(pid, os.WSTOPSIG(status))
            continue
        code = os.waitstatus_to_exitcode(status)
        found.append((pid, code if code >= 0 else 128 - code))


def close_other_descriptors(*keep: int) -> None:
    """Close all descriptors but these and the standard ones."""
    # In ranges between those to keep: there may be tens of thousands, most of which were never open.
    previous = 2
    for fd in (*sorted(keep), HIGHEST_DESCRIPTOR):
        os.closerange(previous + 1, fd)
        previous = fd


def reset_signals() -> None:
    """Reset signals to their defaults, so that commands inherit neither Python's settings nor the service's (nohup)."""
    signal.set_wakeup_fd(-1)
    for number in ALTERED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def set_rlimits(limits: Mapping[int, int]) -> None:
    """Lower the resource limits to these; a limit that is already lower stays."""
    for kind, wanted in limits.items():
        # Only root may raise a hard limit, and nobody should: the machine's administrator has set it.
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def use_cpus(cpus: tuple[int, ...]) -> None:
    """Run on these processors only."""
    if cpus and sys.platform == "linux":
        with contextlib.suppress(OSError):  # they have been taken from this machine since
            os.sched_setaffinity(0, cpus)


def request_limits(request: frames.Message) -> dict[int, int]:
    """The rlimits of a request, whose keys JSON has turned into strings."""
    return {int(kind): value for kind, value in request["rlimits"].items()}


def refuse(sock: socket.socket, error: OSError) -> None:
    """Report to the service why the agent could not be started."""
    with contextlib.suppress(ConnectionError):
        frames.send(sock, {"id": 0, "error": reason(error)})


def reason(error: OSError) -> str:
    """The message of an error: the system's, or a plainer one if a fork was refused."""
    if error.errno == errno.EAGAIN:
        return "no more processes can be started"
    return str(error) if error.filename is not None or error.strerror is None else error.strerror
