"""Checks the arguments of public methods before anything is sent, as a type checker would.

The annotations of a method are resolved at its first call, as a program calls few of all methods. A `TypeAdapter` of
pydantic saves a microsecond or two of each call, but takes three to five times as long for the first one, ten times as
long if it is built at import (`benchmarks/arguments.py`), and refuses `typing.TypedDict` on Python 3.11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache, wraps
from inspect import iscoroutinefunction, isfunction, unwrap
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    Any,
    Literal,
    NamedTuple,
    Required,
    TypeVar,
    Union,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from ._errors import ConfigurationError
from .params._options import OPTION_NAMES

Method = Callable[..., Any]
Test = Callable[[Any], bool]
C = TypeVar("C", bound=type)
_PLAIN = frozenset({NoneType, Path, bool, bytes, float, int, str, timedelta})


def check_arguments(cls: C) -> C:
    """Make the public methods of a class raise `ConfigurationError` for unknown keywords and values of a wrong type."""
    for name, method in list(vars(cls).items()):
        if isfunction(method) and not name.startswith("_"):
            setattr(cls, name, _checked(method))
    return cls


def _checked(method: Method) -> Method:
    return _checked_coroutine(method) if iscoroutinefunction(method) else _checked_function(method)


def _checked_function(method: Method) -> Method:
    @wraps(method)
    def call(*args: Any, **keywords: Any) -> Any:
        _check(method, args, keywords)
        return method(*args, **keywords)

    return call


def _checked_coroutine(method: Method) -> Method:
    @wraps(method)
    async def call(*args: Any, **keywords: Any) -> Any:
        _check(method, args, keywords)
        return await method(*args, **keywords)

    return call


def _check(method: Method, args: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    signature = _signature(method)
    if signature is not None:
        signature.check(args, keywords)


@cache
def _signature(method: Method) -> Signature | None:
    try:
        return resolve_signature(method)
    except NameError:  # a subclass elsewhere names what it imports for type checkers only: what it calls is checked
        return None


class Signature(NamedTuple):
    """The parameters of a method: those it names itself, and the fields of the TypedDict that its `**params` unpack."""

    method: str
    positional: tuple[str, ...]
    names: frozenset[str]
    """All parameters; suggested in place of an unknown one."""
    accepted: frozenset[str]
    """Keywords that may be passed: all parameters, and any of `OPTION_NAMES` if there are `**params`."""
    required: tuple[str, ...]
    """Fields that must be passed, and not as None."""
    types: Mapping[str, Any]
    """The types of the parameters whose values are checked."""
    tests: Mapping[str, Test]
    """For each of these, the function that tells whether a value is of its type."""

    def check(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Raise `ConfigurationError` for the first argument that is unknown, of a wrong type, or missing."""
        for name in keywords:
            if name not in self.accepted:
                raise ConfigurationError(f"{self.method} takes no parameter {name!r}{self._suggestion(name)}")
        for name, value in (*zip(self.positional, args, strict=False), *keywords.items()):
            test = self.tests.get(name)
            if test is not None and not test(value):
                wanted, given = _words(self.types[name]), type(value).__name__
                raise ConfigurationError(f"{name} of {self.method} takes {wanted}, not {given}.")
        for name in self.required:
            if keywords.get(name) is None:
                raise ConfigurationError(f"{self.method} needs the parameter {name!r}.")

    def _suggestion(self, name: str) -> str:
        from difflib import get_close_matches

        likely = get_close_matches(name, sorted(self.names - {"self"}), 1)
        return f"; did you mean {likely[0]!r}?" if likely else "."


def resolve_signature(method: Method) -> Signature:
    """The signature of a method, its annotations resolved: all names in them must exist at run time."""
    function = unwrap(method)
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    # But for that of the result, whose class many modules import for type checkers only.
    annotations = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    hints = get_type_hints(SimpleNamespace(__annotations__=annotations), function.__globals__)
    fields = next((_fields(*get_args(hint)) for hint in hints.values() if get_origin(hint) is Unpack), {})
    types = {name: hints[name] for name in own if name in hints and _is_plain(hints[name])}
    types |= {name: _bare(hint) | None for name, hint in fields.items()}  # None counts as not given
    names = frozenset((*own, *fields))
    return Signature(
        method=method.__name__,
        positional=code.co_varnames[: code.co_argcount],
        names=names,
        accepted=names | OPTION_NAMES if fields else names,
        required=tuple(name for name, hint in fields.items() if get_origin(hint) is Required),
        types=types,
        tests={name: _test(hint) for name, hint in types.items()},
    )


@cache
def _fields(typed_dict: type) -> dict[str, Any]:
    return get_type_hints(typed_dict, include_extras=True)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Required else hint


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _is_plain(hint: Any) -> bool:
    """True for one of the classes that are checked here, and for a union of them."""
    return all(each in _PLAIN for each in _members(hint))


@cache
def _test(hint: Any) -> Test:
    """A function that tells whether a value is of a type; always true for types that are checked where they are used.

    A `Literal` of strings accepts every string: a later version of the API may know more of them.
    """
    hint = _bare(hint)
    if _is_plain(hint):
        return _plain_test(*_members(hint))
    if is_typeddict(hint):
        return _fields_test(_fields(hint))
    make_test = _TESTS.get(get_origin(hint))
    return (lambda value: True) if make_test is None else make_test(*get_args(hint))


def _plain_test(*classes: type) -> Test:
    accepted = (*classes, int) if float in classes else classes
    if int in accepted and bool not in accepted:  # a bool is an int to Python, but not to a reader of the API
        return lambda value: isinstance(value, accepted) and not isinstance(value, bool)
    return lambda value: isinstance(value, accepted)


def _union_test(*members: Any) -> Test:
    tests = [_test(each) for each in members]
    return lambda value: any(test(value) for test in tests)


def _literal_test(*values: Any) -> Test:
    classes = tuple({type(each) for each in values})
    return lambda value: isinstance(value, classes)


def _sequence_test(item: Any) -> Test:
    test = _test(item)
    return lambda value: isinstance(value, Sequence) and not isinstance(value, str) and all(map(test, value))


def _mapping_test(_key: Any, item: Any) -> Test:
    test = _test(item)
    return lambda value: isinstance(value, Mapping) and all(map(test, value.values()))


def _fields_test(fields: Mapping[str, Any]) -> Test:
    tests = {name: _test(hint) for name, hint in fields.items()}
    return lambda value: (
        isinstance(value, Mapping) and all(tests[name](each) for name, each in value.items() if name in tests)
    )


_TESTS: dict[Any, Callable[..., Test]] = {
    Literal: _literal_test,
    Mapping: _mapping_test,
    Sequence: _sequence_test,
    Union: _union_test,
    UnionType: _union_test,
}


def _words(hint: Any) -> str:
    """A type as an error message names it, without None."""
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
