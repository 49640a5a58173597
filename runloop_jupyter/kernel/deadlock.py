"""Detects a deadlock: the main thread waits for a thread that itself waits for the main thread's event loop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType

# CPython has no list of waiting threads. But a thread that waits stands in one of these methods, whose frame has the
# object that it waits for as `self`, and no timeout if it waits for ever.
_WAITS = frozenset({"join", "result", "wait", "get"})
_OF_POOL = "multiprocessing.pool"


def main_waits_for_this_thread() -> bool:
    """True if the main thread waits, without a timeout, for this thread or for the job of a pool that it runs."""
    waits = list(_waits(sys._current_frames().get(threading.main_thread().ident or 0)))
    jobs = [threading.current_thread(), *_jobs(sys._getframe())]
    return any(wait is job or _job_of(wait) == job for wait in waits for job in jobs)


def _waits(frame: FrameType | None) -> Iterator[object]:
    """The objects that a thread waits for without a timeout, as its stack shows them."""
    for each in _outward(frame):
        if each.f_code.co_name in _WAITS and each.f_locals.get("timeout") is None:
            yield each.f_locals.get("self")


def _jobs(frame: FrameType | None) -> Iterator[object]:
    """The jobs that a thread runs: an executor's future, or the number of a pool's job."""
    for each in _outward(frame):
        module = each.f_globals.get("__name__")
        if module == "concurrent.futures.thread" and each.f_code.co_name == "run":
            yield getattr(each.f_locals.get("self"), "future", None)
        elif module == _OF_POOL and each.f_code.co_name == "worker":
            yield each.f_locals.get("job")


def _job_of(result: object) -> object:
    """The job number of a pool's result; any other object is returned as it is, and equals no job."""
    return getattr(result, "_job", result) if type(result).__module__ == _OF_POOL else result


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
