"""Converts records to and from JSON, keeping unknown fields, and with the location of invalid ones in errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ...validation import sentence

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


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
    return asdict(record, dict_factory=_with_unknown)


def shown(record: DataclassInstance) -> dict[str, Any]:
    """The fields of a record that this version knows."""
    return asdict(record, dict_factory=_known)


def _with_unknown(items: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(items)
    return {**values.pop("unknown", {}), **values}


def _known(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if name != "unknown"}
