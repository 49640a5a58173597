"""Shows in the table what an operation does to a resource, and says in words what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MagicError
from ..operations.observer import Observer
from ..resources.kinds import kind_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ..resources.kind import ResourceKind
    from .feed import Feed

T = TypeVar("T")

_ANSWER_WITHIN = 20.0  # seconds for an answer, with the tries after a refusal that may pass


class RowObserver(Observer):
    """Shows what becomes of the resources of one kind: nobody can press Stop here."""

    def __init__(self, feed: Feed, kind: ResourceKind[Any]) -> None:
        self._feed = feed
        self._kind = kind

    def changed(self, view: BaseModel) -> None:
        """Show a change in the table at once."""
        self._feed.put(kind_of(view).name, view.model_dump(exclude={"upload_url", "upload_headers"}))

    async def confirmed(self, request: Awaitable[T]) -> T:
        """Return the request's result. Raises `MagicError` where the service does not answer for long."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                return await request
        except TimeoutError:
            why = self._feed.tables.health[self._kind.name]["error"] or "The service does not answer."
            raise MagicError(
                f"Not confirmed within {_ANSWER_WITHIN:.0f} s: {why} Whether it was done shows here."
            ) from None


class FormObserver(RowObserver):
    """The same for a form, which closes once the service has taken the request."""

    def __init__(self, feed: Feed, kind: ResourceKind[Any], accept: Callable[[], None]) -> None:
        super().__init__(feed, kind)
        self._accept = accept

    def changed(self, view: BaseModel) -> None:
        """Show a change, and close the form."""
        super().changed(view)
        self._accept()

    async def confirmed(self, request: Awaitable[T]) -> T:
        """Return the request's result, and close the form."""
        answer = await super().confirmed(request)
        self._accept()
        return answer


def in_words(error: BaseException) -> str:
    """Return what went wrong, with its class where the text is not written for people."""
    if isinstance(error, MagicError | OSError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}".rstrip(": ")
