"""Whether a devbox lasts through a time after which it ends unused, on a machine of any speed."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from websockets.exceptions import InvalidStatus

from tests.local.api import Api

Use = Callable[[], Awaitable[object]]
Attempt = Callable[[int], Awaitable[bool | None]]
SPANS = (1, 4, 16)
"""Seconds that a devbox may be unused, tried in this order."""


async def lasts(attempt: Attempt) -> bool:
    """What an attempt with the shortest span finds in which the machine was quick enough to tell."""
    for span in SPANS:
        begun = time.time()
        try:
            found = await attempt(span)
        except (AssertionError, InvalidStatus):
            if time.time() - begun < span or span == SPANS[-1]:
                raise
            continue  # the devbox may have ended unused before all was ready
        if found is not None:
            return found
    raise AssertionError(f"no use came within {SPANS[-1]} s of the one before")


async def use_on(api: Api, devbox: str, span: int, use: Use) -> bool | None:
    """Whether a devbox runs after it was used now and then for longer than `span` seconds.

    None where it does not, and a use came so late that this says nothing.
    """
    view = await api.json(f"/v1/devboxes/{devbox}")
    last = next(each["transition_time_ms"] for each in view["state_transitions"] if each["status"] == "running") / 1000
    end, in_time = time.time() + 1.8 * span, True
    while time.time() < end:
        begun = time.time()
        await use()
        in_time = in_time and time.time() - last < span
        last = begun
        await asyncio.sleep(0.1 * span)
    runs = (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"
    return runs if runs or (in_time and time.time() - last < span) else None
