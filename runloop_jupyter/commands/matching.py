"""Finding devboxes by pattern: `'web-*'`, `all`, or plain names and ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..errors import UsageError, did_you_mean
from ..resources.devboxes import describe, live

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..session import Session

_ID = "dbx_"


def is_pattern(reference: str) -> bool:
    """True if it may mean several devboxes."""
    return reference == "all" or any(char in reference for char in "*?[")


async def matching(session: Session, references: Sequence[str], *, running: bool = True) -> list[DevboxInfo]:
    """The devboxes that names, ids and patterns mean together, each once.

    Patterns mean `running` devboxes, or all that live. Raises `UsageError` for a reference that means none.
    """
    found: dict[str, DevboxInfo] = {}
    known: list[DevboxInfo] | None = None
    for reference in references:
        if not is_pattern(reference):
            devbox = await session.find(reference)
            found[devbox.id] = devbox
            continue
        if known is None:
            known = await _known(session, running=running)
        matches = [box for box in known if reference == "all" or _matches(box, reference)]
        if not matches:
            raise UsageError(_no_match(reference, known, "running " if running else ""))
        found.update((box.id, box) for box in matches)
    return list(found.values())


async def _known(session: Session, *, running: bool) -> list[DevboxInfo]:
    """The devboxes by name, so that the rows of a grid have an order that a reader can follow."""
    sdk = await session.client.sdk()
    if running:
        found = [describe(view) async for view in sdk.api.devboxes.list(limit=1000, status="running")]
    else:
        found = await live(sdk)
    return sorted(found, key=lambda box: (_natural(box.name), box.created_ms))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts web-2 before web-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _matches(devbox: DevboxInfo, pattern: str) -> bool:
    return fnmatchcase(devbox.id if pattern.startswith(_ID) else devbox.name, pattern)


def _no_match(reference: str, known: Sequence[DevboxInfo], which: str) -> str:
    if not known:
        return f"No devbox matches {reference!r}: there are no {which}devboxes. Create one: %devbox create"
    near = did_you_mean(reference.strip("*?"), [box.known_as for box in known])
    return f"No {which}devbox matches {reference!r}.{near} %devbox list shows them all."
