"""The `.gitignore` rules of a folder: dulwich matches the patterns, and git's precedence of files is implemented here.

`IgnoreRules` gets the text of each file of rules; `local_rules` reads those that apply to a local folder.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dulwich.ignore import Pattern
from dulwich.wildmatch import MalformedPattern

if TYPE_CHECKING:
    from dulwich.repo import Repo

GITIGNORE = ".gitignore"
RULES_BYTES = 1 << 20  # no `.gitignore` that a person wrote is larger
_MORE_STARS = re.compile(rb"\*{3,}")
_STARS_AFTER_TEXT = re.compile(rb"(!?)/?([^*?\[\\]*[^*?\[\\/])\*\*((?:/.+?)?)(/?)", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_BOM = b"\xef\xbb\xbf"
_MATCH_STEPS = 1 << 27  # most steps of one match, a few seconds: it cannot be interrupted
_MATCH_SECONDS = 30.0  # for all matches of untrusted rules


class CostlyRulesError(ValueError):
    """Untrusted rules take too long to match, or are too large."""


class IgnoreRules:
    """Decides which paths of a folder git ignores; `.git` itself is one of them.

    `above` is the folder's path in its repository, "" at the top. `tracked` are paths below the folder that are in
    git's index and so are never ignored. Nor is the folder itself, as the caller has named it. If `trusted` is False,
    matching raises `CostlyRulesError` after a time limit.
    """

    def __init__(
        self, above: str = "", *, tracked: Iterable[str] = (), ignore_case: bool = False, trusted: bool = True
    ) -> None:
        self._above = f"{above}/" if above else ""
        self._tracked = frozenset(tracked)
        self._tracked_folders = {
            str(each) for path in self._tracked for each in PurePosixPath(path).parents if each.name
        }
        self._ignore_case = ignore_case
        self._repository_wide: list[list[Pattern]] = []
        self._files: dict[str, list[Pattern]] = {}
        self._folders: dict[str, bool] = {"": False}
        self._seconds_left = math.inf if trusted else _MATCH_SECONDS

    def add_general(self, text: bytes) -> None:
        """Add rules for the whole repository, such as `.git/info/exclude`; those added first take precedence."""
        self._repository_wide.append(self._patterns(text))

    def add(self, folder: str, text: bytes) -> None:
        """Add the text of a `.gitignore` in `folder`, a path below this folder, "" for itself."""
        self.add_above(f"{self._above}{folder}".rstrip("/"), text)

    def add_above(self, folder: str, text: bytes) -> None:
        """Add the text of a `.gitignore` in a folder of the repository, "" for its top."""
        self._files[folder] = self._patterns(text)

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """True if git ignores `path` or a folder that it is in."""
        if is_folder and path in self._folders:
            return self._folders[path]
        ignored = self._ignores(path, is_folder)
        if is_folder:
            self._folders[path] = ignored
        return ignored

    def read_below(self, local: Path) -> Callable[[str, bool], bool]:
        """A filter for `list_folder`, false for ignored paths. Reads the rules in each folder on its way. Blocking."""
        self.add("", rules_text(local / GITIGNORE))

        def keep(path: str, is_folder: bool) -> bool:
            if not is_folder:
                return not self(path, is_folder=False)
            if not self.enters(path):
                return False
            self.add(path, rules_text(local / path / GITIGNORE))
            return True

        return keep

    def enters(self, folder: str) -> bool:
        """True if a folder may have files that are not ignored: if it is not ignored, or has tracked files."""
        return folder in self._tracked_folders or not self(folder, is_folder=True)

    def _ignores(self, path: str, is_folder: bool) -> bool:
        parent, _, name = path.rpartition("/")
        if name.lower() == ".git":  # also where names of another case are the same file
            return True
        if not is_folder and path in self._tracked:
            return False
        return self(parent, is_folder=True) or self._is_excluded(self._above + path, is_folder)

    def _is_excluded(self, name: str, is_folder: bool) -> bool:
        """True if the deciding pattern excludes a path: the last one that matches, in the deepest file with a match."""
        for patterns, rest in self._files_for(name):
            encoded = os.fsencode(rest)
            for pattern in reversed(patterns):
                if self._matches(pattern, encoded, is_folder):
                    return pattern.is_exclude
        return False

    def _files_for(self, name: str) -> Iterator[tuple[list[Pattern], str]]:
        cut = len(name)
        while (cut := name.rfind("/", 0, cut)) != -1:
            if patterns := self._files.get(name[:cut]):
                yield patterns, name[cut + 1 :]
        yield self._files.get("", []), name
        for patterns in self._repository_wide:
            yield patterns, name

    def _matches(self, pattern: Pattern, name: bytes, is_folder: bool) -> bool:
        if math.isinf(self._seconds_left):
            return pattern.matches(name, is_folder)
        stars = pattern.pattern.replace(b"**", b"*").count(b"*")
        started = time.monotonic()
        if self._seconds_left <= 0 or math.comb(len(name) + stars, stars) > _MATCH_STEPS:
            raise CostlyRulesError(f"The rule {os.fsdecode(pattern.pattern)[:80]!r} takes too long to match")
        try:
            return pattern.matches(name, is_folder)
        finally:
            self._seconds_left -= time.monotonic() - started

    def _patterns(self, text: bytes) -> list[Pattern]:
        return list(self._read(text.removeprefix(_BOM)))

    def _read(self, text: bytes) -> Iterator[Pattern]:
        for line in _lines(text):
            if _matches_nothing(line):
                continue
            for pattern in _translate_for_dulwich(line):
                with suppress(MalformedPattern):  # git says nothing either
                    yield Pattern(pattern, self._ignore_case)


def _lines(text: bytes) -> Iterator[bytes]:
    """The patterns of a file of rules. dulwich's own reader would strip more carriage returns and spaces than git."""
    for whole in text.split(b"\n"):
        line = whole.removesuffix(b"\r")
        if line.startswith(b"#"):
            continue
        bare = line.rstrip(b" ")
        trimmed = bare + b" " if _ends_in_escape(bare) and bare != line else bare
        if trimmed:
            yield trimmed


