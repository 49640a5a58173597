"""Builds of blueprints: their log while it grows, and the line of the Dockerfile at which one failed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from ..errors import RemoteError
from ..resources.kind_names import BLUEPRINT
from ..text.json_values import RequestParams
from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from runloop_sdk import AsyncBlueprint
    from runloop_sdk.models.blueprints import BlueprintBuildLog, BlueprintView

    from ..session import Session

ENDED = ("build_complete", "failed")
_FIRST_LOOK, _LOOK = 0.1, 1.0  # seconds between two looks at a build: soon at first
_NUMBERED = re.compile(r"Dockerfile(?: line |:)(\d+)")
_MARKED = re.compile(r"\s*(\d+)\s*\|\s*>>>")
_STEP = re.compile(r"(?:Step \d+/\d+ : |#\d+ \[[^\]]*\b\d+/\d+\] |\[[^\]]*\b\d+/\d+\] )(.+)")
_AROUND = 2  # lines shown before and after the one that failed


async def follow(blueprint: AsyncBlueprint) -> AsyncIterator[BlueprintBuildLog]:
    """The lines of a build's log, those there are and those that come, until the build has ended."""
    seen, pause = 0, _FIRST_LOOK
    while True:
        view = await blueprint.get_info()  # before the log, so that no line is missed
        lines = (await blueprint.logs()).logs
        for line in lines[seen:]:
            yield line
        if view.status in ENDED:
            return
        pause = _FIRST_LOOK if len(lines) > seen else min(2 * pause, _LOOK)
        seen = len(lines)
        await asyncio.sleep(pause)


async def start_build(session: Session, request: RequestParams, observer: Observer = UNOBSERVED) -> BlueprintView:
    """Start the build of a blueprint (`POST /v1/blueprints`). Cancelled meanwhile, it is deleted again."""
    from runloop_sdk import complete_or_undo

    sdk = await session.client.sdk()

    async def begin() -> BlueprintView:
        return await observer.confirmed(sdk.api.blueprints.create(**request))

    view = await complete_or_undo(begin(), lambda made: delete(sdk.blueprint.from_id(made.id)))
    session.names.add(BLUEPRINT, view.name)
    observer.changed(view)
    return view


async def delete(blueprint: AsyncBlueprint) -> None:
    """Delete a blueprint whose build was stopped, as soon as the service lets it."""
    from runloop_sdk import ConflictError

    while True:
        try:
            await blueprint.delete()
        except ConflictError:
            await asyncio.sleep(_FIRST_LOOK)
        else:
            return


def step_of(message: str) -> str:
    """The instruction that a line of a log announces; empty for other lines."""
    found = _STEP.match(message)
    return found[1].strip() if found else ""


def failing_line(messages: Sequence[str], dockerfile: str) -> int | None:
    """The line of the Dockerfile, from 1, at which a build failed; None where its log does not tell.

    The log says it itself, or its last step is looked up.
    """
    for message in reversed(messages):
        found = _NUMBERED.search(message) or _MARKED.match(message)
        if found and 1 <= int(found[1]) <= dockerfile.count("\n") + 1:
            return int(found[1])
    steps = list(filter(None, map(step_of, messages)))
    return _line_of(steps[-1], dockerfile.splitlines()) if steps else None


def _line_of(step: str, lines: Iterable[str]) -> int | None:
    words = step.split()
    for number, line in enumerate(lines, 1):
        written = line.rstrip("\\ \t").split()
        if written and words[: len(written)] == [written[0].upper(), *written[1:]]:
            return number
    return None


def excerpt(dockerfile: str, line: int, offset: int = 0) -> str:
    """The lines around one of a Dockerfile, that one marked; `offset` is added to the numbers shown."""
    lines = dockerfile.splitlines()
    around = range(max(1, line - _AROUND), min(len(lines), line + _AROUND) + 1)
    width = len(str(around[-1] + offset)) if around else 1
    return "\n".join(
        f"{'→' if number == line else ' '} {number + offset:>{width}} │ {lines[number - 1]}" for number in around
    )


def renumbered(sentence: str, where: str, offset: int) -> str:
    """A sentence about `Dockerfile line N` with the words a reader looks for: `line N+offset` of `where`."""
    return _NUMBERED.sub(lambda found: f"line {int(found[1]) + offset} of {where}", sentence)


def failure(name: str, messages: Sequence[str], where: str, line: int | None, offset: int) -> RemoteError:
    """The error for a build that failed: what the log says last, and where."""
    last = next((message.strip() for message in reversed(messages) if message.strip()), "its log is empty")
    said = renumbered(last, where, offset)
    place = f" at line {line + offset} of {where}" if line is not None and said == last else ""
    return RemoteError(f"The build of {name} failed{place}: {said.rstrip('.')}.")
