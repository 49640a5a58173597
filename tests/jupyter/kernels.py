"""A real ipykernel, driven through jupyter_client as a front end would."""

from __future__ import annotations

import ast
import contextlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import IO, TYPE_CHECKING, Any, Self

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Message:
    """One message to the front end."""

    kind: str
    content: dict[str, Any]

    @property
    def text(self) -> str:
        """What a reader sees of it."""
        if self.kind == "stream":
            return str(self.content["text"])
        return str(self.content.get("data", {}).get("text/plain", ""))

    @property
    def display_id(self) -> str:
        """By what it can be changed; empty if it cannot."""
        return str(self.content.get("transient", {}).get("display_id", ""))


@dataclass
class Cell:
    """An execution: what came of it, in order, also what comes after its end."""

    messages: list[Message] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)
    has_begun: bool = False
    is_idle: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it is replied to, and its output here."""
        return bool(self.reply) and self.is_idle

    @property
    def status(self) -> str:
        """`ok`, `error` or `aborted`; empty while it runs."""
        return str(self.reply.get("status", ""))

    @property
    def error(self) -> str:
        """The error's name, or nothing."""
        return str(self.reply.get("ename", ""))

    @property
    def error_text(self) -> str:
        """What the error says."""
        return str(self.reply.get("evalue", ""))

    @property
    def traceback(self) -> str:
        """What the front end prints for the error."""
        return "\n".join(self.reply.get("traceback", []))

    @property
    def outputs(self) -> list[Message]:
        """What a notebook keeps of it: without what was cleared, each display as it became."""
        outputs: list[Message] = []
        clears = False
        for message in self.messages:
            if message.kind == "clear_output":
                clears = bool(message.content["wait"])
                outputs = outputs if clears else []
                continue
            outputs, clears = [] if clears else outputs, False
            if message.kind == "update_display_data":
                outputs = [message if message.display_id == each.display_id else each for each in outputs]
            else:
                outputs.append(message)
        return outputs

    @property
    def streams(self) -> list[tuple[str, str]]:
        """The text shown, each run of one stream together, as a notebook stores it."""
        runs = [(m.content["name"], m.text) if m.kind == "stream" else ("", "") for m in self.outputs]
        merged = [(name, "".join(text for _, text in run)) for name, run in groupby(runs, key=lambda r: r[0])]
        return [(name, text) for name, text in merged if name]

    @property
    def stdout(self) -> str:
        """All its standard output."""
        return "".join(text for name, text in self.streams if name == "stdout")

    @property
    def stderr(self) -> str:
        """All its standard error."""
        return "".join(text for name, text in self.streams if name == "stderr")

    @property
    def displays(self) -> list[str]:
        """What each display shows in the end, after its updates, in the order of first showing."""
        return [m.text for m in self.outputs if m.kind in ("display_data", "update_display_data")]

    @property
    def results(self) -> list[str]:
        """The value of its last line, as text, if it has one."""
        return [m.text for m in self.messages if m.kind == "execute_result"]

    def check(self) -> Self:
        """Fail, with the traceback, unless the cell succeeded."""
        assert self.status == "ok", self.traceback or "the cell has not ended"
        return self


