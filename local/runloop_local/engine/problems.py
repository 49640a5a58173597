"""Reports problems of background tasks: once in the log, and in the status while they last."""

from __future__ import annotations

import logging

_log = logging.getLogger("runloop_local")


def tell(problems: dict[str, str], what: str, sentence: str) -> None:
    """Record a problem with `what`, and log it unless it is already recorded."""
    if problems.get(what) != sentence:
        problems[what] = sentence
        _log.warning("%s", sentence)
