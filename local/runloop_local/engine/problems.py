"""Reports problems of background tasks: once in the log, and in the status while they last."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..sandbox.base import SandboxError
from .errors import EngineError

_log = logging.getLogger("runloop_local")


def tell(problems: dict[str, str], what: str, sentence: str) -> None:
    """Record a problem with `what`, and log it unless it is already recorded."""
    if problems.get(what) != sentence:
        problems[what] = sentence
        _log.warning("%s", sentence)


@contextmanager
def telling(problems: dict[str, str], what: str, sentence: str) -> Iterator[None]:
    """Record what the body raises as a problem with `what`, after this sentence; a body that succeeds ends it."""
    try:
        yield
    except (SandboxError, EngineError, OSError) as error:
        tell(problems, what, f"{sentence}: {error}")
        raise
    problems.pop(what, None)
