"""What the user asked a panel to do: actions on rows, forms that were sent, questions that were answered."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import MagicError, UsageError
from ..output.progress import Progress
from ..resources.namesakes import check_free
from ..text.durations import parse_duration
from ..text.quoting import printable, reference
from . import forms
from .actions import ACTIONS, Action, Doer, answered, prunable
from .kinds import KINDS

if TYPE_CHECKING:
    from runloop_sdk.models.devboxes import TunnelView

    from ..session import Session
    from .feed import Feed

_TOGETHER = 16  # resources that are worked on at once
_SHOWN = 200  # names in a question
_GLANCE = 2.0  # seconds that is waited for a list before going on without it

_LOSES = {
    "devbox": "Their processes end and their disks are lost. Snapshots of them stay.",
    "blueprint": "Devboxes that were made from them go on. No new ones can be made.",
    "snapshot": "The disks that they keep are lost. Devboxes that were made from them go on.",
    "object": "Their contents are lost. Devboxes that have them mounted keep their copies.",
    "secret": "Devboxes that get them from now on will not have them.",
    "policy": "Devboxes that are made from now on cannot be put under them.",
}


@dataclass(frozen=True, slots=True)
class _Question:
    action: Action
    ids: tuple[str, ...]


class Desk:
    """Takes orders, does them and says how it went.

    `mark(kind, id, doing=..., error=...)` puts a word on a row, `say(text, error=...)` tells the user something, and
    `post(op, **content)` tells the page anything else.
    """

    def __init__(
        self,
        session: Session,
        feed: Feed,
        *,
        mark: Callable[..., None],
        say: Callable[..., None],
        post: Callable[..., None],
    ) -> None:
        self._session = session
        self._feed = feed
        self._doer = Doer(session, feed)
        self._mark, self._say, self._post = mark, say, post
        self._questions: dict[str, _Question] = {}
        self._tokens = (f"q{number}" for number in itertools.count())
        self._forms: dict[str, tuple[forms.Form, str]] = {}
        self._open: set[str] = set()

    # Actions on rows

    async def act(self, action: Action, ids: tuple[str, ...]) -> None:
        """Do it to these; what cannot be undone is asked about first."""
        if action.grave:
            self._ask(action, ids, f"{action.label.rstrip('…')} {_count(action.kind, len(ids))}?")
            return
        await self._do_all(action, ids)

    def prune(self, kind: str) -> None:
        """Ask whether what is of no more use shall go."""
        rows = prunable(kind, list(self._feed.tables[kind].rows.values()))
        if not rows:
            self._say(f"There is nothing to prune: {_KEEPS[kind]}")
            return
        title = f"Prune {_count(kind, len(rows))}?"
        self._ask(ACTIONS[kind, "delete"], tuple(row[0] for row in rows), title, _PRUNES[kind])

    async def answer(self, token: str, *, yes: bool) -> None:
        """The answer to a question; one that was answered before is none any more."""
        question = self._questions.pop(token, None)
        if question is not None and yes:
            await self._do_all(question.action, question.ids)

    def _ask(self, action: Action, ids: tuple[str, ...], title: str, why: str = "") -> None:
        rows = [row for each in ids if (row := self._feed.row(action.kind, each)) is not None]
        named = [[KINDS[action.kind].name_of(row), row[0], KINDS[action.kind].status(row)] for row in rows]
        token = next(self._tokens)
        self._questions[token] = _Question(action, tuple(row[0] for row in rows))
        self._post(
            "confirm",
            token=token,
            title=title,
            text=" ".join(filter(None, (why, _LOSES[action.kind]))),
            items=named[:_SHOWN],
            more=max(len(named) - _SHOWN, 0),
            yes=action.label.rstrip("…"),
        )

    async def _do_all(self, action: Action, ids: tuple[str, ...]) -> None:
        turns = asyncio.Semaphore(_TOGETHER)

        async def one(identity: str) -> str:
            async with turns:
                return await self._do(action, identity)

        for identity in ids:
            self._mark(action.kind, identity, doing=action.doing)
        told = [text for text in await asyncio.gather(*map(one, ids)) if text]
        self._feed.poke()
        if told:
            self._say(told[0] if len(told) == 1 else f"{action.label.rstrip('…')}: done for {len(told)}.")

    async def _do(self, action: Action, identity: str) -> str:
        """Do it to one; a failure stands on its row."""
        try:
            told = await self._doer.do(action, identity)
        except Exception as error:  # noqa: BLE001 - whatever it is, the row says so
            self._mark(action.kind, identity, error=in_words(error))
            return ""
        self._mark(action.kind, identity)
        return told

    # Forms

    async def open_form(self, name: str, about: str = "") -> None:
        """Show a form; `about` is what a new devbox shall start from, or the devbox that it is for."""
        form = await self._form(name, about)
        self._forms[name] = (form, about)
        self._open.add(name)
        row = self._feed.row("devbox", about) if about else None
        self._post("form", about=KINDS["devbox"].name_of(row) if row else "", **form.spec())

    def check(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """Say what is wrong with what was typed, and how the same is typed in a cell."""
        form, about = self._forms[name]
        problems = form.check(values)
        row = self._feed.row("devbox", about)
        known = {"about": reference(str(row[1]), row[0])} if row else {}
        self._post("checked", name=name, problems=problems, magic=form.magic({**values, **known}))
        return problems

    async def submit(self, name: str, values: Mapping[str, str]) -> None:
        """Do what a form asks for; the form closes once that has begun, and stays open where it is refused.

        What goes wrong after it has closed is told.
        """
        form, about = self._forms[name]
        if self.check(name, values):
            self._post("refused", name=name, text="")
            return
        try:
            await self._session.guard(_SUBMITS[name](self, form, about, values))
        except Exception as error:  # noqa: BLE001 - whatever it is, the form or the panel says so
            if name in self._open:
                self._post("refused", name=name, text=in_words(error))
            else:
                self._say(in_words(error), error=True)

    async def _form(self, name: str, about: str) -> forms.Form:
        if name == "devbox":
            await self._feed.try_to_look(["blueprint", "snapshot"], within=_GLANCE)
            return forms.devbox_form(self._choices("blueprint", about), self._choices("snapshot", about), about)
        return _FORMS[name]

    def _choices(self, kind: str, about: str) -> list[forms.Choice]:
        """The newest, and the one that it is about; those that share their name have their ids beside it."""
        rows = self._feed.tables[kind].rows.values()
        usable = [row for row in rows if kind != "blueprint" or KINDS[kind].status(row) == "build_complete"]
        newest = sorted(usable, key=lambda row: KINDS[kind].value(row, "created") or 0, reverse=True)
        shown = [row for at, row in enumerate(newest) if at < _SHOWN or f"{kind}:{row[0]}" == about]
        times = Counter(KINDS[kind].name_of(row) for row in shown)
        return [
            (row[0], name if times[name := KINDS[kind].name_of(row)] == 1 else f"{name} ({row[0]})") for row in shown
        ]

    async def _create_devbox(self, form: forms.Form, about: str, values: Mapping[str, str]) -> None:
        await check_free(self._session, values.get("name", "").strip())
        seconds = parse_duration(values["keep_alive"]) if values.get("keep_alive", "").strip() else None
        use, keep = values.get("use") == "yes", values.get("keep") == "yes"
        progress = Progress("")
        creating = asyncio.ensure_future(
            self._session.create(form.request(values), keep_alive=seconds, keep=keep, progress=progress, use=use)
        )
        while not creating.done() and not progress.step:  # until the service has it, or has refused
            await asyncio.wait({creating}, timeout=0.1)
        if not creating.done():
            self._closed(form)
            await self._feed.try_to_look(["devbox"], within=_GLANCE)
        devbox = await creating
        self._closed(form)
        await self._feed.try_to_look(["devbox"], within=_GLANCE)
        self._say(f"Created {devbox.short}." + (" It is the current devbox." if use else ""))

    async def _build_blueprint(self, form: forms.Form, about: str, values: Mapping[str, str]) -> None:
        sdk = await self._session.sdk()
        view = await answered(self._feed, "blueprint", sdk.api.blueprints.create(**form.request(values)))
        self._feed.put("blueprint", view.model_dump())
        self._closed(form)
        self._post("look_at", kind="blueprint", id=view.id)

    async def _save_secret(self, form: forms.Form, about: str, values: Mapping[str, str]) -> None:
        sdk = await self._session.sdk()
        view = await answered(self._feed, "secret", sdk.api.secrets.create(**form.request(values)))
        self._feed.put("secret", view.model_dump())
        self._closed(form)
        self._say(f"Saved secret {printable(view.name)}.")

    async def _save_policy(self, form: forms.Form, about: str, values: Mapping[str, str]) -> None:
        sdk = await self._session.sdk()
        view = await answered(self._feed, "policy", sdk.api.network_policies.create(**form.request(values)))
        self._feed.put("policy", view.model_dump())
        self._closed(form)
        self._say(f"Saved network policy {printable(view.name)}.")

    async def _take_snapshot(self, form: forms.Form, about: str, values: Mapping[str, str]) -> None:
        self._closed(form)
        self._mark("devbox", about, doing="taking a snapshot")
        try:
            sdk = await self._session.sdk()
            devbox = sdk.devbox.from_id(about)
            request = devbox.snapshot_disk_async(**form.request(values))
            snapshot = await self._session.guard(answered(self._feed, "devbox", request))
            seen = (await self._session.guard(snapshot.await_completed())).snapshot
        except Exception as error:  # noqa: BLE001 - whatever it is, the row says so
            self._mark("devbox", about, error=in_words(error))
            return
        self._mark("devbox", about)
        if seen is not None:
            self._feed.put("snapshot", seen.model_dump())
        self._say(f"Took snapshot {snapshot.id}.")

    async def _open_tunnel(self, form: forms.Form, about: str, values: Mapping[str, str]) -> None:
        sdk = await self._session.sdk()
        devbox = sdk.devbox.from_id(about)
        request = form.request(values)

        async def opened() -> tuple[TunnelView, str | None]:
            tunnel = await devbox.get_tunnel() or await devbox.net.enable_tunnel(**request)
            return tunnel, await devbox.get_tunnel_url(int(values["port"]))

        tunnel, url = await answered(self._feed, "devbox", opened())
        self._closed(form)
        self._post("link", title=f"Port {values['port']}", url=url or "", token=tunnel.auth_token or "")
        await self._feed.try_to_look(["devbox"], within=_GLANCE)

    def _closed(self, form: forms.Form) -> None:
        self._open.discard(form.name)
        self._post("form_done", name=form.name)


_FORMS: Mapping[str, forms.Form] = {
    "blueprint": forms.BLUEPRINT,
    "secret": forms.SECRET,
    "policy": forms.POLICY,
    "snapshot": forms.SNAPSHOT,
    "tunnel": forms.TUNNEL,
}
_SUBMITS = {
    "devbox": Desk._create_devbox,
    "blueprint": Desk._build_blueprint,
    "secret": Desk._save_secret,
    "policy": Desk._save_policy,
    "snapshot": Desk._take_snapshot,
    "tunnel": Desk._open_tunnel,
}
_PRUNES = {
    "blueprint": "These failed to build, or a newer build of the same name replaced them.",
    "snapshot": "These are not the newest of their devbox.",
    "object": "The uploads of these failed or were given up.",
}
_KEEPS = {
    "blueprint": "no build has failed, and none was replaced by a newer one of the same name.",
    "snapshot": "each is the newest of its devbox.",
    "object": "no upload has failed or was given up.",
}


def _count(kind: str, number: int) -> str:
    singular = KINDS[kind].singular
    plural = singular[:-1] + "ies" if singular.endswith("y") else singular + ("es" if singular.endswith("x") else "s")
    return f"1 {singular}" if number == 1 else f"{number} {plural}"


def in_words(error: BaseException) -> str:
    """What went wrong, with its kind where it is not written for people."""
    if isinstance(error, MagicError | OSError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}".rstrip(": ")


def action_of(kind: str, name: str) -> Action:
    """The action. Raises `UsageError` for one that there is not."""
    action = ACTIONS.get((kind, name))
    if action is None:
        raise UsageError(f"There is no {name!r} for a {kind}.")
    return action
