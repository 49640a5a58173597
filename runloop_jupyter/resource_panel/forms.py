"""The forms that are open in the views of a panel: opened, checked, and sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..resources.forms import Form, Outcome, Submission
from ..resources.kind import ResourceKind, Row
from ..resources.kinds import KINDS, kind_named
from ..resources.kinds.devbox import DEVBOX
from ..text.quoting import reference
from ..widgets.protocol import panel as messages
from .row_observer import FormObserver, in_words

if TYPE_CHECKING:
    from ..session import Session
    from ..widgets.channel import Channel
    from .feed import Feed
    from .marks import Marks

_SHOWN = 200  # names in a choice
_GLANCE = 2.0  # seconds that is waited for a list before going on without it
_FORGOTTEN = "This form was opened too long ago: close it and open it again."


@dataclass(slots=True)
class _OpenForm:
    """A form in a view, for a row or for a new resource. `is_accepted` is True once the service has taken it."""

    view: str
    kind: ResourceKind[Any]
    form: Form
    row_id: str = ""
    is_accepted: bool = False


class PanelForms:
    """The open forms, by view and name: what a view asks for is answered in that view."""

    def __init__(self, session: Session, feed: Feed, channel: Channel, marks: Marks) -> None:
        self._session = session
        self._feed = feed
        self._channel = channel
        self._marks = marks
        self._forms: dict[tuple[str, str], _OpenForm] = {}
        channel.on(messages.OpenForm, self._open_asked)
        channel.on(messages.CheckForm, self._check_asked)
        channel.on(messages.SubmitForm, self._submit)

    async def open_creation(self, view: str, kind: ResourceKind[Any], source: str = "") -> None:
        """Show the form that makes a new resource of a kind, which starts from `source` at first ("blueprint:ID")."""
        if kind.creation is None:
            raise UsageError(f"There is no form for a new {kind.singular}.")
        if kind.sources:
            await self._feed.try_to_look(kind.sources, within=_GLANCE)
        choices = {each: self._choices(KINDS[each], source) for each in kind.sources}
        self._open(_OpenForm(view, kind, kind.creation(choices, source)))

    def open_action(self, view: str, kind: ResourceKind[Any], name: str, identity: str) -> None:
        """Show the form of an action on one resource."""
        form = next((form for form in kind.forms if form.name == name), None)
        if form is None:
            raise UsageError(f"There is no form {name!r} for a {kind.singular}.")
        self._open(_OpenForm(view, kind, form, identity))

    def forget(self, view: str) -> None:
        """Forget the forms of a view that is gone."""
        for key in [key for key in self._forms if key[0] == view]:
            del self._forms[key]

    # What the page asks for

    async def _open_asked(self, view: str, wanted: messages.OpenForm) -> None:
        await self.open_creation(view, kind_named(wanted.kind))

    def _check_asked(self, view: str, typed: messages.CheckForm) -> None:
        opened = self._opened(view, typed.name)
        if opened is not None:
            self._check(opened, typed.values)

    async def _submit(self, view: str, typed: messages.SubmitForm) -> None:
        """Do what a form asks for; it closes once the service has taken that, and stays open where it is refused."""
        opened = self._opened(view, typed.name)
        if opened is None:
            return
        if self._check(opened, typed.values):
            self._refuse(view, typed.name, "")
            return
        observer = FormObserver(self._feed, opened.kind, lambda: self._accept(opened))
        submission = Submission(self._session, typed.values, observer, self._row_of(opened))
        try:
            outcome = await self._session.client.guard(opened.form.submit(submission))
        except Exception as error:  # noqa: BLE001 - whatever it is, the form, the row or the panel says so
            self._fail(opened, in_words(error))
            return
        self._accept(opened)
        await self._conclude(opened, outcome)

    # One form

    def _open(self, opened: _OpenForm) -> None:
        form, row = opened.form, self._row_of(opened)
        self._forms[opened.view, form.name] = opened
        about = opened.kind.name_of(row) if row else ""
        fields = [field.spec() for field in form.fields]
        event = messages.FormOpened(form.name, form.title, form.button, about, fields)
        self._channel.post(event, view=opened.view)

    def _opened(self, view: str, name: str) -> _OpenForm | None:
        """Return the form that a view means; where it is not known any more, say so in the view."""
        opened = self._forms.get((view, name))
        if opened is None:
            self._refuse(view, name, _FORGOTTEN)
        return opened

    def _check(self, opened: _OpenForm, values: Mapping[str, str]) -> dict[str, str]:
        """Say what is wrong with what was typed, and how the same is typed in a cell."""
        problems = opened.form.check(values)
        row = self._row_of(opened)
        known = {"about": reference(str(row[1]), row[0])} if row else {}
        magic = opened.form.magic({**values, **known})
        self._channel.post(messages.FormChecked(opened.form.name, problems, magic), view=opened.view)
        return problems

    def _accept(self, opened: _OpenForm) -> None:
        """Close a form; the row that it is for says what is going on from then on."""
        if opened.is_accepted:
            return
        opened.is_accepted = True
        self._channel.post(messages.FormAccepted(opened.form.name), view=opened.view)
        if opened.form.doing:
            self._marks.set(opened.kind.name, opened.row_id, doing=opened.form.doing)
        self._feed.poke()

    def _refuse(self, view: str, name: str, why: str) -> None:
        self._channel.post(messages.FormRefused(name, why), view=view)

    def _fail(self, opened: _OpenForm, problem: str) -> None:
        if not opened.is_accepted:
            self._refuse(opened.view, opened.form.name, problem)
        elif opened.form.doing:
            self._marks.set(opened.kind.name, opened.row_id, error=problem)
        else:
            self._channel.post(messages.Notice(problem, error=True))

    async def _conclude(self, opened: _OpenForm, outcome: Outcome) -> None:
        if opened.form.doing:
            self._marks.set(opened.kind.name, opened.row_id)
        if outcome.details_of:
            self._channel.post(messages.DetailsWanted(opened.kind.name, outcome.details_of), view=opened.view)
        if outcome.link is not None:
            link = messages.LinkReady(outcome.link.title, outcome.link.url, outcome.link.token)
            self._channel.post(link, view=opened.view)
        if opened.kind is DEVBOX:
            await self._feed.try_to_look([DEVBOX.name], within=_GLANCE)
        if outcome.text:
            self._channel.post(messages.Notice(outcome.text, error=False))

    def _row_of(self, opened: _OpenForm) -> Row | None:
        return self._feed.tables.row(opened.kind.name, opened.row_id) if opened.row_id else None

    def _choices(self, kind: ResourceKind[Any], chosen: str) -> list[tuple[str, str]]:
        """Return the newest, and the one that is chosen; those that share a name have their ids beside it."""
        rows = self._feed.tables[kind.name].rows.values()
        usable = [row for row in rows if kind.startable is None or kind.status(row) in kind.startable]
        newest = enumerate(kind.newest_first(usable))
        shown = [row for at, row in newest if at < _SHOWN or f"{kind.name}:{row[0]}" == chosen]
        times = Counter(map(kind.name_of, shown))
        return [(row[0], name if times[name := kind.name_of(row)] == 1 else f"{name} ({row[0]})") for row in shown]
