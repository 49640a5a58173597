"""Converts records to and from JSON, keeping unknown fields, and with the location of invalid ones in errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ...validation import sentence

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Form = Callable[["DataclassInstance"], dict[str, Any]]
"""The dictionary that becomes of a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The base of every stored dataclass, including nested ones."""

    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Fields stored by another version, which are written back unchanged."""


def loader(kind: type[T]) -> Callable[[Any], T]:
    """A function that parses stored bodies to records of this kind; it raises `ValueError` for invalid ones."""

    def load(body: Any) -> T:
        try:
            found = msgspec.convert(body, kind)
        except msgspec.ValidationError as error:
            raise ValueError(sentence(error)) from None
        _keep_unknown(found, body)
        return found

    return load


def _keep_unknown(value: Any, body: Any) -> None:
    """Keep in each record of a converted value those fields of its body that it does not have."""
    if isinstance(value, tuple):
        for each, part in zip(value, body, strict=True):
            _keep_unknown(each, part)
    elif isinstance(value, Record):
        known = value.__dataclass_fields__
        if unknown := {name: part for name, part in body.items() if name not in known}:
            object.__setattr__(value, "unknown", unknown)  # nobody else has seen this record yet
        for name in body.keys() & known:
            _keep_unknown(getattr(value, name), body[name])


def body_of(record: DataclassInstance) -> dict[str, Any]:
    """The stored form of a record, including unknown fields."""
    values = _values(record, body_of)
    return {**values.pop("unknown", {}), **values}


def shown(record: DataclassInstance) -> dict[str, Any]:
    """The fields of a record that this version knows."""
    values = _values(record, shown)
    values.pop("unknown", None)
    return values


# Not `dataclasses.asdict`, which copies what cannot change, too: four times as long for a record of plain fields.
def _values(record: DataclassInstance, form: Form) -> dict[str, Any]:
    return {name: _copied(getattr(record, name), form) for name in record.__dataclass_fields__}


def _copied(value: Any, form: Form) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: _copied(each, form) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each, form) for each in value]
    return form(value)
