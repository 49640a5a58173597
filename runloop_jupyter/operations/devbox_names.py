"""The devboxes that have a name already: a second one would leave it open which of them is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..resources.devboxes import choose, describe, live
from ..resources.ownership import HERE
from ..text.quoting import as_word, printable
from .lifecycle import handle_of, resume, suspend

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..session import Session
    from .observer import Observer

_SHOWN = 4


async def same_named(session: Session, name: str) -> list[DevboxInfo]:
    """The devboxes with exactly this name that run or can run again, newest first."""
    found = [box for box in await live(await session.client.sdk(), name) if box.name == name] if name else []
    return await session.ownerships.described(found) if found else []


async def check_free(session: Session, name: str, *, reuse: str = "") -> None:
    """Raise `UsageError` where a devbox has the name; `reuse` is what to type to take that one."""
    if found := await same_named(session, name):
        raise UsageError(_taken(name, found, reuse))


def _taken(name: str, found: list[DevboxInfo], reuse: str) -> str:
    shown = ", ".join(f"{box.id} ({box.status}, of {box.owner})" for box in found[:_SHOWN])
    more = ", …" if len(found) > _SHOWN else ""
    use = f"Use it: %devbox use {as_word(found[0].id if len(found) > 1 else name)}"
    take = f", or in a cell that is run again: {reuse}" if reuse else ""
    return f"The name {printable(name)!r} is taken by {shown}{more}. {use}{take}. Else give another name."


async def reuse_by_name(
    session: Session, name: str, found: list[DevboxInfo], observer: Observer
) -> tuple[DevboxInfo, str]:
    """Make the devbox of this name run and the current one; return it, and what was done in a word.

    This notebook's go before others. Raises `UsageError` where several are as good.
    """
    box = choose(name, [each for each in found if each.owner in HERE.values()] or found)
    if box.status == "running":
        session.choose(box)
        return box, "Using"
    if box.status in ("suspended", "suspending"):
        await suspend(session, box, observer)
        (suspended,) = await session.ownerships.described([await session.find(box.id)])
        return await resume(session, suspended, observer), "Resumed"
    running = describe(await (await handle_of(session, box)).await_running())
    session.choose(running)
    return running, "Using"
