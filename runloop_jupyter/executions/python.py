"""Python cells: run by a session in the devbox that keeps its variables, with values and rich output both ways."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

from ..errors import RemoteError, UsageError
from ..output.untrusted import sanitize
from ..remote import program
from ..remote.values import ValueProblem, pack, unpack
from ..results import PythonResult
from ..text.json_values import JsonObject
from .command_output import CommandOutput
from .command_spec import CommandSpec
from .run import CommandRun

if TYPE_CHECKING:
    from ..output.transcript import Stream, Transcript
    from ..resources.devboxes import DevboxInfo
    from .context import RunContext
    from .remote_command import RemoteCommand
    from .sink import Sink

MARK = "\x1e"
_INLINE = 48 * 1024  # bytes of a request that go along with the command
MOST_OF_A_LINE = 32_000_000  # characters: a display may have several pictures
MOST_OF_DISPLAYS = 100_000_000  # characters of all that one cell displays
MOST_OF_VALUES = 2 << 30  # bytes that --out brings back
_MISSING = 127


@dataclass(frozen=True, slots=True)
class PythonCell:
    """A cell of Python and what goes with it. `offset` is how many lines stand above it in the notebook's cell."""

    code: str
    offset: int = 0
    session: str = "main"
    interpreter: str = "python3"
    values: Mapping[str, object] = field(default_factory=dict)
    out: tuple[str, ...] = ()
    restart: bool = False


@dataclass(slots=True)
class _Shown:
    """One display of a cell, as it is now."""

    display_id: str
    bundle: JsonObject


class Frames:
    """Parts a stream's text into what was printed and the session's structured lines. No I/O."""

    def __init__(self, word: str) -> None:
        self._mark = MARK + word
        self._held = ""
        self._line: list[str] = []
        """The pieces of a structured line that has no end yet."""
        self._length = 0
        self._skips = False

    def feed(self, text: str) -> Iterator[str | JsonObject]:
        """The pieces, in their order; what may still become a structured line is kept."""
        if self._skips:
            _, newline, text = text.partition("\n")
            self._skips = not newline
        # A picture of megabytes comes in many pieces: they are kept in a list, as joining each to the rest is
        # quadratic.
        if self._line and "\n" not in text:
            yield from self._go_on(text)
            return
        text, self._held, self._line = "".join([*self._line, self._held, text]), "", []
        while text:
            start = text.find(self._mark)
            if start < 0:
                cut = len(text) - self._begun(text)
                self._held = text[cut:]
                if text[:cut]:
                    yield text[:cut]
                return
            if start:
                yield text[:start]
            end = text.find("\n", start)
            if end < 0:
                self._length = 0
                yield from self._go_on(text[start:])
                return
            line = text[start + len(self._mark) : end]
            # A cell can print the mark itself; what is no JSON of the session is shown as the text that it is.
            yield _content(line) or text[start : end + 1]
            text = text[end + 1 :]

    def _go_on(self, text: str) -> Iterator[str]:
        """Keep more of a structured line; one that is too long is left out, to its end."""
        self._line.append(text)
        self._length += len(text)
        if self._length > MOST_OF_A_LINE:
            self._line, self._skips = [], True
            yield f"... (a display of over {MOST_OF_A_LINE:,} characters is not shown) ...\n"

    def _begun(self, text: str) -> int:
        """Return the number of characters at the end that may begin a mark."""
        start = text.rfind(MARK, -len(self._mark))
        return len(text) - start if start >= 0 and self._mark.startswith(text[start:]) else 0

    def end(self) -> str:
        """Return the text that was held back and is output after all; not a structured line that was cut short."""
        return self._held


