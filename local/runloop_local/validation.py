"""Where JSON does not fit its type, and why: msgspec's errors as sentences of the service tell them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import msgspec

_MESSAGE = re.compile(r"(?P<reason>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")


def located(error: msgspec.MsgspecError) -> tuple[str, str]:
    """The place of an error, such as `mounts.0.type`, and the reason; the place is empty for the document itself."""
    found = _MESSAGE.fullmatch(str(error))
    reason, path = (str(error), "") if found is None else (found["reason"], found["path"] or "")
    steps = path.removeprefix("key in ").removeprefix("$").replace("[...]", ".*")
    place = steps.replace("[", ".").replace("]", "").removeprefix(".")
    missing = _MISSING.fullmatch(reason)
    if missing is None:
        return place, reason
    return f"{place}.{missing[1]}".removeprefix("."), "Field required"


def sentence(error: msgspec.MsgspecError) -> str:
    """The place of an error and the reason, in a line."""
    place, reason = located(error)
    return f"{place}: {reason}" if place else reason
