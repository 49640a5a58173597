"""The processes of a sandbox in namespaces.

PID 1 sleeps, see `first_process`. Beside it, a second process sets everything up and ends. Whenever there is something
to do, the helper forks an agent, which enters the namespaces. Only its children get into the PID namespace, so no
program of the sandbox can see it, let alone send it a signal.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runloop_local.sandbox import capture, drivers, first_process, frames, linux, mounts, processes
from runloop_local.sandbox.agent import (
    Agent,
    AgentBackend,
    close_other_descriptors,
    refuse,
    request_limits,
    reset_signals,
    set_rlimits,
    use_cpus,
)
from runloop_local.sandbox.linux import NEW_NETWORK
from runloop_local.sandbox.size_files import GroupMemory, MemoryUse, SizeFiles
from runloop_local.sandbox.uid_ranges import Claim

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runloop_local.sandbox.drivers import IsolationDriver, Namespaces
    from runloop_local.sandbox.frames import Message

MAX_REQUEST = 1 << 20
"""The size in bytes of a request to start a sandbox."""
_PASSES = 100
"""The most passes over all processes until none is found that another one has forked meanwhile."""
_TMPFS_FOLDERS = ("/run", "/dev/shm")  # noqa: S108 - a sandbox's own
_SHARED_MEMORY = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")
"""Tables of System V IPC objects, each with one header line."""


def build(driver: IsolationDriver, first: socket.socket, helper: int, *descriptors: int) -> NoReturn:
    """Build a sandbox as `helper` asks for it, hand its namespaces to PID 1 and to the helper, and tell the service."""
    status = 1
    try:
        os.umask(0o022)
        # A sandbox must not inherit descriptors of the service, the helper or other sandboxes.
        close_other_descriptors(first.fileno(), helper, *descriptors)
        with socket.socket(fileno=helper) as handover:
            request = _receive(handover)
            with socket.socket(fileno=descriptors[0]) as service:
                try:
                    _build(driver, request, Claim(request["first_uid"], descriptors[1:]), first, handover, service)
                    status = 0
                except OSError as error:
                    refuse(service, error)
    finally:
        os._exit(status)


def _receive(sock: socket.socket) -> Message:
    decoder = frames.Decoder(MAX_REQUEST)
    while data := sock.recv(frames.CHUNK):
        for message, _ in decoder.feed(data, ()):
            return message
    raise ConnectionError


def _build(
    driver: IsolationDriver,
    request: Message,
    claim: Claim,
    first: socket.socket,
    handover: socket.socket,
    service: socket.socket,
) -> None:
    linux.confine(request)  # in the groups it is already
    network = NEW_NETWORK if request["network"] == "none" else 0
    root, mount_points, made = driver.build(request, claim, network)
    # From here on the root is the sandbox's, and a module found there would be its code.
    disable_imports()
    captured = capture.start() if network else capture.Capture()
    socket.sethostname(request["hostname"])
    made |= drivers.opened(network)
    # Before any agent comes: PID 1 shows programs of the sandbox which network it has.
    if not first_process.settle(first, [made[name] for name in driver.held_by_first if name in made]):
        raise ProcessLookupError(errno.ESRCH, "its first process has ended")
    frames.send_named(handover, {**made, **root.sizes})
    wanted = [(socket.SOCK_STREAM, request["proxy_port"])] if network else []
    wanted += capture.LISTENING if network and not captured.problem else []
    listening = [*(_listening(port, kind) for kind, port in wanted), *captured.holding]
    greeting = {"id": 0, "made": mount_points, "uncaptured": [captured.problem] if captured.problem else []}
    frames.send(service, greeting, [each.fileno() for each in listening])


def _listening(port: int, kind: socket.SocketKind) -> socket.socket:
    listening = socket.socket(socket.AF_INET, kind)
    listening.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM:
        listening.listen(128)
    return listening


def serve(driver: IsolationDriver, request: Message, sock: socket.socket, namespaces: Namespaces) -> int:
    """Serve as an agent of a sandbox, in a process that the helper has forked; returns its exit status."""
    reset_signals()
    os.umask(0o022)
    close_other_descriptors(sock.fileno(), *namespaces.values())
    linux.confine(request)
    # Of this machine, before its root is left.
    machine_stat, counted = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC), GroupMemory.of(request.get("groups", ()))
    disable_imports()
    driver.enter(namespaces)
    namespaces = drivers.for_commands(namespaces)
    # It has the socket to the service, and in its memory what came by it: no program of the sandbox may look there.
    linux.make_undumpable()
    linux.die_with_parent(signal.SIGKILL)
    driver.calls.apply()  # inherited by all commands; last, as it forbids what was needed to enter
    rlimits, cpus, acting_as, refresh = request_limits(request), tuple(request["cpus"]), None, None
    if driver.has_accounts:
        # Once for all: nothing is left to do in a child of which no code of this process runs.
        set_rlimits(rlimits)
        use_cpus(cpus)
        rlimits, cpus, acting_as = {}, (), _acting_as
    if "size" in request:
        memory_use = counted or (lambda: MemoryUse(_load()[0]))
        refresh = SizeFiles(drivers.shown_size(request), memory_use, namespaces, machine_stat).refresh
    backend = AgentBackend(
        become=lambda user: driver.become(user, namespaces),
        signal_all=_signal_all,
        end_all=_end_all,
        rlimits=rlimits,
        is_idle=_is_idle,
        load=_load,
        cpus=cpus,
        refresh=refresh,
        fork=_fork,
        acting_as=acting_as,
        rest_seconds=request["rest_seconds"],
    )
    return Agent(sock, backend).serve()


def disable_imports() -> None:
    """Disable imports, so that this interpreter never loads code from the sandbox's files."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()