class PythonOutput(CommandOutput):
    """The output of a Python cell: what it printed, and what its session tells between that in structured lines."""

    def __init__(self, context: RunContext, transcript: Transcript, command: RemoteCommand, word: str) -> None:
        super().__init__(transcript, command, terminal=False)
        self.note = ""
        """More to say about the cell when it is over."""
        self.exception = ""
        """The exception that it ended with, in one line."""
        self.session_died = False
        """True if its session ended with it."""
        self.values: JsonObject | None = None
        """The structured line that has its values, or says where they are."""
        self._context = context
        self._frames = Frames(word)
        self._displays: list[_Shown] = []
        self._displayed = 0

    @property
    def displays(self) -> list[JsonObject]:
        """The MIME bundles that it displayed, as they are now."""
        return [shown.bundle for shown in self._displays]

    def take(self, stream: Stream, text: str, sink: Sink) -> None:
        """Keep and show what was printed of a piece, and heed the rest."""
        if stream == "stderr":
            super().take(stream, text, sink)
            return
        for piece in self._frames.feed(text):
            if isinstance(piece, str):
                super().take(stream, piece, sink)
            else:
                self._take_frame(piece, sink)

    def end(self, sink: Sink) -> None:
        """Keep and show what might have become a structured line."""
        if rest := self._frames.end():
            super().take("stdout", rest, sink)

    def _take_frame(self, frame: JsonObject, sink: Sink) -> None:
        kind, data = frame.get("kind"), frame.get("data")
        if kind == "display" and isinstance(data, dict):
            self._take_display(frame, data, sink)
        elif kind == "clear":
            sink.clear(wait=bool(frame.get("wait")))
        elif kind == "new":
            self.note = f"new session of Python {_short(frame.get('python'))}"
        elif kind == "lost":
            self.session_died = True
        elif kind == "values":
            self.values = frame
        elif kind in ("error", "value"):
            line = frame.get("line")
            where = f" (line {line})" if isinstance(line, int) else ""
            self.exception = _short(frame.get("text")) + where

    def _take_display(self, frame: JsonObject, data: JsonObject, sink: Sink) -> None:
        bundle = sanitize(data, frame_network=self._context.settings.frame_network)
        size = sum(len(data) if isinstance(data, str) else len(json.dumps(data)) for data in bundle.values())
        if self._displayed + size > MOST_OF_DISPLAYS:
            if self._displayed <= MOST_OF_DISPLAYS:
                sink.write("stderr", f"... (what a cell displays is shown up to {MOST_OF_DISPLAYS:,} characters) ...\n")
            self._displayed = MOST_OF_DISPLAYS + 1
            return
        self._displayed += size
        display_id, update = self._display_id(frame), bool(frame.get("update"))
        if update:
            for shown in self._displays:
                # All of that id: a display may have been shown in several places.
                if shown.display_id == display_id:
                    shown.bundle = bundle
        else:
            self._displays.append(_Shown(display_id, bundle))
        sink.display(bundle, display_id=display_id, update=update)

    def _display_id(self, frame: JsonObject) -> str:
        """The id of a display, which the notebook's later cells know too; it can mean no display of anything else."""
        # Hashed with the devbox's id: an id that a devbox chose must never name a display of the notebook itself.
        given, devbox = str(frame.get("id") or ""), self._command.devbox.id
        return hashlib.sha256(f"{devbox}\0{given}".encode("utf-8", "replace")).hexdigest()[:32] if given else ""


class PythonCommandRun(CommandRun):
    """One Python cell that runs on one devbox: its output, its displays, its exception."""

    def __init__(
        self, context: RunContext, devbox: DevboxInfo, spec: CommandSpec, transcript: Transcript, word: str
    ) -> None:
        super().__init__(context, devbox, spec, transcript)
        self.word = word
        self._printed = PythonOutput(context, transcript, self._command, word)

    @property
    def note(self) -> str:
        """Says that a session began with it."""
        return self._printed.note

    def _output(self) -> CommandOutput:
        return self._printed

    async def _result(self, exit_code: int | None, error: str = "") -> PythonResult:
        result = PythonResult(exit_code, self.transcript, **self.facts, error=error)
        result.displays, result.exception = self._printed.displays, self._printed.exception
        if self._printed.session_died:
            await self._command.check_ended()  # of a devbox that ended, the session is the least loss
            result.exception = "the Python session died with the cell, and its variables are gone; this was"
        return result