class Kernel:
    """One running kernel."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.client = client
        self._manager = manager
        self._cells: dict[str, Cell] = {}
        self._poller = zmq.Poller()
        for channel in (client.iopub_channel, client.shell_channel):
            self._poller.register(channel.socket, zmq.POLLIN)

    @property
    def process_id(self) -> int:
        """The kernel's process."""
        return int(self._manager.provisioner.pid)  # type: ignore[union-attr]

    @property
    def cells(self) -> list[Cell]:
        """All executions so far."""
        return list(self._cells.values())

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        return self.ended(self.send(code))

    def send(self, code: str, *, watched: bool | None = None) -> Cell:
        """Send a cell without waiting for it. One that is not `watched` cannot ask anything; None is as the client."""
        cell = Cell()
        self._cells[self.client.execute(code, allow_stdin=watched)] = cell
        return cell

    def begun(self, code: str) -> Cell:
        """Send a cell and wait until the kernel works at it, and then so long that it comes to a wait of its own."""
        cell = self.send(code)
        self.until(lambda: cell.has_begun, "the cell's beginning")
        self.listen(0.5)
        return cell

    def ended(self, cell: Cell) -> Cell:
        """Wait until a cell is over: replied to, and its output here."""
        self.until(lambda: cell.is_over, "the cell's end")
        return cell

    def shows(self, cell: Cell, text: str) -> None:
        """Wait until a cell shows a text."""
        self.until(lambda: text in "".join(m.text for m in cell.messages), repr(text))

    def asks(self) -> str:
        """The question of the running cell, once it asks one."""
        return str(self.client.get_stdin_msg(timeout=PATIENCE)["content"]["prompt"])

    def value(self, expression: str) -> Any:
        """Return the value of a Python expression in the kernel: anything whose repr is a literal."""
        code = f"__import__('IPython').display.display({{'text/plain': repr(({expression}))}}, raw=True)"
        return ast.literal_eval(self.run(code).check().displays[-1])

    def until(self, condition: Callable[[], object], what: str = "it") -> None:
        """Read messages until something is true, of the cells or of anything else."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"waited {PATIENCE:g} s for {what}"
            self._read(min(left, 0.1))

    def listen(self, seconds: float) -> None:
        """Read messages for some time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)

    def interrupt(self) -> None:
        """Press Stop."""
        self._manager.interrupt_kernel()

    def restart(self, *, now: bool = False) -> None:
        """Restart it; with `now` its process is killed."""
        self._manager.restart_kernel(now=now)
        self.client.wait_for_ready(timeout=PATIENCE)

    def shutdown(self) -> None:
        """Shut it down, as a front end does."""
        self._manager.shutdown_kernel()

    def _read(self, seconds: float) -> None:
        for socket, _ in self._poller.poll(int(seconds * 1000) + 1):
            if socket is self.client.iopub_channel.socket:
                self._take(self.client.get_iopub_msg(timeout=0))
            else:
                self._take_reply(self.client.get_shell_msg(timeout=0))

    def _take(self, message: dict[str, Any]) -> None:
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        if cell is None:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            cell.is_idle = content["execution_state"] == "idle"
        elif kind == "execute_input":
            cell.has_begun = True
        elif kind != "error":
            cell.messages.append(Message(kind, content))

    def _take_reply(self, message: dict[str, Any]) -> None:
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        if cell is not None and message["msg_type"] == "execute_reply":
            cell.reply = message["content"]


def fails(kernel: Kernel, cell: Cell, error: str, *words: str) -> None:
    """The cell failed with one sentence that has these words, and the kernel goes on."""
    assert (cell.status, cell.error) == ("error", error), cell.traceback
    assert all(word in cell.error_text for word in words), cell.error_text
    assert "\n" not in cell.error_text + cell.traceback
    assert kernel.value("1 + 1") == 2


@contextlib.contextmanager
def start(
    env: Mapping[str, str] | None = None,
    *,
    cwd: str | None = None,
    command: list[str] | None = None,
    transport: str = "ipc",
    stderr: IO[bytes] | None = None,
) -> Iterator[Kernel]:
    """Start a kernel, by default of this Python, and shut it down in the end as a front end does.

    By `ipc` its account must be the one of the tests; for another it is `tcp`.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
        yield from _started(sockets, env, cwd, command, transport, stderr)


def _started(
    sockets: str,
    env: Mapping[str, str] | None,
    cwd: str | None,
    command: list[str] | None,
    transport: str,
    stderr: IO[bytes] | None,
) -> Iterator[Kernel]:
    # A folder of its own for its sockets: kernels that are started at the same time would choose the same names.
    where = {"ip": f"{sockets}/socket"} if transport == "ipc" else {}
    manager = KernelManager(transport=transport, shutdown_wait_time=PATIENCE, **where)
    command = command or [os.environ.get("KERNEL_PYTHON", sys.executable), "-m", "ipykernel_launcher"]
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv = [*command, "-f", "{connection_file}"]
    manager.start_kernel(env={**os.environ, **(env or {})}, cwd=cwd, stderr=stderr)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        if manager.is_alive():
            manager.shutdown_kernel()
        manager.cleanup_resources()
        manager.context.destroy()


def assert_stop_ends_its_command(kernel: Kernel) -> None:
    """Stop a cell in the middle: it ends, and its command in the devbox is gone."""
    cell = kernel.begun("%%devbox exec\nsleep 600 & echo $!; wait")
    kernel.shows(cell, "\n")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert kernel.run(f"%devbox exec kill -0 {int(cell.stdout)} 2>&1 || true").check().stdout.strip()
