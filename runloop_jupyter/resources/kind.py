"""A kind of resource: its names, its place in the API, its table, its actions and its forms.

Rows are made of what the API sent as it is, not of checked views: a list with one odd entry is still a list, and ten
thousand entries cost a tenth of the time. A row is a list, with the id first and then a value for each column.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from ..errors import UsageError, did_you_mean
from ..text.json_values import RequestParams
from ..text.quoting import printable, reference
from . import specs
from .specs import Cell, Column, Fact, LogLine

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..operations.observer import Observer
    from ..session import Session
    from .forms import Form

_PAGE = 1000  # items asked for at once
_SHOWN = 8  # of those that an ambiguous name may mean

Entry = Mapping[str, Any]
Row = list[Any]


class Named(Protocol):
    """The fields of all resources. Snapshots may have no name."""

    id: str
    create_time_ms: int

    @property
    def name(self) -> str | None:
        """What it is called."""

    def model_dump(self) -> dict[str, object]:
        """Return all fields, as the API names them."""


V = TypeVar("V", bound=Named)
AnyKind: TypeAlias = "ResourceKind[Any]"
"""A kind of which nobody needs to know the SDK's view."""
Choices = Mapping[str, Sequence[tuple[str, str]]]
"""By kind, the id and the name of each that can be chosen."""


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An action on one resource. `alone` is True unless it is done to several at once."""

    session: Session
    kind: AnyKind
    row: Row
    observer: Observer
    alone: bool = True

    @property
    def id(self) -> str:
        """The resource's id."""
        return str(self.row[0])

    @property
    def name(self) -> str:
        """The resource's name, else its id."""
        return self.kind.name_of(self.row)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do with resources of a kind. `run` returns a sentence for the user.

    `states` are those in which it is allowed; None for all. `doing` is shown on the row meanwhile. `destructive` ones
    are asked about first. One without `run` opens the tool or the form of its name, for one resource; one with both
    opens its form for one and runs for several.
    """

    name: str
    label: str
    states: tuple[str, ...] | None = None
    run: Callable[[ActionRequest], Awaitable[str]] | None = None
    doing: str = ""
    many: bool = True
    destructive: bool = False

    @property
    def title(self) -> str:
        """The label without the dots that announce a question or a form."""
        return self.label.rstrip("…")

    def spec(self) -> specs.Action:
        """Return the part of it that the page gets."""
        return {
            "name": self.name,
            "label": self.label,
            "states": self.states,
            "many": self.many,
            "destructive": self.destructive,
        }


@dataclass(frozen=True, slots=True)
class Pruning:
    """The rule for resources of no more use. `choose` takes rows, newest first, and how many to keep of each group."""

    choose: Callable[[Sequence[Row], int], list[Row]]
    why: str
    """Says of those that are chosen why they are."""
    none: str
    """Says why there are none."""


@dataclass(frozen=True, slots=True)
class ResourceKind(Generic[V]):
    """One kind of resource.

    `name` is the word after %runloop and in messages; `singular` and `title` are for sentences and tabs. The API lists
    them at `path`, as `items` of the answer, and has one at `detail_path`, in which {} stands for the id.
    """

    name: str
    singular: str
    title: str
    model: str
    """The name of the SDK's view of one."""
    path: str
    items: str
    detail_path: str
    ask: Callable[[AsyncRunloopSDK, RequestParams], AsyncIterator[V]]
    """Lists them, newest first, with these parameters."""
    columns: tuple[Column, ...]
    row_values: Callable[[Entry], Row]
    """Makes an entry's values after the id."""
    empty: str
    """Says what to do where there is none."""
    actions: tuple[Action, ...]
    cells: Callable[[Entry, str, str], list[Cell]]
    """Makes the cells that do what the panel does, of an entry, its name and its id."""
    loses: str
    """Says what is lost with it."""
    listed: tuple[str, ...] = ()
    """The columns of the table that `list` prints, in its order, by key."""
    delete: Callable[[AsyncRunloopSDK, str], Awaitable[object]] | None = None
    """Deletes the one with this id."""
    pruning: Pruning | None = None
    create_label: str = ""
    """The button that makes a new one; none without it."""
    creation: Callable[[Choices, str], Form] | None = None
    """Makes the form for a new one, with what it can start from: by kind, and the one that is chosen at first."""
    uploads: bool = False
    """True if new ones are made of files."""
    forms: tuple[Form, ...] = ()
    """The forms that its actions open."""
    sources: tuple[str, ...] = ()
    """The kinds that a new one can start from."""
    startable: frozenset[str] | None = None
    """The statuses in which a devbox can start from one; None for all."""
    shows_names_of: tuple[str, ...] = ()
    """The kinds of which its table shows the names."""
    settled: frozenset[str] = frozenset()
    """The statuses that last; all others are on the way to one of them."""
    ended: frozenset[str] = frozenset()
    """The statuses that are shown only when asked for."""
    optional: bool = False
    """True if not every service has it: its tab is there where it is served."""
    searchable: bool = True
    newest_wins: bool = False
    """True if of several with one whole name the newest is meant, as the API does it for blueprints."""
    belongs_to_kernels: bool = False
    """True if a kernel may own one, which its entries then say."""
    detail_entry: Callable[[Entry], Entry] = field(default=lambda answer: answer)
    """Finds the entry in the answer about one."""
    fact: Callable[[Entry, str], object] = field(default=lambda entry, key: entry.get(key))
    """Returns an entry's value for the details; None hides it."""
    more_facts: Callable[[Entry], Iterable[Fact]] = field(default=lambda entry: ())
    """Returns what else the details show."""
    log: Callable[[AsyncRunloopSDK, str], Awaitable[list[LogLine]]] | None = None
    """Reads the log of its making."""

    # Names

    @property
    def plural(self) -> str:
        """Several of them, for sentences."""
        return plural(self.singular)

    @property
    def list_line(self) -> str:
        """The cell that lists them all."""
        return f"%runloop {self.name} list"

    def counted(self, number: int) -> str:
        """Return how many, with the word: "1 snapshot"."""
        return f"{number} {self.singular if number == 1 else self.plural}"

    # Lookup

    async def all(self, sdk: AsyncRunloopSDK, *, limit: int | None = None, **filters: object) -> list[V]:
        """Return those that there are, newest first, at most `limit`."""
        found: list[V] = []
        page = {"limit": min(limit or _PAGE, _PAGE), **filters}
        async for view in self.ask(sdk, page):
            if limit is not None and len(found) >= limit:
                break
            found.append(view)
        return found

    async def find(self, sdk: AsyncRunloopSDK, reference: str) -> V:
        """Return the one with this id, this name, or a name or id that alone begins so. Raises `UsageError`."""
        if self.searchable:
            found = self.choose(reference, await self.all(sdk, search=reference))
            if found is not None:
                return found
        known = await self.all(sdk)
        found = self.choose(reference, known)
        if found is None:
            raise self.unknown(reference, known)
        return found

    def choose(self, reference: str, known: Iterable[V]) -> V | None:
        """Return the one of `known` that is meant, whole names before beginnings.

        Raises `UsageError` where several are.
        """
        known = list(known)
        whole = [each for each in known if reference in (each.id, each.name)]
        if whole and self.newest_wins:
            return whole[0]
        starts = [each for each in known if each.id.startswith(reference) or (each.name or "").startswith(reference)]
        matches = whole or starts
        if len(matches) > 1:
            raise UsageError(self.ambiguous(reference, matches))
        return matches[0] if matches else None

    def ambiguous(self, reference: str, matches: Sequence[V]) -> str:
        """Return the sentence about a name of several."""
        shown = ", ".join(map(label, matches[:_SHOWN])) + (", …" if len(matches) > _SHOWN else "")
        return f"{reference!r} means {len(matches)} {self.plural}: {shown}. Type the id of the one you mean."

    def unknown(self, reference: str, known: Iterable[V]) -> UsageError:
        """Return the error about a name of none."""
        near = did_you_mean(reference, (each.name or each.id for each in known))
        return UsageError(f"No {self.singular} {reference!r}.{near} {self.list_line} shows them all.")

    # Rows

    def row(self, entry: Entry) -> Row | None:
        """Return the row of one entry; None where it has no id to act on."""
        identity = entry.get("id")
        return [identity, *self.row_values(entry)] if isinstance(identity, str) and identity else None

    def column(self, key: str) -> Column:
        """Return the column with this key."""
        return next(column for column in self.columns if column.key == key)

    def value(self, row: Row, key: str) -> Any:
        """Return the row's value in a column; None for a column that this kind does not have."""
        return row[0] if key == "id" else self.getter(key)(row)

    def getter(self, key: str) -> Callable[[Row], Any]:
        """Return what returns a row's value in a column: for many rows, the column is looked for once."""
        at = next((1 + at for at, column in enumerate(self.columns) if column.key == key), None)
        return (lambda row: None) if at is None else itemgetter(at)

    def status(self, row: Row) -> str:
        """Return the resource's state; empty for kinds that have none."""
        return self.value(row, "status") or self.value(row, "state") or ""

    def name_of(self, row: Row) -> str:
        """Return the name, else the id."""
        return str(row[1] or row[0])

    def newest_first(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows by the time at which each was created."""
        created = self.getter("created")
        return sorted(rows, key=lambda row: created(row) or 0, reverse=True)

    def newest(self, rows: Iterable[Row], count: int) -> list[Row]:
        """Return the first so many of these."""
        created = self.getter("created")
        return heapq.nlargest(count, rows, key=lambda row: created(row) or 0)

    def live(self, rows: Iterable[Row]) -> list[Row]:
        """Return those that have not ended."""
        if not self.ended:
            return list(rows)
        status = self.getter("status")
        return [row for row in rows if status(row) not in self.ended]

    def prunable(self, rows: Iterable[Row], keep: int = 1) -> list[Row]:
        """Return the rows of those that are of no more use; `keep` is how many stay of each group that has one."""
        return [] if self.pruning is None else self.pruning.choose(self.newest_first(rows), keep)

    # Actions and cells

    def action(self, name: str) -> Action:
        """Return the action of this name. Raises `UsageError` where there is none."""
        found = next((action for action in self.actions if action.name == name), None)
        if found is None:
            raise UsageError(f"There is no {name!r} for a {self.singular}.")
        return found

    def cells_for(self, entry: Entry) -> list[Cell]:
        """Return the cells that do with one resource what the panel does."""
        name, identity = str(entry.get("name") or ""), str(entry.get("id") or "")
        return self.cells(entry, reference(name, identity), reference("", identity))

    def spec(self) -> specs.Kind:
        """Return the part of it that the page gets."""
        return {
            "name": self.name,
            "title": self.title,
            "singular": self.singular,
            "plural": self.plural,
            "empty": self.empty,
            "settled": sorted(self.settled),
            "ended": sorted(self.ended),
            "create": self.create_label,
            "uploads": self.uploads,
            "prunes": self.pruning is not None,
            "columns": self.columns,
            "actions": [action.spec() for action in self.actions],
            "needs": self.shows_names_of,
        }


def label(view: Named) -> str:
    """Return the name and the id, or the id alone, as they are shown."""
    return printable(f"{view.name} ({view.id})" if view.name else view.id)


def short(view: Named) -> str:
    """Return the name, else the id, as they are."""
    return view.name or view.id


def plural(word: str) -> str:
    """Return the word for several."""
    if word.endswith("y"):
        return word.removesuffix("y") + "ies"
    return word + ("es" if word.endswith("x") else "s")


# Values of entries, which come from the wire: each is of its type, or empty


def text(value: object) -> str:
    """Return a text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return a whole number, or None for anything else."""
    if type(value) is int:  # nearly always: a list of ten thousand is read in a tenth of a second
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value)


def part(entry: Entry, key: str) -> Entry:
    """Return the object under a key, or an empty one for anything else."""
    value = entry.get(key)
    return value if isinstance(value, dict) else {}  # JSON has no other mappings, and asking for them takes long


NAME = Column("name", "Name", width=190)
"""The first column of all kinds."""
