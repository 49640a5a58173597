"""Numbered messages, taken in their order: two ways of the notebook's may carry those of one view for a moment."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """The messages of one sender, numbered from 0, of which some may come before those that were sent earlier."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, T] = {}

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
