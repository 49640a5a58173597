"""Selects paths of a build context, by `.dockerignore` and by the sources of `COPY`. Does no I/O."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

_MAX_LINKS = 40
_PIECES = re.compile(r"\*\*/?|\*|\?|\[\^?\]?[^]]*\]|\\.|.", re.DOTALL)


def clean(path: str) -> str:
    """Normalize a path of the context, "" for its root; raises `ValueError` if it leads out of it."""
    found = posixpath.normpath(path.lstrip("/") or ".")
    if found == ".." or found.startswith("../"):
        raise ValueError(f"{path!r} leaves the build context")
    return "" if found == "." else found


class IgnoreRules(msgspec.Struct, frozen=True):
    """The rules of a `.dockerignore`; the last one that matches decides."""

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()

    def __call__(self, path: str) -> bool:
        """True if a path is ignored."""
        ignored = False
        for pattern, leaves_out in self.rules:
            if pattern.match(path):
                ignored = leaves_out
        return ignored


def ignore_rules(text: str) -> IgnoreRules:
    """Parse a `.dockerignore`."""
    rules = []
    for line in text.removeprefix("\ufeff").split("\n"):
        rule = line.strip()
        if not rule or line.startswith("#"):
            continue
        path = _path_of(rule.removeprefix("!").strip())
        if path is not None:
            # Everything below a matching folder matches, too.
            rules.append((_compiled(path, "(?:/.*)?"), not rule.startswith("!")))
    return IgnoreRules(tuple(rules))


def _path_of(rule: str) -> str | None:
    """The path of a rule; None if it is outside of the context, and so matches nothing."""
    try:
        return clean(rule) or None
    except ValueError:
        return None


def is_pattern(path: str) -> bool:
    """True if a source is a pattern, not a path."""
    return any(character in path for character in "*?[")


def _compiled(pattern: str, ending: str = "") -> re.Pattern[str]:
    try:
        return re.compile(f"{_expression(pattern)}{ending}\\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is malformed: {error}") from error


def _expression(pattern: str) -> str:
    """Translate a pattern to a regular expression: `*` and `?` in one folder, `**` across folders, `[a-z]`, `\\x`."""
    return "".join(map(_translate_piece, _PIECES.findall(pattern)))


def _translate_piece(piece: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if piece in known:
        return known[piece]
    if piece.startswith("[") and len(piece) > 1:
        inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[{inner}]"
    return re.escape(piece[-1])


class Tree(msgspec.Struct, frozen=True):
    """The files of a build context or a stage."""

    names: Mapping[str, bool]
    """All paths; True for folders."""
    links: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The targets of symbolic links by path."""

    def without(self, ignore: IgnoreRules) -> Tree:
        """The tree without ignored paths."""
        if not ignore.rules:
            return self
        return Tree({name: is_folder for name, is_folder in self.names.items() if not ignore(name)}, self.links)

    def real(self, path: str) -> str:
        """Resolve symbolic links in a path, none of which leads out of the tree; raises `ValueError` for a loop."""
        found: list[str] = []
        left, followed = path.split("/")[::-1], 0
        while left:
            part = left.pop()
            if part in ("", ".", ".."):
                found = found[:-1] if part == ".." else found
                continue
            target = self.links.get("/".join([*found, part]))
            if target is None:
                found.append(part)
                continue
            followed += 1
            if followed > _MAX_LINKS:
                raise ValueError(f"{path!r} is a link that leads nowhere")
            found = [] if target.startswith("/") else found
            left += target.split("/")[::-1]
        return "/".join(found)


class Source(msgspec.Struct, frozen=True):
    """A source of `COPY`: a path or a pattern."""

    path: str
    name: str = ""
    """The target name of a single path; its own name by default."""


class Selection(msgspec.Struct, frozen=True):
    """The files that `COPY` takes: members of the context by path below the target folder."""

    targets: Mapping[str, str]
    single_file: bool = False
    """True if the sources are a single file, so that the target may be its new name."""


def select(tree: Tree, sources: Iterable[Source], *, parents: bool = False) -> Selection:
    """Select the members of a tree that match the sources; raises `ValueError` for a source without a match.

    A source that is a symbolic link is followed; links inside folders stay links. With `parents`, paths keep their
    folders, from a `/./` in the source on.
    """
    folders = _folders(tree.names)
    targets: dict[str, str] = {}
    is_file = []
    for source in sources:
        found = _match_source(clean(source.path), tree, folders)
        if not found:
            raise ValueError(f"nothing in the build context is called {source.path!r}")
        before = clean(source.path.partition("/./")[0]) if parents and "/./" in source.path else ""
        for path in found:
            real = _resolve_existing(path, tree, folders)
            is_file.append(real not in folders)
            if parents:
                targets.update(_with_folders(path, real, before, tree, folders))
            elif real in folders:
                targets.update(_below(real, tree.names))
            else:
                targets[source.name or posixpath.basename(path)] = real
    return Selection(targets, single_file=is_file == [True] and not parents)


def _folders(names: Mapping[str, bool]) -> set[str]:
    """All folders, including those that occur only in paths of files."""
    found = {"", *(name for name, is_folder in names.items() if is_folder)}
    for name in names:
        parent = posixpath.dirname(name)
        while parent not in found:
            found.add(parent)
            parent = posixpath.dirname(parent)
    return found


def _match_source(source: str, tree: Tree, folders: Collection[str]) -> list[str]:
    everything = {*tree.names, *folders}
    if source in everything:
        return [source]
    if not is_pattern(source):
        return [source] if tree.real(source) in everything else []
    expression = _compiled(source)
    return sorted(name for name in everything if name and expression.match(name))


def _resolve_existing(path: str, tree: Tree, folders: Collection[str]) -> str:
    real = tree.real(path)
    if real not in tree.names and real not in folders:
        raise ValueError(f"{path!r} is a link to {tree.links.get(path, real)!r}, which is not in the build context")
    return real


def _below(folder: str, names: Mapping[str, bool]) -> dict[str, str]:
    start = f"{folder}/" if folder else ""
    return {name[len(start) :]: name for name in names if name.startswith(start) and name != folder}


def _with_folders(path: str, real: str, before: str, tree: Tree, folders: Collection[str]) -> dict[str, str]:
    """Select a path, everything below it, and the folders above it, so that these keep their modes."""
    start = f"{before}/" if before else ""
    relative = path.removeprefix(start)
    parts = relative.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    found = {name: f"{start}{name}" for name in above if f"{start}{name}" in tree.names}
    if real in tree.names:
        found[relative] = real
    if real in folders:
        found.update(
            {f"{relative}/{rest}" if relative else rest: name for rest, name in _below(real, tree.names).items()}
        )
    return found
