"""Keywords, checked before anything is sent by the TypedDict that a method names for them, as a type checker would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from importlib import import_module
from inspect import unwrap
from types import NoneType, UnionType
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

from .._errors import ConfigurationError
from ..params._options import OPTION_NAMES

Method = Callable[..., Any]


def check_keywords(cls: type) -> None:
    """Make each public method that takes `**params` raise `ConfigurationError` for what its TypedDict does not have."""
    for name, method in list(vars(cls).items()):
        hints = _name_of_hints(method) if callable(method) and not name.startswith("_") else None
        if hints is not None:
            setattr(cls, name, _checked(method, hints))


def _name_of_hints(method: Method) -> str | None:
    unpacked = [
        hint for hint in method.__annotations__.values() if isinstance(hint, str) and hint.startswith("Unpack[")
    ]
    return unpacked[0].removeprefix("Unpack[").removesuffix("]") if unpacked else None


def _checked(method: Method, hints_name: str) -> Method:
    code = unwrap(method).__code__
    own = {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}

    @wraps(method)
    def call(*args: Any, **params: Any) -> Any:
        given = params.keys() - own
        if given:
            _check({name: params[name] for name in given}, _hints(hints_name), method.__name__)
        return method(*args, **params)

    return call


@cache
def _hints(name: str) -> dict[str, Any]:
    """The types of a TypedDict's fields; imported only now, for few programs call every method."""
    import pkgutil

    from .. import params

    files = [f"{params.__name__}.{module.name}" for module in pkgutil.iter_modules(params.__path__)]
    (found,) = {found for file in files if (found := getattr(import_module(file), name, None)) is not None}
    return get_type_hints(found, include_extras=True)


def _check(given: Mapping[str, Any], hints: Mapping[str, Any], method: str) -> None:
    for name, value in given.items():
        if name not in hints and name not in OPTION_NAMES:
            raise ConfigurationError(f"{method} takes no parameter {name!r}{_suggestion(name, hints)}")
        if value is not None and not fits(value, hints.get(name, Any)):
            raise ConfigurationError(f"{name} of {method} takes {_words(hints[name])}, not {type(value).__name__}.")


def _suggestion(name: str, hints: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    likely = get_close_matches(name, hints, 1)
    return f"; did you mean {likely[0]!r}?" if likely else "."


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type; where only some strings are known any will do, for the API may know more."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Required:
        return fits(value, inner[0])
    if origin is Literal:
        return isinstance(value, tuple({type(each) for each in inner}))
    if origin is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str) and all(fits(each, *inner) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(each, inner[1]) for each in value.values())
    return _fits_fields(value, hint) if is_typeddict(hint) else _fits_plain(value, hint)


def _fits_fields(value: object, hint: Any) -> bool:
    hints = get_type_hints(hint, include_extras=True)
    return isinstance(value, Mapping) and all(fits(each, hints.get(name, Any)) for name, each in value.items())


def _fits_plain(value: object, hint: Any) -> bool:
    if hint in (float, int):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool, NoneType) else True  # who reads other types checks them


def _words(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType, Required):
        return " or ".join(dict.fromkeys(_words(each) for each in inner if each is not NoneType))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is Sequence:
        return f"a list of {_words(inner[0])}"
    if origin is Mapping:
        return f"a mapping to {_words(inner[1])}"
    return "a mapping" if is_typeddict(hint) else hint.__name__
