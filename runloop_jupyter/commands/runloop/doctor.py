"""`%runloop doctor`."""

from __future__ import annotations

import platform
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal, TypedDict

from ...connection import Connection, from_environment
from ...errors import MagicError, UsageError
from ...rendering import Listing
from ...text.durations import spell_duration
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ...session import Session
    from ...settings import Settings
    from ...state import StateFolder

Verdict = Literal["ok", "note", "weak", "problem"]
_SIGNS: Mapping[Verdict, str] = {"ok": "✓", "note": "•", "weak": "◐", "problem": "✗"}
_SLOW = 1.0  # seconds of one round trip
_LIVE_PANEL = (7, 4)  # the first ipykernel on whose main loop a widget answers while a cell runs
_BY_KERNEL = ("by control group", "by rlimit")
_WANTED = {"auto": "the best that works here", "process": "plain processes"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do about it.

    A verdict of `weak` tells that it works, but less well than it was asked to or than it can.
    """

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


class Options(OptionGroup):
    """The options of `%runloop doctor`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop doctor`."""
    return Parser(
        Options, "%runloop doctor", "Check the key, the network, the versions and the isolation; say what to do."
    ).explain(
        ("check everything", "%runloop doctor"),
        ("in Python", "checks = %runloop doctor\n[each.advice for each in checks if each.verdict == 'problem']"),
        returns="A sequence of checks with `.what`, `.verdict`, `.found` and `.advice` that shows as a table. "
        "`.verdict` is `ok`, `note`, `weak` (it works, but less well than it can) or `problem`.",
        mistakes=[
            "It never fails: what it cannot reach is a row of the table.",
            "It says that all is well only where devboxes are isolated, and limited, as well as can be.",
        ],
    )


async def run(session: Session, options: Options) -> Listing[Check]:
    """A table of all checks."""
    checks = [
        *_environment(session),
        *[check async for check in _service(session)],
        *files(session.state),
        *settings(session.settings),
        Check("Python", "ok", f"{platform.python_version()} on {platform.system()}"),
        *versions(_installed),
        *_front_end(),
    ]
    return Listing(checks, _COLUMNS, none="", note=summary(checks))


def summary(checks: Sequence[Check]) -> str:
    """A sentence that sums up all checks."""
    problems = [check.what for check in checks if check.verdict == "problem"]
    weak = [f"{check.what}: {check.found.partition('. ')[0]}" for check in checks if check.verdict == "weak"]
    if problems:
        return f"{len(problems)} problem{'s' if len(problems) > 1 else ''} to look at: {', '.join(problems)}."
    if weak:
        return f"It works, but less well than it can. {'; '.join(weak)}."
    return "All is well."


def _environment(session: Session) -> Iterator[Check]:
    try:
        named = from_environment(session.client.environ)
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
        sdk = await session.client.guard(session.client.sdk())
        connected, started = time.monotonic() - started, time.monotonic()
        await session.client.guard(sdk.api.devboxes.list(limit=1))
        took = time.monotonic() - started
        connection = session.client.connection
        assert connection is not None
        state = await session.client.guard(_state(sdk)) if connection.embedded else _Status()
    except MagicError as error:
        yield Check("service", "problem", "cannot be used", str(error))
        return
    yield Check("service", "ok", f"{connection.label} answers, and accepts the key")
    yield network(connected, took)
    if not connection.embedded:
        yield Check("isolation", "ok", "the service's own")
        return
    yield service_version(state.get("version", ""), _installed("runloop-jupyter") or "")
    yield isolation(connection, state.get("weaknesses", connection.warnings))
    yield limits(state.get("limits", {}))


class _Status(TypedDict, total=False):
    """The state of the embedded service, as it tells it."""

    version: str
    weaknesses: Sequence[str]
    limits: Mapping[str, str]


async def _state(sdk: AsyncRunloopSDK) -> _Status:
    state: _Status = await sdk.api.get_json("/local/status")
    return state


def network(connected: float, took: float) -> Check:
    """Judge the network by the seconds until the connection stood, and those of one answer."""
    found = f"connected in {spell_duration(connected)}, answers in {spell_duration(took)}"
    if took > _SLOW:
        return Check("network", "note", found, "The network is slow: completions may come without names.")
    return Check("network", "ok", found)


def service_version(running: str, installed: str) -> Check:
    """Compare the version of the embedded service that runs with the one that is installed."""
    if running == installed:
        return Check("version", "ok", f"the service is {running}, as installed")
    advice = "runloop-local stop ends it; the next cell starts the installed one."
    return Check("version", "note", f"the service is {running}, installed is {installed}", advice)


def isolation(connection: Connection, weaknesses: Iterable[str]) -> Check:
    """Compare the isolation that the embedded service was asked for with the one that devboxes got."""
    asked = _WANTED.get(connection.requested, connection.requested)
    found = f"{connection.isolation} (asked for: {asked})"
    sentences = " ".join(weaknesses)
    if connection.isolation == "namespaces" and not sentences:
        return Check("isolation", "ok", f"{found}. Nothing on this machine can be reached from devboxes")
    advice = "Run only what you trust; on Linux, allow user namespaces for full isolation; or use the cloud."
    if connection.engine:
        advice = "What it calls this machine is the container: only the container's own files and accounts are meant."
    return Check("isolation", "weak", f"{found}. {sentences}".strip(), advice)


def limits(enforced: Mapping[str, str]) -> Check:
    """By what means the embedded service holds devboxes to their size."""
    found = ", ".join(f"{what} {means}" for what, means in enforced.items())
    # The disk is looked at everywhere.
    loose = [what for what, means in enforced.items() if what != "disk" and not means.endswith(_BY_KERNEL)]
    if not loose:
        return Check("limits", "ok", found or "not told")
    advice = (
        "A devbox that uses more is ended a moment later, or not at all. Control groups that the service can write "
        "hold it to its size at once."
    )
    return Check("limits", "weak", found, advice)


def files(folder: StateFolder) -> Iterator[Check]:
    """Check that the extension can keep its own files."""
    try:
        folder.check_usable()
    except OSError as error:
        yield Check("files", "weak", folder.problem(error), "Set RUNLOOP_JUPYTER_HOME to a folder of your own.")
    else:
        yield Check("files", "ok", f"kept in {folder.path}")


def settings(seen: Settings) -> Iterator[Check]:
    """A note on each setting that was refused."""
    for sentence in seen.refused:
        yield Check("settings", "note", sentence, "%runloop config shows what counts.")


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions(installed: Callable[[str], str | None]) -> Iterator[Check]:
    """Judge the versions of the packages that work with the extension; `installed` gives one's version, or None."""
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