class PythonCellRun(PythonCommandRun):
    """One Python cell from its start to its end."""

    def __init__(
        self, context: RunContext, devbox: DevboxInfo, spec: CommandSpec, cell: PythonCell, transcript: Transcript
    ) -> None:
        super().__init__(context, devbox, spec, transcript, os.urandom(8).hex())
        self._cell = cell

    async def start(self) -> None:
        """Send the cell along with the command that hands it to its session."""
        try:
            values = await asyncio.to_thread(pack, dict(self._cell.values), pickles=True)
        except ValueProblem as problem:
            raise UsageError(f"--in: {problem}.") from problem
        request = self._request(values if len(values) < _INLINE // 2 else b"")
        if len(values) >= _INLINE // 2:
            request["values_path"] = await self._park(values, "values")
        data = json.dumps(request).encode()
        argument = base64.b64encode(data).decode()
        if len(argument) > _INLINE:
            # A program's arguments have a limit, which differs from system to system.
            argument = "@" + await self._park(data, "cell")
        interpreter = self._cell.interpreter
        command = f"exec {interpreter} -c {quote(program())} {quote(argument)}"
        # The session moves to the folder and sets the variables itself: they are to stay for the cells after this one.
        self.spec = self.spec._replace(command=command, cwd=None, env=())
        await super().start()

    def _request(self, values: bytes) -> JsonObject:
        return {
            "session": self._cell.session,
            "restart": self._cell.restart,
            "word": self.word,
            "code": self._cell.code,
            "offset": self._cell.offset,
            "cwd": self.spec.cwd,
            "env": dict(self.spec.env),
            "values": base64.b64encode(values).decode(),
            "values_path": "",
            "out": self._cell.out,
            "spill": self._parked("out"),
        }

    async def _result(self, exit_code: int | None, error: str = "") -> PythonResult:
        result = await super()._result(exit_code, error)
        if exit_code == _MISSING and not self._printed.session_died and not await self._can_start():
            result.exception = f"{self._cell.interpreter} cannot be started (--python)"
        if self._cell.out and exit_code == 0:
            result.values = await self._values()
        return result

    async def _can_start(self) -> bool:
        """Return True if the interpreter exists: a cell may end with any exit code."""
        from runloop_sdk.own_commands import own_command

        program = self._cell.interpreter.partition(" ")[0]
        look = CommandSpec(f"command -v {program}", user=self.spec.user)
        return (await (await self._command.box()).cmd.exec(own_command(look.prepared))).success

    async def _values(self) -> dict[str, object]:
        """The values that came back. What a devbox sends is never unpickled."""
        frame = self._printed.values
        if frame is None:
            raise RemoteError(f"No values came back from {self.devbox.label}.")
        try:
            data = base64.b64decode(str(frame["data"])) if "data" in frame else await self._fetch()
            values = await asyncio.to_thread(unpack, data, pickles=False)
        except (ValueProblem, ValueError) as problem:
            raise UsageError(f"--out: {str(problem).rstrip('.')}.") from problem
        return {name: values[name] for name in self._cell.out if name in values}

    async def _fetch(self) -> bytes:
        devbox = await self._command.box()
        path = self._parked("out")
        data = bytearray()
        async with devbox.file.stream(path=path) as pieces:
            async for piece in pieces:
                data += piece
                # Counted as it comes: the size that the devbox told is only its word.
                if len(data) > MOST_OF_VALUES:
                    raise UsageError(
                        f"--out: the values have over {MOST_OF_VALUES:,} bytes: %devbox download takes files."
                    )
        await devbox.file.remove(path)
        return bytes(data)

    async def _park(self, data: bytes, what: str) -> str:
        path = self._parked(what)
        await (await self._command.box()).file.upload(path=path, file=data)
        return path

    def _parked(self, what: str) -> str:
        return f"/tmp/runloop-{self.word}.{what}"  # noqa: S108 - in the devbox, which is its user's alone


def _content(line: str) -> JsonObject | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None  # not from the session: it is shown as what was printed
    return found if isinstance(found, dict) else None


def _short(text: object) -> str:
    return "".join(char if char.isprintable() else " " for char in str(text))[:500]
