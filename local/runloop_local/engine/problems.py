"""What goes wrong in the background, where no request is answered: in the log once, in the status while it lasts."""

from __future__ import annotations

import logging

_log = logging.getLogger("runloop_local")


def tell(problems: dict[str, str], what: str, sentence: str) -> None:
    """Note that there is a problem with `what`; in the log, unless it says the same already."""
    if problems.get(what) != sentence:
        problems[what] = sentence
        _log.warning("%s", sentence)
