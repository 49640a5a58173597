"""Callers follow an operation by an observer: a cell shows its progress, the panel changes a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")


class Observer:
    """Takes no notice of anything. Callers override what they want to know."""

    def changed(self, view: BaseModel) -> None:
        """Take the service's newest view of a resource that the operation works on."""

    async def confirmed(self, request: Awaitable[T]) -> T:
        """Return the answer to the request that begins the operation, or give up on it."""
        return await request

    def waiting(self, status: Callable[[], Awaitable[str]]) -> AbstractAsyncContextManager[None]:
        """Return a context that is entered while a devbox moves to another state; `status` asks for the present one."""
        return nullcontext()


UNOBSERVED = Observer()
