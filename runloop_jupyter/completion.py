"""Completion of subcommands, options, names and paths. What is not known yet is asked for, for a moment at most."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion

from .commands import DEVBOX, NOUNS, RUNLOOP
from .errors import MagicError

if TYPE_CHECKING:
    from IPython.core.completer import SimpleMatcherResult

    from .commands.noun import Noun
    from .commands.parser import Parser
    from .session import Session

_LINE = re.compile(r"(?:\s*|.*=\s*)%%?(?P<magic>devbox|runloop)\s+(?P<words>.*)", re.DOTALL)
_SHELL_CELL = re.compile(r"\s*%%devbox\s+exec\b")
_PATIENCE = 0.25  # seconds that a completion may wait for the network
_MOST = 500  # entries of one folder


def complete(session: Session, text: str, cell: str = "") -> SimpleMatcherResult:
    """What IPython's matcher API wants for a line up to the cursor; nothing for lines that are not ours.

    `cell` is the whole cell: below `%%devbox exec` the devbox's paths are completed.
    """
    line = _LINE.fullmatch(text)
    if line is not None:
        *before, word = re.split(r"\s+", line["words"])
        return _offer(word, _candidates(session, line["magic"], before, word))
    if _SHELL_CELL.match(cell):
        word = re.split(r"[\s=:'\"<>|;&(]", text)[-1]
        return _offer(word, _remote_paths(session, word) if "/" in word else ())
    return {"completions": [], "suppress": False}


def _offer(word: str, candidates: Sequence[str]) -> SimpleMatcherResult:
    found = [SimpleCompletion(each, type="magic") for each in candidates if each.startswith(word)]
    return {"completions": found, "matched_fragment": word, "suppress": bool(found)}


def _candidates(session: Session, magic: str, before: list[str], word: str) -> Sequence[str]:
    noun: Noun = DEVBOX if magic == "devbox" else RUNLOOP
    if magic == "runloop" and before and before[0] in NOUNS:
        noun = NOUNS[before.pop(0)]
    if not before:
        nouns = NOUNS if noun is RUNLOOP else ()
        return (*nouns, *noun.verbs, "--help")
    if before[0] not in noun.verbs:
        return ()
    return _arguments(session, noun.load(before[0]).parser(), before[1:], word)


def _arguments(session: Session, parser: Parser, before: Sequence[str], word: str) -> Sequence[str]:
    value = parser.value_of(before[-1]) if before else None
    if value is not None:
        kind, choices = value
        return choices or _names(session, kind, word)
    if word.startswith("-"):
        return parser.options()
    kinds = parser.positionals() + (["remote path"] if parser.takes_command and "/" in word else [])
    names = [name for kind in kinds for name in _names(session, kind, word)]
    return names if word else (*names, *parser.options())


def _names(session: Session, kind: str, word: str) -> Sequence[str]:
    if kind == "remote path":
        return _remote_paths(session, word)
    if kind == "local path":
        return _local_paths(word)
    if kind in _LOOKUPS and session.connection and not session.names.is_fresh(kind):
        _briefly(_look_up(session, kind))
    return session.names[kind]


async def _look_up(session: Session, kind: str) -> None:
    session.names.keep(kind, await _LOOKUPS[kind](session))


async def _devboxes(session: Session) -> list[str]:
    from .commands.devbox.list import live

    return [each.short for each in await live(await session.sdk())]


async def _blueprints(session: Session) -> list[str]:
    return [view.name async for view in (await session.sdk()).api.blueprints.list(limit=1000)]


async def _snapshots(session: Session) -> list[str]:
    return [view.name or view.id async for view in (await session.sdk()).api.devboxes.list_disk_snapshots(limit=1000)]


async def _objects(session: Session) -> list[str]:
    return [view.name async for view in (await session.sdk()).api.objects.list(limit=1000)]


async def _secrets(session: Session) -> list[str]:
    return [view.name async for view in (await session.sdk()).api.secrets.list(limit=1000)]


async def _executions(session: Session) -> list[str]:
    from .executions.known import running

    return [found.entry.execution_id for found in await running(session)]


_LOOKUPS: dict[str, Callable[[Session], Awaitable[list[str]]]] = {
    "devbox": _devboxes,
    "blueprint": _blueprints,
    "snapshot": _snapshots,
    "object": _objects,
    "secret": _secrets,
    "execution": _executions,
}


def _remote_paths(session: Session, word: str) -> Sequence[str]:
    """The entries of the folder that `word` points into, in the current devbox."""
    if session.current is None or session.current.status != "running":
        return ()
    folder = word[: word.rfind("/") + 1]
    found: list[str] = []

    async def ask() -> None:
        assert session.current is not None
        devbox = (await session.sdk()).devbox.from_id(session.current.id)
        place = "~/" + quote(folder[2:]) if folder.startswith("~/") else quote(folder or ".")
        listing = await (await devbox.cmd.exec(f"ls -1Ap -- {place} 2>/dev/null | head -n {_MOST}")).stdout()
        found.extend(folder + name for name in listing.splitlines())

    _briefly(ask())
    return found


def _local_paths(word: str) -> Sequence[str]:
    folder = word[: word.rfind("/") + 1]
    try:
        entries = sorted(Path(folder or ".").expanduser().iterdir())
    except OSError:
        return ()  # no such folder: nothing to offer
    return [folder + each.name + ("/" if each.is_dir() else "") for each in entries[:_MOST]]


def _briefly(work: Awaitable[None]) -> None:
    """Ask for a moment. Without an answer nothing is offered: a completion is no place for errors."""
    from runloop_sdk import RunloopError

    from . import loop

    async def limited() -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await work
        except (TimeoutError, RunloopError, MagicError, OSError):
            return

    loop.run(limited())
