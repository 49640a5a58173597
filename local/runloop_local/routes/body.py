"""Reads the JSON bodies of requests as the types that routes give."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from msgspec import inspect as types

from ..engine.errors import InvalidError
from ..validation import located
from .lenient import lenient
from .wire import LARGEST, MAX_JSON_BYTES, read_bytes

if TYPE_CHECKING:
    from starlette.requests import Request

Int64 = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
B = TypeVar("B", bound="Body")
_TRUNCATED = "Input data was truncated"
"""What msgspec says of JSON that ends too early, and of the first half of a surrogate pair near the end."""


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request's JSON body. Unknown fields are ignored, as clients of other versions send them."""

    def __repr__(self) -> str:
        """The type alone: many bodies have secrets."""
        return f"<{type(self).__qualname__}>"

    def given(self) -> dict[str, Any]:
        """The fields that have not their default, also of bodies within, as JSON has them."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def complete(self) -> dict[str, Any]:
        """All fields, also of bodies within, as JSON has them."""
        return {name: _complete(getattr(self, name)) for name in self.__struct_fields__}


def _complete(value: Any) -> Any:
    if isinstance(value, list):
        return [_complete(each) for each in value]
    return value.complete() if isinstance(value, Body) else value


async def read_body(request: Request, model: type[B], limit: int = MAX_JSON_BYTES) -> B:
    """Parse the request's JSON as `model`; an empty body is an empty object."""
    return parse_body(await read_bytes(request, limit) or b"{}", model)


def parse_body(content: bytes, model: type[B]) -> B:
    """Parse JSON as `model`; raises `InvalidError`."""
    try:
        if not content.isascii():
            content.decode()  # as msgspec does not look at what is ignored
        try:
            return msgspec.json.decode(content, type=model)
        except msgspec.ValidationError:
            return msgspec.convert(lenient(msgspec.json.decode(content), _type_of(model)), model)
    except msgspec.DecodeError as error:
        raise InvalidError(_sentence(error, model, content)) from error
    except UnicodeDecodeError as error:
        raise InvalidError(f"the body: byte {error.start} is not UTF-8.") from error
    except RecursionError as error:
        raise InvalidError("the body: it is nested too deeply.") from error


@cache
def _type_of(model: type[Body]) -> types.Type:
    return types.type_info(model)


def _sentence(error: msgspec.DecodeError, model: type[Body], content: bytes) -> str:
    place, reason = located(error)
    if reason == _TRUNCATED and _is_whole(content):
        reason = "a string has half of a surrogate pair"
    choices = _choices(_type_of(model), place.split(".")) if reason.startswith("Invalid ") else []
    known = f"; it is one of {', '.join(map(repr, choices))}" if choices else ""
    return f"{place or 'the body'}: {reason}{known}."


def _is_whole(content: bytes) -> bool:
    """True if it is JSON, which may have halves of surrogate pairs."""
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _choices(kind: types.Type, place: list[str]) -> list[Any]:
    """The values that may be at a place within a type, if it lists them."""
    if isinstance(kind, types.UnionType):
        tags = [each.tag for each in kind.types if isinstance(each, types.StructType) and [each.tag_field] == place]
        return tags or [choice for each in kind.types for choice in _choices(each, place)]
    if not place:
        return list(kind.values) if isinstance(kind, types.LiteralType) else []
    first, *rest = place
    return [choice for each in _parts(kind, first) for choice in _choices(each, rest)]


def _parts(kind: types.Type, name: str) -> list[types.Type]:
    if isinstance(kind, types.StructType):
        return [field.type for field in kind.fields if field.encode_name == name]
    if isinstance(kind, types.ListType):
        return [kind.item_type]
    return [kind.value_type] if isinstance(kind, types.DictType) else []
