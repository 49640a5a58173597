"""Arguments, checked before anything is sent, as a type checker would.

Those that a method names itself by their annotation, where it is a plain type; those in `**params` by the TypedDict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache, wraps
from importlib import import_module
from inspect import iscoroutinefunction, isfunction, unwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Required, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from ._errors import ConfigurationError
from .params._options import OPTION_NAMES

Method = Callable[..., Any]
C = TypeVar("C", bound=type)
_PLAIN: dict[str, type] = {
    "None": NoneType,
    "Path": Path,
    "bool": bool,
    "bytes": bytes,
    "float": float,
    "int": int,
    "str": str,
    "timedelta": timedelta,
}


def check_arguments(cls: C) -> C:
    """The class, whose public methods raise `ConfigurationError` for an unknown keyword or a value of a wrong type."""
    for name, method in list(vars(cls).items()):
        if isfunction(method) and not name.startswith("_"):
            setattr(cls, name, _checked(method))
    return cls


def _checked(method: Method) -> Method:
    code, annotations = unwrap(method).__code__, unwrap(method).__annotations__
    positional = code.co_varnames[: code.co_argcount]
    own = {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}
    plain = {name: kinds for name, hint in annotations.items() if (kinds := _plain_types(hint))}
    fields = _name_of_fields(annotations)
    needs_some = fields is not None and not fields.endswith(("ListParams", "RequestOptions"))

    def check(args: tuple[Any, ...], params: dict[str, Any]) -> None:
        given = {name: params[name] for name in params.keys() - own}
        hints = _hints(fields) if fields and (given or needs_some) else {}
        if given:
            _check_names(given, hints, method.__name__, own)
        for name, value in (*zip(positional, args, strict=False), *params.items()):
            if name in plain and not _is_one_of(value, plain[name]):
                wanted = _words(Union[plain[name]])  # noqa: UP007 - its types are known only when it runs
                raise _wrong_type(name, method.__name__, wanted, value)
        _check_values(given, hints, method.__name__)

    @wraps(method)
    def call(*args: Any, **params: Any) -> Any:
        check(args, params)
        return method(*args, **params)

    @wraps(method)
    async def call_and_await(*args: Any, **params: Any) -> Any:
        check(args, params)
        return await method(*args, **params)

    return call_and_await if iscoroutinefunction(method) else call


def _plain_types(hint: object) -> tuple[type, ...]:
    """The types that an annotation names; none where it names others."""
    names = hint.split(" | ") if isinstance(hint, str) else []
    return tuple(_PLAIN[name] for name in names) if all(name in _PLAIN for name in names) else ()


def _is_one_of(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds) or (float in kinds and isinstance(value, int))


def _name_of_fields(annotations: Mapping[str, object]) -> str | None:
    unpacked = [hint for hint in annotations.values() if isinstance(hint, str) and hint.startswith("Unpack[")]
    return unpacked[0].removeprefix("Unpack[").removesuffix("]") if unpacked else None


@cache
def _hints(name: str) -> dict[str, Any]:
    """The types of the fields of a TypedDict of `params`, imported only now: few programs call every method."""
    import pkgutil

    from . import params

    files = [f"{params.__name__}.{each.name}" for each in pkgutil.iter_modules(params.__path__)]
    found = next(hints for file in files if (hints := getattr(import_module(file), name, None)) is not None)
    return get_type_hints(found, include_extras=True)


def _check_names(given: Mapping[str, Any], hints: Mapping[str, Any], method: str, own: set[str]) -> None:
    for name in given:
        if name not in hints and not (hints and name in OPTION_NAMES):
            raise ConfigurationError(f"{method} takes no parameter {name!r}{_suggestion(name, {*hints, *own})}")


def _check_values(given: Mapping[str, Any], hints: Mapping[str, Any], method: str) -> None:
    for name, value in given.items():
        if value is not None and not fits(value, hints.get(name, Any)):
            raise _wrong_type(name, method, _words(hints[name]), value)
    for name, hint in hints.items():
        if get_origin(hint) is Required and given.get(name) is None:
            raise ConfigurationError(f"{method} needs the parameter {name!r}.")


def _wrong_type(name: str, method: str, wanted: str, value: object) -> ConfigurationError:
    return ConfigurationError(f"{name} of {method} takes {wanted}, not {type(value).__name__}.")


def _suggestion(name: str, known: set[str]) -> str:
    from difflib import get_close_matches

    likely = get_close_matches(name, sorted(known - {"self"}), 1)
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
