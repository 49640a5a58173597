"""The outputs of commands on disk: their size, and the removal of those that are too old to be kept.

The output of each command is a folder. A devbox that has ended may lose all of them, one that lives the oldest, except
those of the last `KEPT` commands and of those that run. A record outlives its output and knows its size, so output that
is no longer kept is never mistaken for none.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from ..errors import DiskFullError
from ..ids import now_ms
from ..storage.records import Record, body_of, loader
from ..storage.retention import Item
from ..storage.store import Document, Query
from .execution import KILLED
from .lifecycle import TERMINAL, DevboxRecord
from .output_log import OutputLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from pathlib import Path

    from ..storage.retention import Removal
    from ..storage.store import Store
    from .execution import ExecutionRecord

KIND = "ended_devbox"
KEPT = 32
"""The number of commands of a devbox that lives whose output is always kept."""
RECORD_BYTES = 1024
"""About what the record of a command takes, apart from the command itself."""
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Ended(Record):
    """The sizes of what is kept of a devbox that has ended."""

    id: str
    time_ms: int
    output_bytes: int
    record_bytes: int
    is_pruned: bool = False
    """True once the output of its commands has been removed."""


class _Live(msgspec.Struct):
    """The commands that have ended in a devbox that lives, oldest first, with the bytes of their output."""

    outputs: deque[tuple[str, int]] = msgspec.field(default_factory=deque)
    output_bytes: int = 0
    record_bytes: int = RECORD_BYTES
    running: dict[str, OutputLog] = msgspec.field(default_factory=dict)

    @property
    def removable_bytes(self) -> int:
        """The bytes of all but the last."""
        if len(self.outputs) <= KEPT:
            return 0
        return self.output_bytes - sum(bytes_ for _, bytes_ in islice(reversed(self.outputs), KEPT))

    def add(self, execution_id: str, output_bytes: int, record_bytes: int) -> None:
        self.outputs.append((execution_id, output_bytes))
        self.output_bytes += output_bytes
        self.record_bytes += record_bytes

    def add_older(self, outputs: Mapping[str, int]) -> int:
        """Add the outputs that an earlier service has left, newest first; the bytes that were not known yet."""
        known, before = {name for name, _ in self.outputs} | self.running.keys(), self.output_bytes
        for name, bytes_ in outputs.items():
            if name not in known:
                self.outputs.appendleft((name, bytes_))
                self.output_bytes += bytes_
                self.record_bytes += RECORD_BYTES
        return self.output_bytes - before

    def take_oldest(self, bytes_: int) -> tuple[list[str], int]:
        """The commands whose output is to go, at least so many bytes if there are, and the bytes of them."""
        names, freed = [], 0
        while freed < bytes_ and len(self.outputs) > KEPT:
            name, size = self.outputs.popleft()
            names.append(name)
            freed += size
        self.output_bytes -= freed
        return names, freed


_loaded = loader(DevboxRecord)


class History:
    """The outputs of all commands on disk, below `folder`, and how long they and the records are kept."""

    def __init__(self, store: Store, folder: Path, grown: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self._store = store
        self._grown = grown
        self._since = now_ms()
        self._live: dict[str, _Live] = {}
        self._ended: dict[str, Ended] = {}
        self.output_bytes = 0
        """Of all commands that have ended."""
        self.record_bytes = 0
        """Of all devboxes that have ended."""
        self._is_restored = False

    @property
    def ended(self) -> Collection[Ended]:
        """The devboxes that have ended."""
        return self._ended.values()

    @property
    def removable(self) -> dict[str, int]:
        """The bytes of output that may go of each devbox that lives."""
        return {name: bytes_ for name, live in self._live.items() if (bytes_ := live.removable_bytes)}

    def begin(self, record: ExecutionRecord) -> OutputLog:
        """The log for the output of a new command."""
        log = OutputLog(self.folder / record.devbox_id / record.id)
        # A command may begin while its devbox ends: its output goes with the devbox then, and is not counted twice.
        if record.devbox_id not in self._ended:
            self._live.setdefault(record.devbox_id, _Live()).running[record.id] = log
        return log

    def output_bytes_of(self, devbox_id: str) -> int:
        """The size of the output that is kept of a devbox that lives."""
        live = self._live.get(devbox_id)
        return 0 if live is None else live.output_bytes + sum(log.disk_bytes for log in live.running.values())

    def drop(self, record: ExecutionRecord) -> None:
        """Forget a command that was not started after all."""
        if (live := self._live.get(record.devbox_id)) is not None:
            live.running.pop(record.id, None)

    def end(self, record: ExecutionRecord, log: OutputLog) -> None:
        """Count the output of a command that has ended."""
        live = self._live.get(record.devbox_id)
        if live is not None:
            live.running.pop(record.id, None)
            live.add(record.id, log.disk_bytes, RECORD_BYTES + len(record.command))
            self.output_bytes += log.disk_bytes
            self._grown()

    def output(self, record: ExecutionRecord) -> OutputLog:
        """The output of an ended command; reading it raises `PrunedError` if that is no longer kept."""
        ended = self._ended.get(record.devbox_id)
        printed = record.printed or ((1, 1) if ended is not None and ended.is_pruned else None)
        return OutputLog(self.folder / record.devbox_id / record.id, finished=True, printed=printed)

    def killed(self, record: ExecutionRecord) -> ExecutionRecord:
        """The record of a command whose end nobody has noted: it was killed before this service began."""
        return record.ended(self.output(record), max(self._since, record.start_time_ms), KILLED)

    async def end_devbox(self, record: DevboxRecord) -> None:
        """Note that a devbox has ended, and its commands with it. Repeating it is not an error."""
        live = self._live.pop(record.id, None) or _Live()
        self.output_bytes -= live.output_bytes
        if record.id in self._ended:
            return
        end = record.end_time_ms or now_ms()
        if self._is_restored:
            await self._know(Ended(record.id, end, live.output_bytes, live.record_bytes))
        else:  # there may be more of an earlier service
            await self._learn_ended(record.id, end)
        self._grown()

    async def restore(self) -> None:
        """Find and count what earlier services have left."""
        for ended in await self._store.records(KIND, loader(Ended)):
            self._count(ended)
        folders = await asyncio.to_thread(_names, self.folder)
        async for devbox_id, status, end_time_ms in self._devboxes():
            if status in TERMINAL:
                await self._learn_ended(devbox_id, end_time_ms or now_ms())
            elif devbox_id in folders:
                await self._learn_live(devbox_id)
            folders.discard(devbox_id)
        known = await self._store.statuses("devbox", folders)  # of a record that cannot be read nothing is removed
        for stray in folders - known.keys():
            await self._learn_ended(stray, now_ms())
        self._is_restored = True

    async def remove_output(self, devbox_id: str) -> int:
        """Remove the output of all commands of an ended devbox; the bytes of it."""
        await asyncio.to_thread(_remove, self.folder / devbox_id)
        ended = self._ended[devbox_id]
        await self._know(replace(ended, output_bytes=0, is_pruned=True))
        return ended.output_bytes

    async def trim(self, devbox_id: str, bytes_: int) -> int:
        """Remove the oldest outputs of a devbox that lives, at least so many bytes if there are; the bytes of them."""
        live = self._live.get(devbox_id)
        if live is None:
            return 0  # it has ended meanwhile
        names, freed = live.take_oldest(bytes_)
        self.output_bytes -= freed
        await asyncio.to_thread(_remove, *(self.folder / devbox_id / name for name in names))
        return freed

    async def forget(self, devbox_id: str) -> int:
        """Remove all that is kept of an ended devbox; returns the bytes of the records.

        Raises `UnreadableError` if its record cannot be read, and then removes nothing.
        """
        await self._store.record("devbox", devbox_id, _loaded)
        await asyncio.to_thread(_remove, self.folder / devbox_id)
        await self._store.delete_children("execution", devbox_id)
        await self._store.delete("devbox", devbox_id)
        await self._store.delete(KIND, devbox_id)
        ended = self._ended.pop(devbox_id)
        self._discount(ended)
        return ended.record_bytes

    async def _know(self, ended: Ended) -> None:
        self._count(ended)
        with suppress(DiskFullError):  # the next service counts anew
            await self._store.put(Document(KIND, ended.id, body_of(ended), time_ms=ended.time_ms))

    def _count(self, ended: Ended) -> None:
        if ended.id in self._ended:
            self._discount(self._ended[ended.id])
        self._ended[ended.id] = ended
        self.output_bytes += ended.output_bytes
        self.record_bytes += ended.record_bytes

    def _discount(self, ended: Ended) -> None:
        self.output_bytes -= ended.output_bytes
        self.record_bytes -= ended.record_bytes

    async def _devboxes(self) -> AsyncIterator[tuple[str, str, int | None]]:
        """Id, status and end of all devboxes, newest first."""
        cursor = None
        while True:
            page = await self._store.page(Query("devbox", limit=_PAGE, starting_after=cursor, count=False))
            for view in map(json.loads, page.views):
                cursor = view["id"]
                yield cursor, view["status"], view["end_time_ms"]
            if not page.has_more:
                return

    async def _learn_ended(self, devbox_id: str, end_time_ms: int) -> None:
        if devbox_id not in self._ended:
            outputs = await asyncio.to_thread(_outputs, self.folder / devbox_id)
            records = RECORD_BYTES * (1 + len(outputs))
            await self._know(Ended(devbox_id, end_time_ms, sum(outputs.values()), records))

    async def _learn_live(self, devbox_id: str) -> None:
        outputs = await asyncio.to_thread(_outputs, self.folder / devbox_id)
        if devbox_id not in self._ended:
            live = self._live.setdefault(devbox_id, _Live())
            self.output_bytes += live.add_older(outputs)


class Outputs:
    """The outputs of commands, as `Retention` keeps them within a limit."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def restore(self) -> None:
        """Find and count what earlier services have left."""
        await self._history.restore()

    def items(self) -> list[Item]:
        """One for each devbox."""
        ended = [Item(each.id, each.time_ms, {each.id: each.output_bytes}) for each in self._history.ended]
        live = [Item(name, now_ms(), {name: bytes_}, live=True) for name, bytes_ in self._history.removable.items()]
        return [item for item in ended if item.parts[item.id]] + live

    def total(self) -> int:
        """The bytes of the output of all commands that have ended."""
        return self._history.output_bytes

    async def remove(self, removal: Removal) -> int:
        """Remove output; returns the bytes of it."""
        if removal.item.live:
            return await self._history.trim(removal.item.id, removal.bytes)
        return await self._history.remove_output(removal.item.id)


class EndedRecords:
    """The records of devboxes that have ended, as `Retention` keeps them within a limit; output goes with them."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def restore(self) -> None:
        """Do nothing: `Outputs` has found all."""

    def items(self) -> list[Item]:
        """One for each devbox."""
        return [Item(each.id, each.time_ms, {each.id: each.record_bytes}) for each in self._history.ended]

    def total(self) -> int:
        """About the bytes of all of them."""
        return self._history.record_bytes

    async def remove(self, removal: Removal) -> int:
        """Forget a devbox; returns about the bytes of its records."""
        return await self._history.forget(removal.item.id)


def _names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208 -- names are all that is wanted


def _outputs(folder: Path) -> dict[str, int]:
    """The bytes of each output in the folder of a devbox, newest first."""
    found = []
    for name in _names(folder):
        with suppress(FileNotFoundError):
            files = [(folder / name / each).stat() for each in ("", *_names(folder / name))]
            found.append((files[0].st_mtime, name, sum(file.st_blocks * 512 for file in files)))
    return {name: bytes_ for _, name, bytes_ in sorted(found, reverse=True)}


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
