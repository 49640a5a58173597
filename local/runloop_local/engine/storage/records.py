"""Converts records to and from JSON, keeping unknown fields, and with the location of invalid ones in errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError, model_validator

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The base of every stored dataclass, including nested ones."""

    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Fields stored by another version, which are written back unchanged."""

    @model_validator(mode="before")
    @classmethod
    def _set_unknown_apart(cls, body: Any) -> Any:
        if not isinstance(body, dict) or body.keys() <= cls.__dataclass_fields__.keys():
            return body
        known = {name: value for name, value in body.items() if name in cls.__dataclass_fields__}
        return {**known, "unknown": {name: value for name, value in body.items() if name not in known}}


def loader(kind: type[T]) -> Callable[[Any], T]:
    """A function that parses stored bodies to records of this kind; it raises `ValueError` for invalid ones."""

    @cache  # created at the first use, as that takes milliseconds
    def adapter() -> TypeAdapter[T]:
        return TypeAdapter(kind)

    def load(body: Any) -> T:
        try:
            return adapter().validate_python(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            location = ".".join(map(str, first["loc"]))
            raise ValueError(f"{location}: {first['msg']}" if location else first["msg"]) from None

    return load


def body_of(record: DataclassInstance) -> dict[str, Any]:
    """The stored form of a record, including unknown fields."""
    return asdict(record, dict_factory=_with_unknown)


def shown(record: DataclassInstance) -> dict[str, Any]:
    """The fields of a record that this version knows."""
    return asdict(record, dict_factory=_known)


def _with_unknown(items: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(items)
    return {**values.pop("unknown", {}), **values}


def _known(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if name != "unknown"}
