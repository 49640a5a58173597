"""Requests that come twice."""

from __future__ import annotations

from collections import OrderedDict

_REMEMBERED = 10_000


class Requests:
    """Which resource a request made, so that its retry finds that one instead of making another."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, ...], str] = OrderedDict()

    def made(self, *request: str | None) -> str | None:
        """What the request with these marks has made. A request without an id is never the same."""
        return None if None in request else self._made.get(_key(request))

    def note(self, resource: str, *request: str | None) -> None:
        """Remember what it made."""
        if None not in request:
            self._made[_key(request)] = resource
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)

    def forget(self, *request: str | None) -> None:
        """It has made nothing after all."""
        self._made.pop(_key(request), None)


def _key(request: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(part or "" for part in request)
