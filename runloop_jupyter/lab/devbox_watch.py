"""Follows the status of the notebook's current devbox, while somebody sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..client import sdk_for
from ..resources.devboxes import by_id
from ..widgets.poll_interval import delay, delay_after_failures
from ..widgets.protocol.notebook import CurrentDevbox

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..connection import Connection
    from ..session import Session

_PATIENCE = 12.0  # seconds for one answer
NONE = CurrentDevbox("", "", "")
_GONE = "not found"


class DevboxWatch:
    """Asks for the status of a session's current devbox, and tells when that is another one. All on one loop.

    It neither starts a service nor chooses a devbox.
    """

    def __init__(self, session: Session, tell: Callable[[CurrentDevbox], None], is_seen: Callable[[], bool]) -> None:
        self.shown = NONE
        self._session = session
        self._tell = tell
        self._is_seen = is_seen
        self._wake = asyncio.Event()
        self._active_at = time.monotonic()
        self._failures = 0
        self._sdk: AsyncRunloopSDK | None = None
        self._connection: Connection | None = None

    def poke(self) -> None:
        """Look now: another devbox was chosen, or a view has opened."""
        self._active_at = time.monotonic()
        self._show_choice()
        self._wake.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                self._wake.clear()
                pause = await self._look()
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            await self._disconnect()

    def _show_choice(self) -> None:
        """Tell at once what is known without asking."""
        devbox = self._session.current
        if devbox is None:
            self._show(NONE)
        elif devbox.id != self.shown.id:
            self._show(CurrentDevbox(devbox.id, devbox.short, devbox.status))

    async def _look(self) -> float | None:
        """Look once; the result is the number of seconds until the next look, None where there is nothing to see."""
        from runloop_sdk import RunloopError

        self._show_choice()
        devbox, began = self._session.current, time.monotonic()
        if devbox is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                status = await self._status(devbox.id)
        except (RunloopError, TimeoutError):
            status = ""
        if self._session.current is not None and self._session.current.id == devbox.id:
            self._show(CurrentDevbox(devbox.id, devbox.short, status))
        self._failures = 0 if status else self._failures + 1
        if self._failures:
            return delay_after_failures(self._failures)
        now = time.monotonic()
        return delay(visible=self._is_seen(), idle=now - self._active_at, spent=now - began)

    async def _status(self, devbox_id: str) -> str:
        """Return the devbox's status; empty while there is no service that could tell."""
        sdk = await self._connected()
        if sdk is None:
            return ""
        found = await by_id(sdk, devbox_id)
        return found.status if found else _GONE

    async def _connected(self) -> AsyncRunloopSDK | None:
        now = self._session.client.service()
        if now != self._connection:
            await self._disconnect()
            self._connection, self._sdk = now, sdk_for(now) if now else None
        return self._sdk

    async def _disconnect(self) -> None:
        sdk, self._sdk, self._connection = self._sdk, None, None
        if sdk is not None:
            await sdk.aclose()

    def _show(self, devbox: CurrentDevbox) -> None:
        if devbox != self.shown:
            self.shown = devbox
            self._active_at = time.monotonic()
            self._tell(devbox)
