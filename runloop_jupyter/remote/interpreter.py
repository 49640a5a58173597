"""A Python session in a devbox, which keeps its variables from cell to cell.

Each cell starts `main` as a client: it finds the session's process, or forks it, hands over the cell together with its
own standard descriptors, and ends when the cell does. So a cell has the output, the exit code and the end of one
command. Stop kills the client: the session notices, interrupts the cell, and keeps its variables.

Structured results are sent on the same stdout, one line each: a mark, the cell's token (`word`), and JSON.
"""

from __future__ import annotations

import array
import ast
import asyncio
import base64
import builtins
import contextvars
import fcntl
import hashlib
import importlib.machinery
import inspect
import io
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
import tempfile
import threading
import traceback
import types
import warnings
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Awaitable, Callable, Dict, Iterator, List, Mapping, TypedDict

from .cells import NAME as CELL
from .cells import find_installed_packages, parsed
from .displays import sendable, write_stderr
from .figures import connect
from .ipython_display import Displays, install, uninstalled

if TYPE_CHECKING:
    from .ipython_cells import IPythonCells

MARK = "\x1e"
_INLINE = 256 * 1024  # bytes of values that are sent on stdout; larger ones in a file
_TIMEOUT = 3.0  # seconds that an interrupted cell has before its session is killed
_INTERRUPTED = 130
_MAX_BUFFERED = 100_000  # characters that are kept from one cell to the next
_MAX_ERROR = 500
_MAX_SESSIONS = 5  # that are started for one cell if each ends at once
_ACCEPTED = b"!"
_LOST = 120  # the exit code of a cell whose session died


class Request(TypedDict):
    """A cell to run: its code, its session, and the values that go in and come out."""

    session: str
    restart: bool
    is_new: bool
    word: str
    code: str
    offset: int
    cwd: str | None
    env: Dict[str, str]
    values: str
    values_path: str
    out: List[str]
    spill: str


def main(arguments: list[str]) -> int:
    """Run one cell in its session; returns the exit code."""
    request = json.loads(_read_request(arguments[0]))
    name = _session_name(request)
    with _sessions_folder():
        if request["restart"]:
            _end_session(name)
        connection = _submit(request, name)
    answer = _receive_all(connection)
    if not answer:
        _frame(request["word"], {"kind": "lost"})
        return _LOST
    return int(json.loads(answer)["exit_code"])


def _submit(request: Request, name: str) -> socket.socket:
    """Hand the cell over to its session; returns the connection. A session that dies before it accepts is replaced."""
    for _ in range(_MAX_SESSIONS):
        connection, request["is_new"] = _connect(name)
        with suppress(ConnectionError):
            _send(connection, request)
            if connection.recv(1) == _ACCEPTED:
                return connection
        connection.close()
    sys.exit(f"{_MAX_SESSIONS} Python sessions ended before they could take the cell: is the devbox out of memory?")


def _read_request(argument: str) -> bytes:
    """The request: inline, or in a file, which is then removed."""
    if not argument.startswith("@"):
        return base64.b64decode(argument)
    with open(argument[1:], "rb") as file:
        data = file.read()
    os.unlink(argument[1:])
    return data


def _session_name(request: Request) -> str:
    """The name of a session's files: each interpreter has its own sessions."""
    key = f"{request['session']}\0{sys.executable}\0{sys.version}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@contextmanager
def _sessions_folder() -> Iterator[None]:
    """Work in the folder of all sessions: the path of a Unix socket has to be short."""
    before = os.getcwd()
    folder = os.path.join(tempfile.gettempdir(), f"runloop-python-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this account alone, and sessions would be open: remove it")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _connect(path: str) -> tuple[socket.socket, bool]:
    """A connection to the session's process, and True if the process is new."""
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection, False
        except OSError:
            connection.close()
        _start_session(path, lock)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return connection, True


