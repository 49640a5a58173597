"""`%runloop doctor`."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from ...connection import Connection, from_environment
from ...durations import spell_duration
from ...errors import MagicError, UsageError
from ...rendering import Listing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session

Verdict = Literal["ok", "note", "problem"]
_SIGNS: Mapping[Verdict, str] = {"ok": "✓", "note": "•", "problem": "✗"}
_SLOW = 1.0  # seconds of one round trip
_LIVE_PANEL = (7, 4)  # the first ipykernel on whose main loop a widget answers while a cell runs


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do about it."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""


_COLUMNS = {
    "": lambda check: _SIGNS[check.verdict],
    "what": lambda check: check.what,
    "found": lambda check: check.found,
    "what to do": lambda check: check.advice,
}


def parser() -> Parser:
    """The options of `%runloop doctor`."""
    return Parser(
        "%runloop doctor", "Check the key, the network, the versions and the isolation; say what to do."
    ).explain(
        ("check everything", "%runloop doctor"),
        ("in Python", "checks = %runloop doctor\n[each.advice for each in checks if each.verdict == 'problem']"),
        returns="A sequence of checks with `.what`, `.verdict`, `.found` and `.advice` that shows as a table.",
        mistakes=[
            "It never fails: what it cannot reach is a row of the table.",
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Listing[Check]:
    """The table of all checks."""
    checks = [
        *_environment(session),
        *[check async for check in _service(session)],
        *versions(_installed),
        *_front_end(),
    ]
    problems = sum(check.verdict == "problem" for check in checks)
    note = "All is well." if not problems else f"{problems} problem{'s' if problems > 1 else ''} to look at."
    return Listing(checks, _COLUMNS, none="", note=note)


def _environment(session: Session) -> Iterator[Check]:
    try:
        named = from_environment(session.environ)
    except UsageError as error:
        yield Check("key", "problem", "half set", str(error))
        return
    if named is None:
        yield Check("key", "ok", "none is set: devboxes run on this machine", "RUNLOOP_API_KEY switches to the cloud.")
    else:
        yield Check("key", "ok", f"RUNLOOP_API_KEY is set, for {named.base_url}")


async def _service(session: Session) -> AsyncIterator[Check]:
    started = time.monotonic()
    try:
        sdk = await session.guard(session.sdk())
        connected, started = time.monotonic() - started, time.monotonic()
        await session.guard(sdk.api.devboxes.list(limit=1))
    except MagicError as error:
        yield Check("service", "problem", "out of reach", str(error))
        return
    took = time.monotonic() - started
    assert session.connection is not None
    yield Check("service", "ok", f"{session.connection.label} answers, and accepts the key")
    speed: Verdict = "note" if took > _SLOW else "ok"
    advice = "The network is slow: completions may come without names." if took > _SLOW else ""
    yield Check(
        "network", speed, f"connected in {spell_duration(connected)}, answers in {spell_duration(took)}", advice
    )
    yield _isolation(session.connection)


def _isolation(connection: Connection) -> Check:
    if not connection.embedded:
        return Check("isolation", "ok", "the service's own")
    if connection.isolation == "namespaces":
        return Check("isolation", "ok", "namespaces: nothing on this machine can be reached from devboxes")
    advice = "Run only what you trust; on Linux, allow user namespaces for full isolation; or use the cloud."
    return Check("isolation", "note", f"{connection.isolation}: {' '.join(connection.warnings)}", advice)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions(installed: Callable[[str], str | None]) -> Iterator[Check]:
    """What the versions of the packages around us allow; `installed` tells one's version, or None."""
    for package in ("runloop-jupyter", "IPython", "ipykernel", "ipywidgets", "anywidget", "jupyterlab", "notebook"):
        version = installed(package)
        if version is not None:
            yield _judged(package, version)
        elif package == "ipykernel":
            yield Check(package, "note", "not installed", "For notebooks: pip install ipykernel")


def _judged(package: str, version: str) -> Check:
    if package == "ipykernel" and _number(version) < _LIVE_PANEL:
        advice = "pip install -U ipykernel: from 7.4 on the panel stays alive while a cell runs."
        return Check(package, "note", version, advice)
    return Check(package, "ok", version)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _front_end() -> Iterator[Check]:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        yield Check("front end", "ok", "IPython in a terminal", "The panel needs a notebook.")
    else:
        asks = getattr(kernel, "_allow_stdin", False)
        yield Check("front end", "ok", "a notebook" + ("" if asks else " that nobody can answer questions in"))