def _ends_in_escape(text: bytes) -> bool:
    return (len(text) - len(text.rstrip(b"\\"))) % 2 == 1


def _matches_nothing(pattern: bytes) -> bool:
    """True for patterns that match nothing in git, but something in dulwich, which strips more slashes than git."""
    shorter = pattern.removesuffix(b"/")
    return shorter.endswith(b"/") or _ends_in_escape(shorter) or shorter.removeprefix(b"!").startswith(b"\\/")


def _translate_for_dulwich(pattern: bytes) -> list[bytes]:
    """Patterns with which dulwich matches what git matches with this one.

    In git, more than two stars are two, an escaped slash is a slash, and two stars before a slash or the end match
    whole folders also after plain text, if the pattern has a slash: "a**/b" matches "ab" and "ac/d/b".
    """
    plain = _ESCAPED.sub(lambda found: b"/" if found[1] == b"/" else found[0], pattern)
    plain = _MORE_STARS.sub(b"**", plain)
    parts = _STARS_AFTER_TEXT.fullmatch(plain)
    if parts is None or b"/" not in plain.removeprefix(b"!").removesuffix(b"/"):
        return [plain]
    bang, text, rest, slash = parts.groups()
    start = bang + b"/" + text
    if rest:
        return [start + rest[1:] + slash, start + b"*/**" + rest + slash]
    return [start + b"*" + slash, start + b"*/**" + slash]


def local_rules(folder: Path) -> IgnoreRules:
    """The rules for a local folder from its repository and the account, without those in the folder. Blocking."""
    here = folder.resolve()
    if not any((each / ".git").exists() for each in (here, *here.parents)):
        return IgnoreRules()
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repository = Repo.discover(str(here))
    except NotGitRepository:
        return IgnoreRules()
    with repository:
        top = Path(repository.path).resolve()
        if repository.bare or not here.is_relative_to(top):
            return IgnoreRules()
        return _rules_in(repository, top, here)


def _rules_in(repository: Repo, top: Path, folder: Path) -> IgnoreRules:
    from dulwich.ignore import default_user_ignore_filter_path

    config = repository.get_config_stack()
    above = "" if folder == top else folder.relative_to(top).as_posix()
    rules = IgnoreRules(
        above,
        tracked=_tracked(repository, above),
        ignore_case=config.get_boolean(b"core", b"ignorecase", False) is True,
    )
    account = Path(default_user_ignore_filter_path(config)).expanduser()
    for file in (Path(repository.commondir(), "info", "exclude"), account):
        rules.add_general(rules_text(file))
    for parent in PurePosixPath(above).parents if above else ():
        rules.add_above("" if str(parent) == "." else str(parent), rules_text(top / parent / GITIGNORE))
    return rules


def _tracked(repository: Repo, above: str) -> list[str]:
    prefix = f"{above}/" if above else ""
    names = (os.fsdecode(name) for name in repository.open_index())
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def rules_text(file: Path) -> bytes:
    """The content of a file of rules; empty, as for git, if it is missing, unreadable, or a link.

    Raises `CostlyRulesError` if it is too large: it may come from a devbox.
    """
    with suppress(OSError):
        if file.is_file() and not (file.name == GITIGNORE and file.is_symlink()):
            with file.open("rb") as rules:
                found = rules.read(RULES_BYTES + 1)
            if len(found) > RULES_BYTES:
                raise CostlyRulesError(f"{file} is over {RULES_BYTES:,} bytes")
            return found
    return b""
