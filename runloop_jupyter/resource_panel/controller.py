"""Carries out what the user does to rows: actions, questions before what cannot be undone, pruning."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..resources.devboxes import DevboxInfo, describe
from ..resources.kind import Action, ActionRequest, ResourceKind
from ..resources.kinds import kind_named
from ..resources.kinds.devbox import DEVBOX
from ..widgets.protocol import panel as messages
from .row_observer import RowObserver, in_words
from .tool_tabs import TOOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..session import Session
    from ..widgets.channel import Channel
    from .feed import Feed
    from .forms import PanelForms
    from .marks import Marks
    from .tool_tabs import ToolTabs

_AT_ONCE = 16  # resources that are worked on together
_SHOWN = 200  # names in a question


@dataclass(frozen=True, slots=True)
class _Question:
    """A question that waits for an answer in a view."""

    view: str
    kind: ResourceKind[Any]
    action: Action
    ids: tuple[str, ...]


class PanelController:
    """Does what a panel is asked to do with rows, and tells how it went: on the row, or in the view that asked."""

    def __init__(
        self, session: Session, feed: Feed, channel: Channel, marks: Marks, forms: PanelForms, tool_tabs: ToolTabs
    ) -> None:
        self._session = session
        self._feed = feed
        self._channel = channel
        self._marks = marks
        self._forms = forms
        self._tool_tabs = tool_tabs
        self._questions: dict[str, _Question] = {}
        self._tokens = (f"q{number}" for number in itertools.count())
        channel.on(messages.Act, self._act)
        channel.on(messages.Prune, self._prune)
        channel.on(messages.Answer, self._answer)

    def forget(self, view: str) -> None:
        """Forget the questions of a view that is gone."""
        for token in [token for token, question in self._questions.items() if question.view == view]:
            del self._questions[token]

    # What the page asks for

    async def _act(self, view: str, wanted: messages.Act) -> None:
        """Do it to these resources, or open its tool or form; what cannot be undone is asked about first."""
        kind = kind_named(wanted.kind)
        action = kind.action(wanted.action)
        if not wanted.ids:
            raise UsageError(f"{action.title}: choose at least one {kind.singular}.")
        self._feed.poke()
        has_form = any(form.name == action.name for form in kind.forms)
        if action.run is None or (len(wanted.ids) == 1 and has_form):
            await self._open(view, kind, action.name, wanted.ids[0])
        elif action.destructive:
            self._ask(view, kind, action, wanted.ids, f"{action.title} {kind.counted(len(wanted.ids))}?")
        else:
            await self._do_all(kind, action, wanted.ids)

    async def _prune(self, view: str, wanted: messages.Prune) -> None:
        """Ask whether to delete what is of no more use."""
        kind = kind_named(wanted.kind)
        if kind.pruning is None:
            raise UsageError(f"There is no rule for pruning {kind.plural}.")
        await self._feed.fetch_all(kind.name)
        rows = kind.prunable(self._feed.tables[kind.name].rows.values())
        if not rows:
            self._tell(f"There is nothing to prune: {kind.pruning.none}")
            return
        title = f"Prune {kind.counted(len(rows))}?"
        self._ask(view, kind, kind.action("delete"), [row[0] for row in rows], title, kind.pruning.why)

    async def _answer(self, view: str, answer: messages.Answer) -> None:
        """Take the answer to a question; each is taken once, from the view that was asked."""
        question = self._questions.get(answer.token)
        if question is not None and question.view == view:
            del self._questions[answer.token]
            if answer.yes:
                await self._do_all(question.kind, question.action, question.ids)
        elif answer.yes:
            raise UsageError("This question was answered, or asked too long ago: nothing was done.")

    # Opening

    async def _open(self, view: str, kind: ResourceKind[Any], action: str, identity: str) -> None:
        if action in TOOLS:
            self._tool_tabs.open(action, await self._devbox(identity))
        elif action == "create_devbox":
            await self._forms.open_creation(view, DEVBOX, f"{kind.name}:{identity}")
        else:
            self._forms.open_action(view, kind, action, identity)

    async def _devbox(self, identity: str) -> DevboxInfo:
        sdk = await self._session.client.sdk()
        return describe(await self._session.client.guard(sdk.devbox.from_id(identity).get_info()))

    # Asking

    def _ask(
        self, view: str, kind: ResourceKind[Any], action: Action, ids: Sequence[str], title: str, why: str = ""
    ) -> None:
        rows = [row for each in ids if (row := self._feed.tables.row(kind.name, each)) is not None]
        named = [messages.Doomed(kind.name_of(row), row[0], kind.status(row)) for row in rows]
        token = next(self._tokens)
        self._questions[token] = _Question(view, kind, action, tuple(row[0] for row in rows))
        question = messages.Confirm(
            token=token,
            title=title,
            text=" ".join(filter(None, (why, kind.loses))),
            items=named[:_SHOWN],
            more=max(len(named) - _SHOWN, 0),
            yes=action.title,
        )
        self._channel.post(question, view=view)

    # Doing

    async def _do_all(self, kind: ResourceKind[Any], action: Action, ids: Sequence[str]) -> None:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(identity: str) -> str:
            async with turns:
                return await self._do(kind, action, identity, alone=len(ids) == 1)

        for identity in ids:
            self._marks.set(kind.name, identity, doing=action.doing)
        results = [text for text in await asyncio.gather(*map(one, ids)) if text]
        self._feed.note_current()
        self._feed.poke()
        if results:
            self._tell(results[0] if len(results) == 1 else f"{action.title}: done for {len(results)}.")

    async def _do(self, kind: ResourceKind[Any], action: Action, identity: str, *, alone: bool) -> str:
        """Do it to one resource; a failure stands on its row."""
        try:
            result = await self._run(kind, action, identity, alone=alone)
        except Exception as error:  # noqa: BLE001 - whatever it is, the row says so
            self._marks.set(kind.name, identity, error=in_words(error))
            return ""
        self._marks.set(kind.name, identity)
        if action.name == "delete":
            self._feed.tables.drop(kind.name, identity)
        return result

    async def _run(self, kind: ResourceKind[Any], action: Action, identity: str, *, alone: bool) -> str:
        row = self._feed.tables.row(kind.name, identity)
        if row is None:
            raise UsageError(f"This {kind.singular} is gone.")
        if action.states is not None and kind.status(row) not in action.states:
            raise UsageError(f"It is {kind.status(row)} now: {action.title} cannot be done.")
        assert action.run is not None
        request = ActionRequest(self._session, kind, row, RowObserver(self._feed, kind), alone)
        return await self._session.client.guard(action.run(request))

    def _tell(self, text: str) -> None:
        self._channel.post(messages.Notice(text, error=False))
