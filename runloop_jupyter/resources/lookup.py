"""Blueprints, snapshots, storage objects, secrets and network policies by what a person types: a name or an id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ..errors import UsageError, did_you_mean
from ..text.quoting import printable

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.blueprints import BlueprintView
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView
    from runloop_sdk.models.network_policies import NetworkPolicyView
    from runloop_sdk.models.objects import ObjectView
    from runloop_sdk.models.secrets import SecretView

_PAGE = 1000  # items asked for at once
_SHOWN = 8  # of those that an ambiguous name may mean


class Named(Protocol):
    """What all resources have. Snapshots may have no name."""

    id: str
    name: Any
    create_time_ms: int


V = TypeVar("V", bound=Named)


@dataclass(frozen=True, slots=True)
class Kind(Generic[V]):
    """A kind of resource: its words, and how to ask for what there is, newest first."""

    word: str
    """For sentences and completion: "blueprint"."""
    noun: str
    """What is typed after %runloop."""
    ask: Callable[[AsyncRunloopSDK, dict[str, Any]], AsyncIterator[V]]
    searchable: bool = True
    newest_wins: bool = False
    """Whether of several with one whole name the newest is meant, as the API does it for blueprints."""

    @property
    def list_line(self) -> str:
        """What to type to see them all."""
        return f"%runloop {self.noun} list"

    async def all(self, sdk: AsyncRunloopSDK, *, limit: int | None = None, **filters: Any) -> list[V]:
        """Those that there are, newest first, at most `limit`."""
        found: list[V] = []
        page = {"limit": min(limit or _PAGE, _PAGE), **filters}
        async for view in self.ask(sdk, page):
            if limit is not None and len(found) >= limit:
                break
            found.append(view)
        return found

    async def find(self, sdk: AsyncRunloopSDK, reference: str) -> V:
        """The one with this id, this name, or a name or id that alone begins so. Raises `UsageError`."""
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
        """The one of `known` that is meant, whole names before beginnings; `UsageError` where it is not clear."""
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
        """The sentence about a name of several."""
        shown = ", ".join(map(label, matches[:_SHOWN])) + (", …" if len(matches) > _SHOWN else "")
        return f"{reference!r} means {len(matches)} {plural(self.word)}: {shown}. Type the id of the one you mean."

    def unknown(self, reference: str, known: Iterable[V]) -> UsageError:
        """The error about a name of none."""
        near = did_you_mean(reference, (each.name or each.id for each in known))
        return UsageError(f"No {self.word} {reference!r}.{near} {self.list_line} shows them all.")


def label(view: Named) -> str:
    """The name and the id, or the id alone, as they are shown."""
    return printable(f"{view.name} ({view.id})" if view.name else view.id)


def short(view: Named) -> str:
    """The name, else the id, as they are."""
    return view.name or view.id


def plural(word: str) -> str:
    """Several of them."""
    return word.removesuffix("y") + "ies" if word.endswith("y") else word + "s"


BLUEPRINT: Kind[BlueprintView] = Kind(
    "blueprint", "blueprint", lambda sdk, page: aiter(sdk.api.blueprints.list(**page)), newest_wins=True
)
SNAPSHOT: Kind[DevboxSnapshotView] = Kind(
    "snapshot", "snapshot", lambda sdk, page: aiter(sdk.api.devboxes.disk_snapshots.list(**page))
)
OBJECT: Kind[ObjectView] = Kind("object", "object", lambda sdk, page: aiter(sdk.api.objects.list(**page)))
SECRET: Kind[SecretView] = Kind(
    "secret", "secret", lambda sdk, page: aiter(sdk.api.secrets.list(**page)), searchable=False
)
POLICY: Kind[NetworkPolicyView] = Kind(
    "network policy", "policy", lambda sdk, page: aiter(sdk.api.network_policies.list(**page))
)
