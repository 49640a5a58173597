"""Parses `RUN --mount=...` as BuildKit does, without I/O; raises `ValueError` with part of a sentence."""

from __future__ import annotations

import csv
import posixpath
import re
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from ...sandbox.base import Ownership

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Sharing = Literal["shared", "private", "locked"]
_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_FIELDS = {
    "type": "type",
    "from": "from",
    **dict.fromkeys(("source", "src"), "source"),
    **dict.fromkeys(("target", "dst", "destination"), "target"),
    **dict.fromkeys(("readonly", "ro"), "ro"),
    **dict.fromkeys(("readwrite", "rw"), "rw"),
    **{name: name for name in ("required", "size", "id", "sharing", "mode", "uid", "gid", "env")},
}
_FLAGS = ("ro", "rw", "required")
_ONLY_OF = {
    "required": ("secret",),
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "env": ("secret",),
    **dict.fromkeys(("mode", "uid", "gid"), ("secret", "cache")),
}
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_ROOT_OWNED, _PRIVATE = Ownership(), Ownership(mode=0o400)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Cache(msgspec.Struct, frozen=True):
    """A folder that persists between builds, shared by its id."""

    target: str
    id: str
    sharing: Sharing = "shared"
    ownership: Ownership = _ROOT_OWNED
    read_only: bool = False
    stage: int | str | None = None
    """The stage or blueprint whose folder `source` fills a new cache; by default it is empty."""
    source: str = "/"


class Secret(msgspec.Struct, frozen=True):
    """A secret as a file, as an environment variable, or as both."""

    id: str
    target: str | None
    variable: str | None = None
    ownership: Ownership = _PRIVATE
    required: bool = False


class Bind(msgspec.Struct, frozen=True):
    """A folder or file of an earlier stage, of a blueprint, or of the build context."""

    target: str
    source: str = "/"
    stage: int | str | None = None
    read_only: bool = True
    """If False, it is writable, and writes are discarded."""


class Tmpfs(msgspec.Struct, frozen=True):
    """A folder in memory."""

    target: str
    size: int | None = None
    """In bytes."""
    read_only: bool = False


Mount = Cache | Secret | Bind | Tmpfs


def mount_of(
    text: str, expanded: Callable[[str], str], absolute: Callable[[str], str], stage: Callable[[str], int | str]
) -> Mount:
    """Parse one flag; the caller provides the handling of variables, relative paths and names of stages."""
    given = {name: expanded(value) for name, value in _fields(text).items()}
    kind = _kind(given)
    if kind == "secret":
        return _secret(given, absolute)
    target = posixpath.normpath(absolute(given.get("target", "")))
    if target == "/" or (kind != "bind" and not given.get("target")):
        raise ValueError(f"a {kind} mount needs a target below /")
    # Made absolute before it is normalized, so that no ".." leads out of the stage or context.
    source = posixpath.normpath(f"/{given.get('source', '').lstrip('/')}")
    origin = stage(given["from"]) if given.get("from") else None
    if kind == "bind":
        return Bind(target, source, origin, read_only=_is_read_only(given, by_default=True))
    if kind == "tmpfs":
        return Tmpfs(target, _size(given.get("size", "")), _is_read_only(given, by_default=False))
    return Cache(
        target,
        given.get("id") or posixpath.normpath(given["target"]),
        _sharing(given.get("sharing", "shared")),
        _ownership(given, 0o755),
        _is_read_only(given, by_default=False),
        origin,
        source,
    )


def _kind(given: Mapping[str, str]) -> str:
    kind = given.get("type", "bind").lower()
    if kind not in _KINDS:
        raise ValueError(f"--mount=type={kind} is none of {', '.join(_KINDS[:-1])}")
    if kind == "ssh":
        raise ValueError("--mount=type=ssh is not served, as builds have no ssh agent here: use a secret with a key")
    for name in given:
        if kind not in _ONLY_OF.get(name, _KINDS):
            raise ValueError(f"a {kind} mount has no {name}")
    return kind


def _fields(text: str) -> dict[str, str]:
    # BuildKit reads the flag as a line of CSV, too: a value with a comma is put in double quotes.
    try:
        (words,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"--mount={text} cannot be read: write it as name=value,name=value") from error
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        name = _FIELDS.get(key.lower())
        if name is None:
            raise ValueError(f"--mount has no {key.lower()!r}")
        if not equals and name not in _FLAGS:
            raise ValueError(f"--mount needs a value for {key}: {key}=...")
        found[name] = value if equals else "true"
    return found


def _secret(given: Mapping[str, str], absolute: Callable[[str], str]) -> Secret:
    if given.get("from"):
        raise ValueError("a secret mount has no from")
    if given.get("source") and given.get("id"):
        raise ValueError("a secret has an id or a source, not both")
    target, variable = given.get("target"), given.get("env")
    name = given.get("source") or given.get("id") or posixpath.basename((target or "").rstrip("/"))
    if not name:
        raise ValueError("a secret mount needs an id")
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise ValueError(f"env={variable} is not a valid name of a variable")
    if not target and variable is None:
        target = f"/run/secrets/{posixpath.basename(name)}"
    path = posixpath.normpath(absolute(target)) if target else None
    return Secret(name, path, variable, _ownership(given, 0o400), _is_true(given, "required"))


def _ownership(given: Mapping[str, str], mode: int) -> Ownership:
    found = given.get("mode")
    if found is not None and not re.fullmatch(r"0?[0-7]{1,4}", found):
        raise ValueError(f"mode={found} must be octal, such as 0755")
    uid, gid = (_account(given.get(name, "0"), name) for name in ("uid", "gid"))
    return Ownership(uid, gid, mode if found is None else int(found, 8))


def _account(text: str, name: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError(f"{name}={text} must be a number up to 65535")
    return int(text)


def _sharing(text: str) -> Sharing:
    known: tuple[Sharing, ...] = get_args(Sharing)
    for sharing in known:
        if text == sharing:
            return sharing
    raise ValueError(f"sharing={text} is none of {', '.join(get_args(Sharing))}")


def _is_read_only(given: Mapping[str, str], *, by_default: bool) -> bool:
    """True if the mount is read-only; the last of `ro` and `rw` decides."""
    decisive = [name for name in given if name in ("ro", "rw")]
    if not decisive:
        return by_default
    return _is_true(given, decisive[-1]) == (decisive[-1] == "ro")


def _is_true(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(f"{name}={text} must be true or false")
    return text in _TRUE


def _size(text: str) -> int | None:
    if not text:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"size={text} is not a size such as 64m or 1g")
    return int(float(match[1]) * 1024 ** ("", "k", "m", "g", "t", "p").index(match[2].lower()))
