"""How tests wait for what must happen: for as long as it takes, and never as a statement about speed.

A test that waits says what it waits for; how long that takes is for `benchmarks/` to say. The only limit is a guard
against a wait without end, and it is the same everywhere.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0
"""Seconds. Nothing that is waited for takes ten of them on a quiet machine; a busy or slow one may need ten times as
long, and a test that hangs still says what it waited for before pytest's own limit ends it."""

What = str | Callable[[], str]
"""What is waited for; a function where it is to say how things stand in the end."""


async def until(condition: Callable[[], Any], what: What = "it") -> Any:
    """What `condition` returns, or what that resolves to, once it is true."""
    end = time.monotonic() + PATIENCE
    while not (found := await _resolved(condition())):
        _check(end, what)
        await asyncio.sleep(0.01)
    return found


def wait_until(condition: Callable[[], Any], what: What = "it") -> Any:
    """What `condition` returns once it is true, in a test without an event loop."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        _check(end, what)
        time.sleep(0.02)
    return found


async def _resolved(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


def _check(end: float, what: What) -> None:
    assert time.monotonic() < end, f"waited {PATIENCE:g} s for {what if isinstance(what, str) else what()}"
