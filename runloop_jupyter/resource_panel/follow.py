"""Keeps the details of one resource up to date while a view shows them, and the log of a build while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..resources.kinds import kind_named
from ..widgets.poll_interval import delay_after_failures
from ..widgets.protocol import panel as messages
from .details import look_at

if TYPE_CHECKING:
    from ..session import Session
    from ..widgets.channel import Channel
    from ..widgets.protocol import Event
    from .details import Look

_BUILD_EVERY = 1.0  # seconds between looks at a build that runs


class Follower:
    """One resource at a time. `post` gets what is to be shown: all of it at first, then what is different."""

    def __init__(self, session: Session, post: Callable[[Event], None]) -> None:
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
        shown: messages.Details | None = None
        lines = failures = 0
        while True:
            self._wake.clear()
            try:
                seen = await self._look(kind, identity)
            except Exception as error:  # noqa: BLE001 - it stands where the details would
                failures += 1
                shown = None
                self._post(messages.DetailsFailed(kind, identity, str(error) or type(error).__name__))
                await self._pause(delay_after_failures(failures, getattr(error, "retry_after", None)))
                continue
            failures = 0
            if seen.details != shown:
                shown = seen.details
                self._post(shown)
            if seen.log is not None and (len(seen.log) != lines or not lines):
                self._post(messages.LogAdded(identity, lines, seen.log[lines:]))
                lines = len(seen.log)
            await self._pause(_BUILD_EVERY if seen.is_building else None)

    async def _look(self, kind: str, identity: str) -> Look:
        sdk = await self._session.client.sdk()
        return await self._session.client.guard(look_at(sdk, kind_named(kind), identity))

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


class Followers:
    """A follower for each view that shows details."""

    def __init__(self, session: Session, channel: Channel) -> None:
        self._session = session
        self._channel = channel
        self._followers: dict[str, Follower] = {}
        channel.on(messages.Follow, self._follow)
        channel.on(messages.Unfollow, lambda view, _: self.stop(view))

    def __len__(self) -> int:
        return len(self._followers)

    def changed(self, kind: str, identities: set[str]) -> None:
        """Look again at those of these resources that are shown."""
        for follower in self._followers.values():
            follower.changed(kind, identities)

    def stop(self, view: str) -> None:
        """Show no details in a view any more."""
        follower = self._followers.pop(view, None)
        if follower is not None:
            follower.stop()

    def stop_all(self) -> None:
        """Show no details any more."""
        for view in tuple(self._followers):
            self.stop(view)

    def _follow(self, view: str, wanted: messages.Follow) -> None:
        """Show this resource in a view from now on."""
        kind = kind_named(wanted.kind).name
        if view not in self._followers:
            self._followers[view] = Follower(self._session, partial(self._channel.post, view=view))
        self._followers[view].follow(kind, wanted.id)
