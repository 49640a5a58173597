"""Whether the main thread waits for the calling one: then nothing that needs the main thread will ever be done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType

_WAITS = frozenset({"join", "result", "wait", "get"})
_OF_POOL = "multiprocessing.pool"


def main_waits_for_this_thread() -> bool:
    """Whether it does so without a limit: for the thread's end, or for what an executor or a pool does in it."""
    waits = list(_waits(sys._current_frames().get(threading.main_thread().ident or 0)))
    works = [threading.current_thread(), *_works(sys._getframe())]
    return any(wait is work or _job(wait) == work for wait in waits for work in works)


def _waits(frame: FrameType | None) -> Iterator[object]:
    """What a thread waits for without a limit, by its frames."""
    for each in _outward(frame):
        if each.f_code.co_name in _WAITS and each.f_locals.get("timeout") is None:
            yield each.f_locals.get("self")


def _works(frame: FrameType | None) -> Iterator[object]:
    """What is done in a thread: the future of an executor, the number of a pool's job."""
    for each in _outward(frame):
        module = each.f_globals.get("__name__")
        if module == "concurrent.futures.thread" and each.f_code.co_name == "run":
            yield getattr(each.f_locals.get("self"), "future", None)
        elif module == _OF_POOL and each.f_code.co_name == "worker":
            yield each.f_locals.get("job")


def _job(result: object) -> object:
    """The number of a pool's job; itself, which no number equals, for anything else."""
    return getattr(result, "_job", result) if type(result).__module__ == _OF_POOL else result


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
