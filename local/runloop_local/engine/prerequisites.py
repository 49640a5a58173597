"""What the engine needs before it can be composed: its data folder, the store in it, and the isolation.

Opening these is mostly waiting for another process, the fork server. So this imports little: the service imports the
rest of itself meanwhile.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..sandbox import open_isolation
from ..sandbox.processes import raise_descriptor_limit
from .errors import ConflictError
from .storage import data_folder
from .storage.reserve import Reserve
from .storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from ..fork_server import ForkServer
    from ..sandbox import Isolation, Requested


@dataclass(frozen=True, slots=True)
class Prerequisites:
    """A locked data folder, its store, and the isolation."""

    data_dir: Path
    reserve: Reserve
    store: Store
    isolation: Isolation
    closing: AsyncExitStack
    """Closes them in reverse order."""

    @classmethod
    async def open(cls, data_dir: Path, requested: Requested, fork_server: ForkServer | None = None) -> Prerequisites:
        """Open them, and lock the folder, with a fork server that may have been started before.

        Raises `OSError`, `SandboxError` or `EngineError`.
        """
        async with AsyncExitStack() as closing:
            closing.callback(os.close, _lock(data_dir))
            raise_descriptor_limit()
            reserve = Reserve(data_dir / "reserve")
            reserve.make_room()
            # Before anything is created or deleted: this fails for a database of a newer version, or one that is
            # missing although there are disks.
            store = _store(data_dir, reserve)
            closing.push_async_callback(store.aclose)
            # Together, as both are waiting: for another process, and for the disk.
            isolation, _ = await asyncio.gather(
                open_isolation(data_dir / "sandboxes", requested, fork_server), asyncio.to_thread(reserve.restore)
            )
            closing.push_async_callback(isolation.aclose)
            return cls(data_dir, reserve, store, isolation, closing.pop_all())


def _store(data_dir: Path, reserve: Reserve) -> Store:
    file = data_dir / "service.db"
    return Store.open(file, reserve, lambda: data_folder.require_empty(data_dir, file))


def _lock(data_dir: Path) -> int:
    data_folder.make(data_dir)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConflictError(f"Another runloop-local service already uses {data_dir}.") from None
    return lock
