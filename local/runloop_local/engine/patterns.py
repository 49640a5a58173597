"""Paths within a build context: what `.dockerignore` leaves out, and what `COPY` takes. Pure functions."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


def clean(path: str) -> str:
    """A path of the context without `./`, `//` and a leading slash, "" for its root; `ValueError` if it leaves it."""
    found = posixpath.normpath(path.lstrip("/") or ".")
    if found == ".." or found.startswith("../"):
        raise ValueError(f"{path!r} leaves the build context")
    return "" if found == "." else found


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of a `.dockerignore`; the last one that fits decides."""

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()

    def __call__(self, path: str) -> bool:
        """Whether a path is left out."""
        ignored = False
        for pattern, leaves_out in self.rules:
            if pattern.match(path):
                ignored = leaves_out
        return ignored


def ignore_rules(text: str) -> Ignore:
    """The rules in a `.dockerignore`."""
    rules = []
    for line in text.removeprefix("\ufeff").splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        leaves_out = not rule.startswith("!")
        path = clean(rule.removeprefix("!").strip())
        if path:
            # What lies below a fitting folder fits too.
            rules.append((_compiled(path, "(?:/.*)?"), leaves_out))
    return Ignore(tuple(rules))


def is_pattern(path: str) -> bool:
    """Whether a source names what fits it rather than one path."""
    return any(character in path for character in "*?[")


def _compiled(pattern: str, ending: str = "") -> re.Pattern[str]:
    try:
        return re.compile(f"{_expression(pattern)}{ending}\\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is malformed: {error}") from error


def _expression(pattern: str) -> str:
    """`*` and `?` within one folder, `**` across folders, `[a-z]`, `\\x`."""
    found, place = "", 0
    while place < len(pattern):
        piece = re.compile(r"\*\*/?|\*|\?|\[\^?\]?[^]]*\]|\\.|.", re.DOTALL).match(pattern, place)
        assert piece is not None
        place = piece.end()
        found += _piece(piece[0])
    return found


def _piece(piece: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if piece in known:
        return known[piece]
    if piece.startswith("[") and len(piece) > 1:
        inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[{inner}]"
    return re.escape(piece[-1])


@dataclass(frozen=True, slots=True)
class Selection:
    """What `COPY` takes: members of the context, and where each goes below the target folder."""

    targets: Mapping[str, str]
    single_file: bool = False
    """One file was named, so the target may be its new name."""


def select(names: Mapping[str, bool], sources: Iterable[str]) -> Selection:
    """Which members of the context (name -> is a folder) the sources take; `ValueError` for one that takes nothing."""
    folders = _folders(names)
    targets: dict[str, str] = {}
    picked: list[str] = []
    for source in sources:
        found = _picked(clean(source), names, folders)
        if not found:
            raise ValueError(f"nothing in the build context is called {source!r}")
        picked += found
        for name in found:
            targets.update(_below(name, names) if name in folders else {name: posixpath.basename(name)})
    return Selection(targets, single_file=len(picked) == 1 and picked[0] not in folders)


def _folders(names: Mapping[str, bool]) -> set[str]:
    """All folders, those that only paths of files tell of too."""
    found = {"", *(name for name, is_folder in names.items() if is_folder)}
    for name in names:
        parent = posixpath.dirname(name)
        while parent not in found:
            found.add(parent)
            parent = posixpath.dirname(parent)
    return found


def _picked(source: str, names: Mapping[str, bool], folders: Collection[str]) -> list[str]:
    everything = {*names, *folders}
    if source in everything or not is_pattern(source):
        return [source] if source in everything else []
    expression = _compiled(source)
    return sorted(name for name in everything if name and expression.match(name))


def _below(folder: str, names: Mapping[str, bool]) -> dict[str, str]:
    start = f"{folder}/" if folder else ""
    return {name: name[len(start) :] for name in names if name.startswith(start) and name != folder}
