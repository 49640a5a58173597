"""One command on many devboxes at once."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..devboxes import DevboxInfo, describe
from ..errors import MagicError, UsageError, did_you_mean
from ..results import DevboxResult, FanOutResult
from ..transcript import Transcript
from .grid import Row, row_of, summary
from .prefixed import PrefixedOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..cell_output import CellOutput
    from ..session import Session
    from .run import CommandRun

    MakeRun = Callable[[DevboxInfo, Transcript], CommandRun]

_HEAD = 300_000  # characters that all devboxes together may show; beyond their shares only their last lines are
_IN_MEMORY = 64 * 1024 * 1024  # bytes of output that all together keep in memory
_LONGEST_INTERVAL = 2.0
_ID = "dbx_"
_INTERVAL = 0.25  # seconds between two looks of a small grid


class Member:
    """One devbox's part."""

    def __init__(self, session: Session, run: CommandRun, output: PrefixedOutput) -> None:
        self.devbox = run.devbox
        self.result: DevboxResult | None = None
        self._session = session
        self._output = output
        self._run = run
        self._is_started = False

    async def run(self) -> DevboxResult:
        """Run the command to its end; a devbox that fails has a result that says so. Cancelled, it is killed."""
        try:
            self.result = await self._session.guard(self._finish())
        except MagicError as error:
            self.result = DevboxResult(None, self._run.transcript, **self._run.facts, error=str(error))
        finally:
            self._output.close()
        return self.result

    async def kill(self) -> None:
        """Kill the command if it runs."""
        if self._is_started and self.result is None:
            await self._session.guard(self._run.kill())

    @property
    def row(self) -> Row:
        """How it is now."""
        if self.result is not None:
            return row_of(self.devbox.short, self.result)
        last = self._output.last_line
        if self._is_started:
            return Row(self.devbox.short, "running", "running", self._run.seconds, last)
        return Row(self.devbox.short, "starting", "starting", self._run.seconds, last)

    async def _finish(self) -> DevboxResult:
        await self._run.start()
        self._is_started = True
        try:
            return await self._run.finish(self._output)
        except asyncio.CancelledError:
            await self._run.kill()
            raise


class FanOut:
    """One command on many devboxes: `run`, while `rows` shows how they are."""

    def __init__(
        self, session: Session, devboxes: Sequence[DevboxInfo], make: MakeRun, output: CellOutput, *, tail: int | None
    ) -> None:
        width = max(len(devbox.short) for devbox in devboxes)
        budget = 0 if tail is not None else _HEAD // len(devboxes)
        last = tail or max(min(500 // len(devboxes), 10), 3)
        memory = max(_IN_MEMORY // len(devboxes), 64 * 1024)
        self._members = [
            Member(
                session,
                make(box, Transcript(in_memory=memory)),
                PrefixedOutput(box.short, width, n, output, budget=budget, last=last),
            )
            for n, box in enumerate(devboxes)
        ]

    @property
    def rows(self) -> list[Row]:
        """How each devbox is now."""
        return [member.row for member in self._members]

    @property
    def summary(self) -> str:
        """The same in a few words."""
        return summary(self.rows)

    async def run(self, *, fail_fast: bool, show: Callable[[list[Row]], None]) -> FanOutResult:
        """The result of each. With `fail_fast` the first failure kills the others; Stop kills all."""
        showing = asyncio.create_task(self._show(show))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run(member, fail_fast=fail_fast)) for member in self._members]
        finally:
            showing.cancel()
        return FanOutResult(task.result() for task in tasks)

    async def _run(self, member: Member, *, fail_fast: bool) -> DevboxResult:
        result = await member.run()
        if fail_fast and not result.success:
            await asyncio.gather(*(other.kill() for other in self._members))
        return result

    async def _show(self, show: Callable[[list[Row]], None]) -> None:
        pause = min(_INTERVAL + len(self._members) / 500, _LONGEST_INTERVAL)
        while True:
            show(self.rows)
            await asyncio.sleep(pause)


def is_pattern(reference: str) -> bool:
    """Whether what follows --on may mean several devboxes."""
    return reference == "all" or any(char in reference for char in "*?[")


async def matching(session: Session, references: Sequence[str]) -> list[DevboxInfo]:
    """The devboxes that names, ids and patterns mean together, each once. Raises `UsageError` for one without any."""
    found: dict[str, DevboxInfo] = {}
    running: list[DevboxInfo] | None = None
    for reference in references:
        if not is_pattern(reference):
            devbox = await session.find(reference)
            found[devbox.id] = devbox
            continue
        if running is None:
            running = await _running(session)
        matches = [box for box in running if reference == "all" or _matches(box, reference)]
        if not matches:
            raise UsageError(_no_match(reference, running))
        found.update((box.id, box) for box in matches)
    return list(found.values())


async def _running(session: Session) -> list[DevboxInfo]:
    """The running devboxes by name, so that the rows of a grid have an order that a reader can follow."""
    sdk = await session.sdk()
    found = [describe(view) async for view in sdk.api.devboxes.list(limit=1000, status="running")]
    return sorted(found, key=lambda box: (_natural(box.name), box.created_ms))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts web-2 before web-10."""
    import re

    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _matches(devbox: DevboxInfo, pattern: str) -> bool:
    return fnmatchcase(devbox.id if pattern.startswith(_ID) else devbox.name, pattern)


def _no_match(reference: str, running: Sequence[DevboxInfo]) -> str:
    if not running:
        return f"--on {reference}: no devbox is running. Create one: %devbox create"
    near = did_you_mean(reference.strip("*?"), [box.short for box in running])
    return f"--on {reference}: no running devbox has such a name or id.{near} %devbox list shows them all."
