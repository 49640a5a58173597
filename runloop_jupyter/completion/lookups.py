"""The names that are offered. What is not known yet is asked for, and waited for a moment at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from ..commands import NOUNS
from ..errors import MagicError
from ..output.progress import without_status

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..resources.name_cache import NameCache
    from ..session import Session

_PATIENCE = 0.2  # seconds that a completion may wait for the network
_PATIENCE_WITH_OLD = 0.04  # where there are names already, of some time ago
_MOST = 5000  # entries of one folder
_MOST_CHARACTERS = 2_000_000  # of what a command prints to be offered
_COMMANDS = "bash -c 'compgen -c' | LC_ALL=C grep -x '[[:alnum:]._+-]*' | sort -u"


class Lookups:
    """Names by kind, for one notebook."""

    def __init__(
        self, session: Session, variables: Callable[[], Iterable[str]], snippets: Callable[[], Sequence[str]]
    ) -> None:
        self._session = session
        self._variables = variables
        self._snippets = snippets
        self._asking: dict[str, asyncio.Task[None]] = {}

    @property
    def snippets(self) -> Sequence[str]:
        """Whole lines for a shell, as the user has set them."""
        return self._snippets()

    def names(self, kind: str) -> Iterable[str]:
        """The names of a kind of resource, of the notebook's variables, or of the services."""
        if kind == "variable":
            return self._variables()
        if kind == "service":
            return ("local", "cloud")
        if kind == "devboxes":
            return ("all", *self.names("devbox"))
        if kind not in _QUESTIONS:
            return ()
        return self._known(self._session.names, kind, lambda: _QUESTIONS[kind](self._session))

    def remote_paths(self, word: str, devbox: str | None = None, folder: str = "") -> Sequence[str]:
        """The entries of the folder that `word` points into, in the named devbox or in the current one.

        A relative path begins in `folder`, else in the devbox's home folder.
        """
        start = word[: word.rfind("/") + 1]
        target = start if start.startswith(("/", "~/")) else f"{folder}/{start}" if folder else start
        question = f"ls -1Ap -- {_quoted_folder(target)} 2>/dev/null | head -n {_MOST}"
        hidden = word[len(start) :].startswith(".")
        entries = self._printed(question, devbox)
        return [start + name for name in entries if name.isprintable() and (hidden or not name.startswith("."))]

    def commands(self, devbox: str | None = None) -> Sequence[str]:
        """The commands that the devbox's shell finds."""
        return self._printed(_COMMANDS, devbox)

    def local_paths(self, word: str, folder: str = "") -> Sequence[str]:
        """The entries of the folder that `word` points into, on this machine."""
        start = word[: word.rfind("/") + 1]
        try:
            entries = sorted(Path(folder, start).expanduser().iterdir())
        except (OSError, RuntimeError):
            return ()  # no such folder, or account: nothing to offer
        hidden = word[len(start) :].startswith(".")
        shown = [each for each in entries if hidden or not each.name.startswith(".")]
        return [start + each.name + ("/" if each.is_dir() else "") for each in shown[:_MOST]]

    def _printed(self, question: str, reference: str | None) -> Sequence[str]:
        """The lines that a command prints in a devbox, asked for once until something else runs there."""

        async def ask() -> list[str]:
            from runloop_sdk.own_commands import own_command

            devbox = await self._devbox(reference)
            if devbox is None or devbox.status != "running":
                return []
            command = own_command(question)
            result = await (await self._session.client.sdk()).devbox.from_id(devbox.id).cmd.exec(command)
            return (await result.stdout(limit=_MOST_CHARACTERS)).splitlines()

        return self._known(self._session.printed, f"{reference}: {question}", ask)

    async def _devbox(self, reference: str | None) -> DevboxInfo | None:
        return self._session.current if reference is None else await self._session.find(reference)

    def _known(self, names: NameCache, key: str, ask: Callable[[], Awaitable[list[str]]]) -> Sequence[str]:
        from ..kernel import loop

        if self._session.client.connection is not None and not names.is_fresh(key):
            loop.run(self._ask_briefly(names, key, ask))
        return names[key]

    async def _ask_briefly(self, names: NameCache, key: str, ask: Callable[[], Awaitable[list[str]]]) -> None:
        """Ask for a moment. An answer that takes longer is there for the next completion."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(names, key, ask))
        await asyncio.wait([task], timeout=_PATIENCE_WITH_OLD if names[key] else _PATIENCE)
        if task.done():
            task.result()

    async def _ask(self, names: NameCache, key: str, ask: Callable[[], Awaitable[list[str]]]) -> None:
        from runloop_sdk import RunloopError

        try:
            with without_status():
                names.keep(key, await ask())
        except (RunloopError, MagicError, OSError):
            return  # nothing is offered: a completion is no place for errors
        finally:
            del self._asking[key]


def _quoted_folder(folder: str) -> str:
    if folder.startswith("~/"):
        return "~/" + quote(folder[2:])
    return quote(folder or ".")


async def _devboxes(session: Session) -> list[str]:
    from ..resources.devboxes import live

    return [each.known_as for each in await live(await session.client.sdk())]


async def _executions(session: Session) -> list[str]:
    from ..executions.reattach import running_commands

    return [found.entry.execution_id for found in await running_commands(session)]


async def _resources(session: Session, kind: str) -> list[str]:
    from ..resources.kind import short
    from ..resources.kinds import KINDS

    return [short(view) for view in await KINDS[kind].all(await session.client.sdk())]


_QUESTIONS: dict[str, Callable[[Session], Awaitable[list[str]]]] = {
    "devbox": _devboxes,
    "execution": _executions,
    **{noun: partial(_resources, kind=noun) for noun in NOUNS if noun != "devbox"},
}
