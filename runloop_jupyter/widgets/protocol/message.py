"""Messages between the kernel and a page: frozen dataclasses, of which the page's types are made.

A message travels as JSON, its fields beside `op`, the name of its class in snake case. Fields of bytes travel beside
the JSON, in the order in which they stand, as the buffers of a Jupyter message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ...errors import MagicError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 1
"""Raised when a message changes its meaning: a page of another version asks for the cell to be run again."""

_SHOWN = 60  # characters of what a page sent that nobody knows
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True)
class Message:
    """A message; each class of them is a frozen dataclass."""

    __slots__ = ()
    op: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.op = _WORD.sub("_", cls.__name__).lower()


class Request(Message):
    """A message from the page to the kernel."""

    __slots__ = ()


class Event(Message):
    """A message from the kernel to the page."""

    __slots__ = ()


R = TypeVar("R", bound=Request)


@dataclass(frozen=True, slots=True)
class Protocol:
    """The messages of one widget: those that its page may send, and those that it may get."""

    name: str
    requests: tuple[type[Request], ...]
    events: tuple[type[Event], ...]

    def decode(self, content: Mapping[str, Any], buffers: Sequence[bytes | memoryview]) -> Request:
        """Return the page's message. Raises `MagicError` for one that is none of this protocol's."""
        kind = next((each for each in self.requests if each.op == content.get("op")), None)
        if kind is None:
            raise MagicError(f"The page sent {_short(content.get('op'))}, which is not known here: run the cell again.")
        return decode(kind, content, buffers)


def _short(op: object) -> str:
    return repr(op) if len(repr(op)) <= _SHOWN else f"{repr(op)[:_SHOWN]}…"


def decode(kind: type[R], content: Mapping[str, Any], buffers: Sequence[bytes | memoryview]) -> R:
    """Return a request of this class, with each field checked. Raises `MagicError` where one is not of its type."""
    from pydantic import TypeAdapter, ValidationError

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    binary = dict(zip(binary_fields(kind), map(bytes, buffers), strict=False))
    values = {field.name: content[field.name] for field in fields(kind) if field.name in content}
    try:
        found: R = _adapters[kind].validate_python({**values, **binary})
    except ValidationError as error:
        wrong = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}))
        raise MagicError(f"The page's {kind.op!r} has no valid {wrong}: run the cell again.") from None
    return found


_adapters: dict[type[Request], TypeAdapter[Any]] = {}  # made when first needed: pydantic is heavy


def encode(event: Event) -> tuple[dict[str, Any], list[bytes]]:
    """Return the JSON of an event, and its buffers."""
    binary = binary_fields(type(event))
    content = {field.name: getattr(event, field.name) for field in fields(event) if field.name not in binary}
    return {"op": event.op, **content}, [getattr(event, name) for name in binary]


def binary_fields(kind: type[Message]) -> tuple[str, ...]:
    """Return the names of the fields that travel as buffers."""
    return tuple(field.name for field in fields(kind) if field.type == "bytes")