def _end_session(path: str) -> None:
    """Kill the session's process and all that it started."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)  # if nobody listens, its process id may belong to another process by now
        with open(path + ".pid") as file:
            os.killpg(int(file.read()), signal.SIGKILL)
    except (OSError, ValueError):
        return
    os.unlink(path)


def _start_session(path: str, lock: IO[str]) -> None:
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    child = os.fork()
    if child:
        listener.close()
        os.waitpid(child, 0)
        return
    lock.close()
    os.setsid()
    if os.fork():
        os._exit(0)
    with open(path + ".pid", "w") as file:
        file.write(str(os.getpgid(0)))
    os.chdir(os.path.expanduser("~"))
    _release_descriptors()
    Session(listener).serve()


def _release_descriptors() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


def _send(connection: socket.socket, request: Request) -> None:
    data = json.dumps(request).encode()
    descriptors = array.array("i", [0, 1, 2])
    connection.sendmsg([struct.pack("!Q", len(data))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors.tobytes())])
    connection.sendall(data)


def _receive(connection: socket.socket) -> tuple[Request, list[int]]:
    """Receive a request, and the descriptors that were sent with it."""
    descriptors = array.array("i")
    head, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_LEN(3 * descriptors.itemsize))
    for _, _, data in ancillary:
        descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    left, pieces = struct.unpack("!Q", head)[0], []
    while left:
        piece = connection.recv(min(left, 1 << 20))
        if not piece:
            raise ConnectionError("the client has gone")
        pieces.append(piece)
        left -= len(piece)
    return json.loads(b"".join(pieces)), list(descriptors)


def _receive_all(connection: socket.socket) -> bytes:
    pieces: list[bytes] = []
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionError:
            return b""
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _frame(word: str, content: dict[str, object]) -> None:
    flush = getattr(sys.stdout, "flush", None)  # a cell may have put anything there
    if flush is not None:
        flush()
    line = f"{MARK}{word}{json.dumps(content)}\n".encode("ascii")
    while line:
        line = line[os.write(1, line) :]


class _Buffer(io.TextIOBase):
    """Keeps the end of what threads and tasks print while no cell runs, for the next cell."""

    def __init__(self) -> None:
        self._text = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            self._text = (self._text + text)[-_MAX_BUFFERED:]
        return len(text)

    def drain(self) -> str:
        """Return the text, and forget it."""
        with self._lock:
            text, self._text = self._text, ""
        return text


class Session:
    """The process that keeps the variables."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._module = types.ModuleType("__main__")
        self._names = vars(self._module)
        sys.modules["__main__"] = self._module
        sys.argv = [""]
        sys.path[0:1] = [""]
        os.environ.setdefault("MPLBACKEND", "agg")
        warnings.filterwarnings("ignore", message=".*[Aa]gg is (a )?non-(GUI|interactive).*")
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._cells = 0
        self._buffers = {"stdout": _Buffer(), "stderr": _Buffer()}
        self._displays = Displays(self.show, self.clear)
        builtins.display = self._displays.display  # type: ignore[attr-defined]  # as in a notebook
        self._word = ""
        self._show_fetched = connect(self.show)
        install(self._displays)
        self._ipython: IPythonCells | None = None
        """Runs the cells if IPython is installed."""
        self._is_ipython_broken = False

    def serve(self) -> None:
        """Run cells one after the other until the process is killed."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            connection = self._accepted()
            try:
                request, descriptors = _receive(connection)
            except (OSError, ValueError, struct.error):
                connection.close()
                continue
            with suppress(OSError):  # the cell was stopped while it waited for its turn
                connection.sendall(_ACCEPTED)
            self._attach(descriptors)
            try:
                exit_code = self._run_watched(connection, request)
            except KeyboardInterrupt:  # at the very moment that the cell ended
                exit_code = _INTERRUPTED
            self._detach()
            with suppress(OSError):  # the cell was stopped
                connection.sendall(json.dumps({"exit_code": exit_code}).encode())
            connection.close()

    def _accepted(self) -> socket.socket:
        """Accept the next cell's connection. Until it comes, the loop runs tasks of earlier cells."""
        self._listener.setblocking(False)
        while True:
            loop = self._loop()
            accepting = loop.create_task(loop.sock_accept(self._listener))
            while not accepting.done() and not loop.is_closed():
                with suppress(SystemExit, KeyboardInterrupt, RuntimeError):  # a task exits, or stops the loop
                    loop.run_until_complete(accepting)
            if accepting.done():
                connection, _ = accepting.result()
                connection.setblocking(True)
                return connection

    def _attach(self, descriptors: list[int]) -> None:
        """Make the client's standard descriptors those of this process, as long as the cell runs."""
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdin = open(0, closefd=False, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        for name, number in (("stdout", 1), ("stderr", 2)):
            raw: Any = io.FileIO(number, "w", closefd=False)  # unbuffered, as by python -u
            stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
            setattr(sys, name, stream)
            with suppress(OSError):  # the cell was stopped
                stream.write(self._buffers[name].drain())

    def _detach(self) -> None:
        for name, buffer in self._buffers.items():
            stream: Any = getattr(sys, name, None)  # a cell may have put anything there
            with suppress(OSError, ValueError, AttributeError, TypeError):  # or the client has gone
                stream.write(buffer.drain())  # of a thread that holds the buffer since before the cell
                stream.flush()
        sys.stdout, sys.stderr = self._buffers["stdout"], self._buffers["stderr"]
        _release_descriptors()

    def _run_watched(self, connection: socket.socket, request: Request) -> int:
        """Run the cell, and interrupt it if its client goes away; returns the exit code."""
        over, done = os.pipe()
        watching = threading.Thread(target=_watch, args=(connection, over), daemon=True)
        watching.start()
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return self._run(request)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.close(done)
            watching.join()
            os.close(over)

    def _run(self, request: Request) -> int:
        from .values import ValueProblem

        self._word = request["word"]
        try:
            self._prepare(request)
            self._execute(request["code"], request["offset"])
            self._return(request)
        except ValueProblem as problem:
            _frame(self._word, {"kind": "value", "text": str(problem)})
            return 1
        except SystemExit as end:
            return _exit_code(end)
        except BaseException as error:  # noqa: BLE001 - any error of a cell is shown, and the session goes on
            self._fail(error)
            return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        return 0

    def _prepare(self, request: Request) -> None:
        if request["is_new"]:
            _frame(self._word, {"kind": "new", "python": ".".join(map(str, sys.version_info[:3]))})
        find_installed_packages()
        if self._ipython is None and not self._is_ipython_broken and _has_ipython():
            self._start_ipython()
        if request["cwd"]:
            os.chdir(os.path.expanduser(request["cwd"]))
        os.environ.update(request["env"])
        from .values import unpack

        self._names.update(unpack(_values_of(request), pickles=True))

    def _start_ipython(self) -> None:
        """Have IPython run the cells, from the first one or from the one after its installation."""
        try:
            with uninstalled():
                from .ipython_cells import IPythonCells

                self._ipython = IPythonCells(self._module, self._displays, self._await, self._call)
        except Exception as error:  # noqa: BLE001 - cells run without it, whatever is wrong with it
            self._is_ipython_broken = True
            write_stderr(f"IPython is not used, as it cannot be started here: {type(error).__name__}: {error}\n")

    def _execute(self, code: str, offset: int) -> None:
        self._cells += 1
        if self._ipython is None:
            self._execute_plainly(code, offset)
        else:
            self._ipython.run(code, offset, self._cells)
        self._show_figures()

    def _execute_plainly(self, code: str, offset: int) -> None:
        statements, last, filename = parsed(code, offset, self._cells)
        self._evaluate(statements, filename, "exec")
        if last is not None:
            value = self._evaluate(last, filename, "eval")
            if value is not None:
                self._names["_"] = value
                self._displays.display(value)

    def _evaluate(self, tree: ast.Module | ast.Expression, filename: str, mode: str) -> object:
        """Run code while the session's loop counts as running, so that `asyncio.create_task` works in any cell."""
        compiled: types.CodeType = compile(tree, filename, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if compiled.co_flags & inspect.CO_COROUTINE:
            return self._await(eval(compiled, self._names))  # noqa: S307 - to run code is what this is for
        return self._call(lambda: eval(compiled, self._names))  # noqa: S307

    def _call(self, function: Callable[[], object]) -> object:
        asyncio._set_running_loop(self._loop())
        try:
            return function()
        finally:
            asyncio._set_running_loop(None)

    def _await(self, coroutine: Awaitable[object]) -> object:
        """The result of a coroutine. Context variables that it sets stay set, as for code without `await`."""
        context: list[contextvars.Context] = []

        async def run() -> object:
            try:
                return await coroutine
            finally:
                context.append(contextvars.copy_context())

        loop = self._loop()
        task = loop.create_task(run())
        try:
            return loop.run_until_complete(task)
        except KeyboardInterrupt:
            task.cancel()
            with suppress(asyncio.CancelledError, KeyboardInterrupt):
                loop.run_until_complete(task)
            raise
        finally:
            if task.done() and not task.cancelled():
                task.exception()  # retrieved, so that asyncio does not log it: the caller reports it
            for variable, value in [item for each in context for item in each.items()]:
                variable.set(value)

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The session's loop; a new one if a cell has closed it."""
        if self._event_loop is None or self._event_loop.is_closed():
            self._event_loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._event_loop)
        return self._event_loop

    def show(self, data: Mapping[str, object], display_id: str = "", update: bool = False) -> None:
        """Show a MIME bundle, or with `update` replace the one with this id."""
        shown: dict[str, object] = {"kind": "display", "data": sendable(data)}
        _frame(self._word, {**shown, "id": display_id, "update": update} if display_id else shown)

    def clear(self, wait: bool) -> None:
        """Empty the cell, with `wait` when the next output comes."""
        _frame(self._word, {"kind": "clear", "wait": wait})

    def _show_figures(self) -> None:
        self._show_fetched()
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            self._displays.display(pyplot.figure(number))
        pyplot.close("all")

    def _return(self, request: Request) -> None:
        if not request["out"]:
            return
        from .values import ValueProblem, pack

        missing = [name for name in request["out"] if name not in self._names]
        if missing:
            raise ValueProblem(f"{missing[0]!r} is not a variable of the Python session")
        data = pack({name: self._names[name] for name in request["out"]}, pickles=False)
        if len(data) <= _INLINE:
            _frame(self._word, {"kind": "values", "data": base64.b64encode(data).decode()})
            return
        with open(request["spill"], "wb") as file:
            file.write(data)
        _frame(self._word, {"kind": "values", "size": len(data)})

    def _fail(self, error: BaseException) -> None:
        lines, place = _traceback(error)
        text = _summary(error)
        try:
            write_stderr("".join(lines))
            _frame(self._word, {"kind": "error", "text": text[:_MAX_ERROR], "line": place})
        except (OSError, ValueError):
            pass  # the client has gone


def _has_ipython() -> bool:
    """True if IPython is installed."""
    return importlib.machinery.PathFinder.find_spec("IPython") is not None  # it does not find our stand-in


def _values_of(request: Request) -> bytes:
    if not request["values_path"]:
        return base64.b64decode(request["values"])
    with open(request["values_path"], "rb") as file:
        data = file.read()
    os.unlink(request["values_path"])
    return data


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    write_stderr(f"{end.code}\n")
    return 1


def _watch(connection: socket.socket, over: int) -> None:
    """Interrupt the cell once its connection is closed; kill the session if that does not end the cell."""
    ready, _, _ = select.select([connection.fileno(), over], [], [])
    if over in ready:
        return
    os.killpg(0, signal.SIGINT)
    ready, _, _ = select.select([over], [], [], _TIMEOUT)
    # A process that the cell was about to start has missed the first one; the session ignores the second.
    os.killpg(0, signal.SIGINT if ready else signal.SIGKILL)


def _summary(error: BaseException) -> str:
    """The last line of a traceback, and the first line of each note that was added to the exception."""
    formatted = traceback.TracebackException(type(error), error, None)
    notes = getattr(error, "__notes__", None)  # anything, as a cell can set it
    formatted.__notes__ = None  # type: ignore[attr-defined, unused-ignore]  # Python 3.11
    reason = list(formatted.format_exception_only())[-1]
    texts = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    lines = [each.strip().partition("\n")[0] for each in (reason, *texts)]
    return "; ".join(line for line in lines if line)


def _traceback(error: BaseException) -> tuple[list[str], int | None]:
    """The lines of a traceback that begins in the cell, and the number of the cell's line that failed."""
    if isinstance(error, SyntaxError) and str(error.filename).startswith(CELL):
        return traceback.format_exception_only(type(error), error), error.lineno
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith(CELL):
        frames = frames.tb_next
    places = [each.lineno for each in traceback.extract_tb(frames) if each.filename.startswith(CELL)]
    lines = traceback.format_exception(type(error), error, frames)
    return lines, places[-1] if places else None
