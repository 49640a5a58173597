"""`%devbox list`."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from ...devboxes import LIVE, DevboxInfo, describe
from ...rendering import DevboxTable
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.params.devboxes import DevboxStatus

    from ...session import Session

_STATES = (*LIVE, "shutdown", "failure")
_LIMIT = 1000


def parser() -> Parser:
    """The options of `%devbox list`."""
    made = Parser("%devbox list", "Show the devboxes that run or can run again, newest first.")
    made.add_argument("--all", action="store_true", help="also those that have ended")
    made.add_argument("--status", choices=_STATES, metavar="STATE", help="only these: " + ", ".join(_STATES))
    made.add_argument("--limit", type=_count, default=_LIMIT, metavar="N", help=f"at most so many (default {_LIMIT})")
    return made


async def run(session: Session, args: argparse.Namespace) -> DevboxTable:
    """The table."""
    sdk = await session.sdk()
    found, more = await _collect(sdk, _wanted(args), args.limit)
    session.names.keep("devbox", [each.short for each in found if each.alive])
    note = f"The newest {args.limit:,}; --limit N shows more." if more else ""
    if not found and (args.status or args.all):
        note = "No such devbox."
    return DevboxTable(found, current=session.current.id if session.current else None, note=note)


async def live(sdk: AsyncRunloopSDK) -> list[DevboxInfo]:
    """The devboxes that run or can run again, newest first."""
    return (await _collect(sdk, LIVE, _LIMIT))[0]


def _wanted(args: argparse.Namespace) -> tuple[DevboxStatus | None, ...]:
    if args.status:
        return (args.status,)
    return (None,) if args.all else LIVE


async def _collect(
    sdk: AsyncRunloopSDK, states: tuple[DevboxStatus | None, ...], limit: int
) -> tuple[list[DevboxInfo], bool]:
    """Asks per state, together: an account's live devboxes may be older than thousands that have ended."""
    parts = await asyncio.gather(*(_newest(sdk, state, limit + 1) for state in states))
    found = {devbox.id: devbox for part in parts for devbox in part}
    newest = sorted(found.values(), key=lambda each: each.created_ms, reverse=True)
    return newest[:limit], len(newest) > limit


async def _newest(sdk: AsyncRunloopSDK, status: DevboxStatus | None, limit: int) -> list[DevboxInfo]:
    found: list[DevboxInfo] = []
    async for view in sdk.api.devboxes.list(limit=min(limit, _LIMIT), status=status):
        found.append(describe(view))
        if len(found) >= limit:
            break
    return found


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of devboxes")
    return int(text)
