"""Carries out what the user does in a panel: actions on rows, forms, answers to questions."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MagicError, UsageError
from ..operations.observer import Observer
from ..resources.forms import Form, Outcome, Submission
from ..resources.kind import Action, ActionRequest, ResourceKind, Row
from ..resources.kinds import KINDS, kind_of
from ..resources.kinds.devbox import DEVBOX
from ..text.quoting import reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from ..session import Session
    from .feed import Feed

T = TypeVar("T")

_ANSWER_WITHIN = 20.0  # seconds for an answer, with the tries after a refusal that may pass
_AT_ONCE = 16  # resources that are worked on together
_SHOWN = 200  # names in a question
_GLANCE = 2.0  # seconds that is waited for a list before going on without it


class PanelController:
    """Does what a panel is asked to do, and tells how it went.

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
        self._mark, self._say, self._post = mark, say, post
        self._questions: dict[str, _Question] = {}
        self._tokens = (f"q{number}" for number in itertools.count())
        self._forms: dict[str, _OpenForm] = {}

    # Actions on rows

    async def act(self, kind: ResourceKind[Any], action: Action, ids: Sequence[str]) -> None:
        """Do it to these resources; what cannot be undone is asked about first."""
        if action.destructive:
            self._ask(kind, action, ids, f"{action.title} {kind.counted(len(ids))}?")
        else:
            await self._do_all(kind, action, ids)

    def prune(self, kind: ResourceKind[Any]) -> None:
        """Ask whether to delete what is of no more use."""
        assert kind.pruning is not None
        rows = kind.prunable(self._feed.tables[kind.name].rows.values())
        if not rows:
            self._say(f"There is nothing to prune: {kind.pruning.none}")
            return
        title = f"Prune {kind.counted(len(rows))}?"
        self._ask(kind, kind.action("delete"), [row[0] for row in rows], title, kind.pruning.why)

    async def answer(self, token: str, *, yes: bool) -> None:
        """Take the answer to a question; each is taken once."""
        question = self._questions.pop(token, None)
        if question is not None and yes:
            await self._do_all(question.kind, question.action, question.ids)

    def _ask(self, kind: ResourceKind[Any], action: Action, ids: Sequence[str], title: str, why: str = "") -> None:
        rows = [row for each in ids if (row := self._feed.row(kind.name, each)) is not None]
        named = [[kind.name_of(row), row[0], kind.status(row)] for row in rows]
        token = next(self._tokens)
        self._questions[token] = _Question(kind, action, tuple(row[0] for row in rows))
        self._post(
            "confirm",
            token=token,
            title=title,
            text=" ".join(filter(None, (why, kind.loses))),
            items=named[:_SHOWN],
            more=max(len(named) - _SHOWN, 0),
            yes=action.title,
        )

    async def _do_all(self, kind: ResourceKind[Any], action: Action, ids: Sequence[str]) -> None:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(identity: str) -> str:
            async with turns:
                return await self._do(kind, action, identity, alone=len(ids) == 1)

        for identity in ids:
            self._mark(kind.name, identity, doing=action.doing)
        results = [text for text in await asyncio.gather(*map(one, ids)) if text]
        self._feed.note_current()
        self._feed.poke()
        if results:
            self._say(results[0] if len(results) == 1 else f"{action.title}: done for {len(results)}.")

    async def _do(self, kind: ResourceKind[Any], action: Action, identity: str, *, alone: bool) -> str:
        """Do it to one resource; a failure stands on its row."""
        try:
            result = await self._run(kind, action, identity, alone=alone)
        except Exception as error:  # noqa: BLE001 - whatever it is, the row says so
            self._mark(kind.name, identity, error=in_words(error))
            return ""
        self._mark(kind.name, identity)
        if action.name == "delete":
            self._feed.drop(kind.name, identity)
        return result

    async def _run(self, kind: ResourceKind[Any], action: Action, identity: str, *, alone: bool) -> str:
        row = self._feed.row(kind.name, identity)
        if row is None:
            raise UsageError(f"This {kind.singular} is gone.")
        if action.states is not None and kind.status(row) not in action.states:
            raise UsageError(f"It is {kind.status(row)} now: {action.title} cannot be done.")
        assert action.run is not None
        request = ActionRequest(self._session, kind, row, _RowObserver(self._feed, kind), alone)
        return await self._session.client.guard(action.run(request))

    # Forms

    async def open_form(self, name: str, source: str = "") -> None:
        """Show the form that makes a new resource of a kind, which starts from `source` at first ("blueprint:ID")."""
        kind = KINDS[name]
        self._open(_OpenForm(kind, await self._creation(kind, source)))

    async def open_action_form(self, kind: ResourceKind[Any], name: str, identity: str) -> None:
        """Show the form of an action on one resource."""
        form = next(form for form in kind.forms if form.name == name)
        self._open(_OpenForm(kind, form, identity))

    def _open(self, opened: _OpenForm) -> None:
        self._forms[opened.form.name] = opened
        row = self._row_of(opened)
        self._post("form", about=opened.kind.name_of(row) if row else "", **opened.form.spec())

    def check(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """Say what is wrong with what was typed, and how the same is typed in a cell."""
        opened = self._forms[name]
        problems = opened.form.check(values)
        row = self._row_of(opened)
        known = {"about": reference(str(row[1]), row[0])} if row else {}
        self._post("checked", name=name, problems=problems, magic=opened.form.magic({**values, **known}))
        return problems

    async def submit(self, name: str, values: Mapping[str, str]) -> None:
        """Do what a form asks for; it closes once the service has taken that, and stays open where it is refused."""
        if self.check(name, values):
            self._post("refused", name=name, text="")
            return
        opened = self._forms[name]
        observer = _FormObserver(self._feed, opened.kind, lambda: self._accept(opened))
        submission = Submission(self._session, values, observer, self._row_of(opened))
        try:
            outcome = await self._session.client.guard(opened.form.submit(submission))
        except Exception as error:  # noqa: BLE001 - whatever it is, the form, the row or the panel says so
            self._fail(opened, in_words(error))
            return
        self._accept(opened)
        await self._conclude(opened, outcome)

    async def _creation(self, kind: ResourceKind[Any], chosen: str) -> Form:
        assert kind.creation is not None
        if kind.sources:
            await self._feed.try_to_look(kind.sources, within=_GLANCE)
        return kind.creation({source: self._choices(KINDS[source], chosen) for source in kind.sources}, chosen)

    def _choices(self, kind: ResourceKind[Any], chosen: str) -> list[tuple[str, str]]:
        """Return the newest, and the one that is chosen; those that share a name have their ids beside it."""
        rows = self._feed.tables[kind.name].rows.values()
        usable = [row for row in rows if kind.startable is None or kind.status(row) in kind.startable]
        newest = enumerate(kind.newest_first(usable))
        shown = [row for at, row in newest if at < _SHOWN or f"{kind.name}:{row[0]}" == chosen]
        times = Counter(map(kind.name_of, shown))
        return [(row[0], name if times[name := kind.name_of(row)] == 1 else f"{name} ({row[0]})") for row in shown]

    def _row_of(self, opened: _OpenForm) -> Row | None:
        return self._feed.row(opened.kind.name, opened.row_id) if opened.row_id else None

    def _accept(self, opened: _OpenForm) -> None:
        """Close a form; the row that it is for says what is going on from then on."""
        if opened.is_accepted:
            return
        opened.is_accepted = True
        self._post("form_done", name=opened.form.name)
        if opened.form.doing:
            self._mark(opened.kind.name, opened.row_id, doing=opened.form.doing)
        self._feed.poke()

    def _fail(self, opened: _OpenForm, problem: str) -> None:
        if not opened.is_accepted:
            self._post("refused", name=opened.form.name, text=problem)
        elif opened.form.doing:
            self._mark(opened.kind.name, opened.row_id, error=problem)
        else:
            self._say(problem, error=True)

    async def _conclude(self, opened: _OpenForm, outcome: Outcome) -> None:
        if opened.form.doing:
            self._mark(opened.kind.name, opened.row_id)
        if outcome.details_of:
            self._post("look_at", kind=opened.kind.name, id=outcome.details_of)
        if outcome.link is not None:
            self._post("link", title=outcome.link.title, url=outcome.link.url, token=outcome.link.token)
        if opened.kind is DEVBOX:
            await self._feed.try_to_look([DEVBOX.name], within=_GLANCE)
        if outcome.text:
            self._say(outcome.text)


@dataclass(frozen=True, slots=True)
class _Question:
    kind: ResourceKind[Any]
    action: Action
    ids: tuple[str, ...]


@dataclass(slots=True)
class _OpenForm:
    """A form in the page, for a row or for a new resource. `is_accepted` is True once the service has taken it."""

    kind: ResourceKind[Any]
    form: Form
    row_id: str = ""
    is_accepted: bool = False


class _RowObserver(Observer):
    """Shows each change in the table at once, and gives up on a service that does not answer: nobody can press Stop."""

    def __init__(self, feed: Feed, kind: ResourceKind[Any]) -> None:
        self._feed = feed
        self._kind = kind

    def changed(self, view: BaseModel) -> None:
        self._feed.put(kind_of(view).name, view.model_dump(exclude={"upload_url", "upload_headers"}))

    async def confirmed(self, request: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                return await request
        except TimeoutError:
            why = self._feed.health[self._kind.name].error or "The service does not answer."
            raise MagicError(
                f"Not confirmed within {_ANSWER_WITHIN:.0f} s: {why} Whether it was done shows here."
            ) from None


class _FormObserver(_RowObserver):
    """The same for a form, which closes once the service has taken the request."""

    def __init__(self, feed: Feed, kind: ResourceKind[Any], accept: Callable[[], None]) -> None:
        super().__init__(feed, kind)
        self._accept = accept

    def changed(self, view: BaseModel) -> None:
        super().changed(view)
        self._accept()

    async def confirmed(self, request: Awaitable[T]) -> T:
        answer = await super().confirmed(request)
        self._accept()
        return answer


def in_words(error: BaseException) -> str:
    """Return what went wrong, with its class where the text is not written for people."""
    if isinstance(error, MagicError | OSError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}".rstrip(": ")
