"""One notebook's state: its connection, the current devbox, the devboxes that it made, the commands that it runs."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from .client import Client
from .connection import Connection
from .errors import UsageError
from .executions.execution_history import ExecutionHistory
from .kernel.kernel_registry import Entry, KernelRegistry, notebook
from .kernel.owned import OwnedDevboxes
from .resources.devboxes import DevboxInfo, by_id, describe, find, unavailable
from .resources.name_cache import NameCache
from .resources.ownership import Ownerships
from .settings import Settings
from .state import StateFolder
from .text.json_values import RequestParams

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView

    from .executions.background import Background


def say(text: str) -> None:
    """Write one line to the cell, at once, so that it stands before what follows."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@cache
def session_of_this_process() -> Session:
    """The session of a process without IPython, such as a script or marimo. What it creates ends with the process."""
    session = Session(host="program")
    atexit.register(session.end)
    return session


class Session:
    """The composition root: makes the parts that a notebook needs, and knows the current devbox."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        say: Callable[[str], None] = say,
        settings: Callable[[], Settings] = Settings,
        host: str = "kernel",
    ) -> None:
        """`host` is what the session lives in, in a word, and what it creates ends with."""
        self.host = host
        self.said = 0
        """The number of lines written to cells."""
        self.say = self._counted(say)
        self._settings = settings
        self.state = StateFolder(lambda text: self.say(text))
        self.owned = OwnedDevboxes()
        self.kernel_registry = KernelRegistry(self.state)
        self.client = Client(
            environ,
            lambda text: self.say(text),
            lambda: self.settings.start_timeout,
            on_switch=self._forget_service,
            on_restart=self.owned.reconnect,
        )
        self.ownerships = Ownerships(self.client, self.owned, self.kernel_registry, host)
        self.on_choice: list[Callable[[], None]] = []
        """Called when another devbox is the current one, or none is."""
        self._current: DevboxInfo | None = None
        self.names = NameCache()
        self.printed = NameCache()
        self.execution_history = ExecutionHistory(self.state)
        self.executions: list[Background[object]] = []
        """Commands in the background, those that have ended lately included."""
        self.on_close: list[Callable[[], None]] = []
        """Called when the session ends although the process lives on."""
        self._user_sdks: dict[bool | None, tuple[Connection, AsyncRunloopSDK]] = {}

    def _counted(self, say: Callable[[str], None]) -> Callable[[str], None]:
        def count_and_say(text: str) -> None:
            self.said += 1
            say(text)

        return count_and_say

    @property
    def settings(self) -> Settings:
        """The user's settings, as they are now."""
        return self._settings()

    async def user_sdk(self, *, keep: bool | None = None) -> AsyncRunloopSDK:
        """Return the SDK for the notebook's own code: what it creates ends with the kernel unless `keep`.

        None for `keep` is what the user has set.
        """
        from .kernel.kernel_sdk import kernel_sdk

        connection = await self.client.connected()
        known = self._user_sdks.get(keep)
        if known is not None and known[0] == connection:
            return known[1]
        if known is not None:
            self.client.retire(known[1])
        made = kernel_sdk(connection, own=self.own, ended=self.ended, keep=keep)
        self._user_sdks[keep] = (connection, made)
        return made

    # The current devbox

    @property
    def current(self) -> DevboxInfo | None:
        """The devbox that cells use which name none, as it was when it was chosen."""
        return self._current

    @current.setter
    def current(self, devbox: DevboxInfo | None) -> None:
        self._current = devbox
        for notify in tuple(self.on_choice):
            notify()

    async def find(self, reference: str | None) -> DevboxInfo:
        """Return the devbox that a name or id means, or the current one as it is now. Raises `UsageError`."""
        sdk = await self.client.sdk()
        if reference is not None:
            return await find(sdk, reference)
        if self.current is None:
            raise UsageError("No devbox is chosen. Choose one with %devbox use NAME, or create one: %devbox create")
        return await find(sdk, self.current.id)

    def choose(self, devbox: DevboxInfo) -> None:
        """Make `devbox` the current one."""
        self.current = devbox
        self.names.add("devbox", devbox.known_as)
        if self.client.connection is not None:
            self._register(devbox, self.client.connection)

    async def last_used(self) -> DevboxInfo | None:
        """Return the devbox that this notebook used before its kernel was started again, if it can still be used."""
        here, sdk = notebook(), await self.client.sdk()
        for entry in await self.remembered():
            if here and entry.notebook == here:
                found = await by_id(sdk, entry.devbox_id)
                if found is not None and found.alive:
                    return found
        return None

    async def remembered(self) -> Sequence[Entry]:
        """Return the devboxes of this service that kernels knew which do not live any more, the last used first."""
        service = (await self.client.connected()).service
        return [entry for entry in self.kernel_registry.of_dead_kernels() if entry.service == service]

    # The life of devboxes

    async def own(
        self,
        make: Callable[..., Awaitable[DevboxView]],
        params: RequestParams,
        on: Connection,
        *,
        keep: bool | None = None,
        keep_alive: float | None = None,
    ) -> DevboxView:
        """Return a devbox that `make` creates with `params` on a service, and that belongs to this kernel from then on.

        What is not given is as the user has set it; times that `params` say themselves are left as they are.
        """
        settings = self.settings
        keep = settings.keep if keep is None else keep
        keep_alive = settings.keep_alive if keep_alive is None else keep_alive
        view = await self.owned.create(on, make, params, keep=keep, keep_alive=keep_alive)
        self._register(describe(view), on, made=True, keep=keep)
        return view

    def ended(self, devbox: DevboxInfo) -> None:
        """Forget a devbox that was shut down or failed."""
        self.owned.drop(devbox.id)
        self.names.drop("devbox", devbox.known_as)
        self.kernel_registry.drop(devbox.id)
        if self.current is not None and self.current.id == devbox.id:
            self.current = None

    async def check_usable(self, devbox_id: str) -> None:
        """Raise `DevboxUnavailableError` if the devbox cannot run commands now."""
        self.check(await find(await self.client.sdk(), devbox_id))

    def check(self, devbox: DevboxInfo) -> None:
        """Raise `DevboxUnavailableError` if the devbox, which was just looked at, cannot run commands."""
        if not devbox.alive:
            self.ended(devbox)
        error = unavailable(devbox)
        if error is not None:
            raise error

    def _register(self, devbox: DevboxInfo, on: Connection, *, made: bool = False, keep: bool = False) -> None:
        self.kernel_registry.record(devbox.id, devbox.name, on.service, made=made, keep=keep)

    def _forget_service(self) -> None:
        """Another service is used: what is known belongs to the former one."""
        self.current, self.names, self.printed = None, NameCache(), NameCache()

    # The end

    async def close(self) -> None:
        """End its panels, its connections and what it created, although the process lives on."""
        from runloop_sdk import RunloopError

        for end in self.on_close:
            end()
        self.on_close.clear()
        try:
            await self.owned.shut_down()
        except RunloopError as error:
            self.say(f"The devboxes of this kernel end when its process does: {error}.")
        self.kernel_registry.end()
        self.current = None
        await self.disconnect()

    async def disconnect(self) -> None:
        """Close all SDKs; the next use connects anew."""
        self.client.retire(*(sdk for _, sdk in self._user_sdks.values()))
        self._user_sdks.clear()
        await self.client.disconnect()

    def end(self) -> None:
        """The process ends, and with it what this kernel created. Takes three seconds at most; safe to call twice."""
        self.owned.end()
        self.kernel_registry.end()
