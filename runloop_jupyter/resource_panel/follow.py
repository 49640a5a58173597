"""Keeps the details of one resource up to date while a page shows them, and the log of a build while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..resources.kinds import KINDS
from .detail import detail
from .poll_interval import delay_after_failures

if TYPE_CHECKING:
    from ..session import Session

_BUILD_EVERY = 1.0  # seconds between looks at a build that runs


class Follower:
    """One resource at a time. `post` gets what is to be shown: all of it at first, then what is different."""

    def __init__(self, session: Session, post: Callable[..., None]) -> None:
        self._session = session
        self._post = post
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.shown: tuple[str, str] | None = None

    def follow(self, kind: str, identity: str) -> None:
        """Show this one from now on."""
        self.stop()
        self.shown = (kind, identity)
        self._task = asyncio.get_running_loop().create_task(self._run(kind, identity))

    def changed(self, kind: str, identities: set[str]) -> None:
        """These look different in the table."""
        if self.shown is not None and self.shown[0] == kind and self.shown[1] in identities:
            self._wake.set()

    def stop(self) -> None:
        """Show none."""
        self.shown = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, kind: str, identity: str) -> None:
        last: dict[str, Any] = {}
        lines = failures = 0
        while True:
            self._wake.clear()
            try:
                sdk = await self._session.client.sdk()
                seen = await self._session.client.guard(detail(sdk, KINDS[kind], identity))
            except Exception as error:  # noqa: BLE001 - it stands where the details would
                failures += 1
                last = {}
                self._post("detail", kind=kind, id=identity, error=str(error) or type(error).__name__)
                await self._pause(delay_after_failures(failures, getattr(error, "retry_after", None)))
                continue
            failures = 0
            log = seen.pop("log", None)
            if seen != last:
                last = seen
                self._post("detail", **seen)
            if log is not None and (len(log) != lines or not lines):
                self._post("log", id=identity, start=lines, lines=log[lines:])
                lines = len(log)
            await self._pause(_BUILD_EVERY if seen.get("building") else None)

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


class Followers:
    """A follower for each view that shows details. `post` sends to the page; it takes the view as `view`."""

    def __init__(self, session: Session, post: Callable[..., None]) -> None:
        self._session = session
        self._post = post
        self._followers: dict[str, Follower] = {}

    def __len__(self) -> int:
        return len(self._followers)

    def follow(self, view: str, kind: str, id: str) -> None:  # noqa: A002 - the page's word
        """Show this resource in a view from now on."""
        if view not in self._followers:
            self._followers[view] = Follower(self._session, partial(self._post, view=view))
        self._followers[view].follow(kind, id)

    def changed(self, kind: str, identities: set[str]) -> None:
        """Look again at those of these resources that are shown."""
        for follower in self._followers.values():
            follower.changed(kind, identities)

    def stop(self, view: str) -> None:
        """Show no details in a view any more."""
        follower = self._followers.pop(view, None)
        if follower is not None:
            follower.stop()

    def stop_where(self, is_over: Callable[[str], bool]) -> None:
        """Show no details any more in the views of which this is true."""
        for view in tuple(filter(is_over, self._followers)):
            self.stop(view)
