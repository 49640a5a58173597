"""The views of a widget in open pages, and the order of what each of them sends. Does no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

SILENCE = 150.0
"""Seconds after which a view that says nothing is gone: browsers let the timers of hidden pages run once a minute."""


class InOrder(Generic[T]):
    """The messages of one sender, numbered from 0, of which some may come before those that were sent earlier.

    A notebook's shell and control channels may carry those of one view side by side for a moment.
    """

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, T] = {}

    @property
    def last(self) -> int:
        """The number up to which all have come, or were given up; -1 before the first."""
        return self._next - 1

    def holds(self, number: int) -> bool:
        """Return True if this message is held back for one that was sent before it."""
        return number in self._early

    def take(self, number: int, message: T) -> list[T]:
        """Take a message and return those that can be handled now. One that was given up is handled as it comes."""
        if number < self._next:
            return [message]
        self._early[number] = message
        return self._due()

    def release(self, number: int) -> list[T]:
        """Stop waiting for what is missing before this message, and return those that can be handled now."""
        found: list[T] = []
        while self.holds(number):
            self._next = min(self._early)
            found += self._due()
        return found

    def _due(self) -> list[T]:
        found = []
        while self._next in self._early:
            found.append(self._early.pop(self._next))
            self._next += 1
        return found


@dataclass(slots=True)
class View(Generic[T]):
    """A place in a page where a widget is shown: when it was heard last (monotonic seconds), and whether it is seen.

    It is open once it has said hello.
    """

    heard: float
    is_open: bool = False
    visible: bool = False
    arrived: InOrder[T] = field(default_factory=InOrder)


class Views(Generic[T]):
    """All views of a widget, by their ids; its length is the number of open ones."""

    def __init__(self) -> None:
        self._views: dict[str, View[T]] = {}

    def __len__(self) -> int:
        return sum(view.is_open for view in self._views.values())

    def get(self, name: str) -> View[T] | None:
        """Return a view; None for one that is not known, or not any more."""
        return self._views.get(name)

    def heard(self, name: str, now: float) -> View[T]:
        """Note that a view has said something, and return it."""
        found = self._views.setdefault(name, View(now))
        found.heard = now
        return found

    def forget(self, name: str) -> None:
        """A view was closed."""
        self._views.pop(name, None)

    def forget_silent(self, now: float) -> list[str]:
        """Forget the views that have been silent for too long, and return their ids."""
        gone = [name for name, view in self._views.items() if now - view.heard > SILENCE]
        for name in gone:
            del self._views[name]
        return gone

    @property
    def visible(self) -> bool:
        """True if somebody can see one of them."""
        return any(view.is_open and view.visible for view in self._views.values())