def _acting_as(user: str) -> AbstractContextManager[None]:
    return linux.acting_as(drivers.uid_of(user))


def _fork() -> int:
    """Fork a child into the PID namespace; leaves if PID 1 has ended, as nothing can be started there any more."""
    try:
        return linux.fork()
    except OSError as error:
        if error.errno == errno.ENOMEM and _has_ended():
            sys.exit()  # the service hears of the end by the helper
        raise


def _has_ended() -> bool:
    """True if PID 1 has ended; as long as its children are not reaped it is there, without memory."""
    try:
        return Path("/proc/1/statm").read_bytes().startswith(b"0 ")
    except OSError:
        return True


def _signal_all(number: int, _groups: set[int]) -> None:
    """Send a signal to every process but PID 1.

    By their folders in /proc, as their numbers are others outside of the PID namespace. A child inside could be stopped
    before it is done, and there may be no room for one more process.
    """
    signalled: set[int] = set()
    for _ in range(_PASSES):
        found = {*_pids()} - signalled
        for pid in sorted(found):  # parents first, which would notice that a child has stopped
            with suppress(FileNotFoundError, ProcessLookupError):
                linux.send_signal(f"/proc/{pid}", number)
        if not found or number != signal.SIGSTOP:
            return
        signalled |= found
    raise OSError(errno.EBUSY, "its processes fork faster than they can be stopped")


def _is_idle() -> bool:
    """True if a restart would lose nothing: no process but PID 1, no files in tmpfs, no System V IPC objects."""
    if _pids():
        return False
    in_memory = any(os.listdir(folder) for folder in _TMPFS_FOLDERS)  # noqa: PTH208 - names, no paths
    return not in_memory and all(Path(table).read_bytes().count(b"\n") == 1 for table in _SHARED_MEMORY)


def _pids() -> list[int]:
    """All processes but PID 1."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]  # noqa: PTH208 - names, no paths


def _load() -> tuple[int, int]:
    """The memory and number of all processes but PID 1, files in tmpfs included."""
    # By PID 1's mount table, as this process has no number in the sandbox's /proc.
    return processes.load(_pids(), mounts.used_memory(Path("/proc/1/mountinfo").read_bytes()))


def _end_all(_groups: set[int]) -> None:
    """Do nothing: the helper ends PID 1, and with that the kernel all others."""
