"""What git ignores in a folder: dulwich says what a pattern fits, git's precedence of files and folders is here.

`IgnoreRules` does no I/O: it is given the text of each file of rules. `local_rules` reads those of a folder here.
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
_STEPS = 1 << 27  # of one pattern on one path, a few seconds: a match cannot be interrupted
_PATIENCE = 30.0  # seconds of matching that a stranger's rules may take in all


class CostlyRulesError(ValueError):
    """Rules that a stranger wrote take too long to match."""


class IgnoreRules:
    """Which paths of a folder git ignores, `.git` itself among them.

    `above` is the folder's path in its repository, "" at the top; `tracked` are paths below the folder that are in
    git's index, which no rule hides. The folder itself is never ignored: whoever names it means it. With `trusted`
    False the time that matching takes is bounded: `CostlyRulesError`.
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
        self._general: list[list[Pattern]] = []
        self._files: dict[str, list[Pattern]] = {}
        self._folders: dict[str, bool] = {"": False}
        self._left = math.inf if trusted else _PATIENCE

    def add_general(self, text: bytes) -> None:
        """Add rules for the whole repository, such as `.git/info/exclude`; what was added first counts more."""
        self._general.append(self._patterns(text))

    def add(self, folder: str, text: bytes) -> None:
        """Add the text of a `.gitignore` in `folder`, a path below this folder, "" for itself."""
        self.add_above(f"{self._above}{folder}".rstrip("/"), text)

    def add_above(self, folder: str, text: bytes) -> None:
        """Add the text of a `.gitignore` in a folder of the repository, "" for its top."""
        self._files[folder] = self._patterns(text)

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Whether git ignores `path`, or a folder that it is in."""
        if is_folder and path in self._folders:
            return self._folders[path]
        ignored = self._ignores(path, is_folder)
        if is_folder:
            self._folders[path] = ignored
        return ignored

    def read_below(self, local: Path) -> Callable[[str, bool], bool]:
        """Read the rules in a folder here, and say for each path, parents first, whether to take it. Blocking."""
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
        """Whether there is something in a folder to look for: it is not ignored, or has files that are tracked."""
        return folder in self._tracked_folders or not self(folder, is_folder=True)

    def _ignores(self, path: str, is_folder: bool) -> bool:
        parent, _, name = path.rpartition("/")
        if name.lower() == ".git":  # also where names of another case are the same file
            return True
        if not is_folder and path in self._tracked:
            return False
        return self(parent, is_folder=True) or self._last_word(self._above + path, is_folder)

    def _last_word(self, name: str, is_folder: bool) -> bool:
        """What the deepest file that has a word on it says; in a file the last pattern counts."""
        for patterns, rest in self._files_for(name):
            encoded = os.fsencode(rest)
            for pattern in reversed(patterns):
                if self._fits(pattern, encoded, is_folder):
                    return pattern.is_exclude
        return False

    def _files_for(self, name: str) -> Iterator[tuple[list[Pattern], str]]:
        cut = len(name)
        while (cut := name.rfind("/", 0, cut)) != -1:
            if patterns := self._files.get(name[:cut]):
                yield patterns, name[cut + 1 :]
        yield self._files.get("", []), name
        for patterns in self._general:
            yield patterns, name

    def _fits(self, pattern: Pattern, name: bytes, is_folder: bool) -> bool:
        if math.isinf(self._left):
            return pattern.matches(name, is_folder)
        stars = pattern.pattern.replace(b"**", b"*").count(b"*")
        started = time.monotonic()
        if self._left <= 0 or math.comb(len(name) + stars, stars) > _STEPS:
            raise CostlyRulesError(f"The rule {os.fsdecode(pattern.pattern)[:80]!r} takes too long to match")
        try:
            return pattern.matches(name, is_folder)
        finally:
            self._left -= time.monotonic() - started

    def _patterns(self, text: bytes) -> list[Pattern]:
        return list(self._read(text.removeprefix(_BOM)))

    def _read(self, text: bytes) -> Iterator[Pattern]:
        for line in _lines(text):
            if _fits_nothing(line):
                continue
            for pattern in _as_dulwich_reads_it(line):
                with suppress(MalformedPattern):  # git says nothing either
                    yield Pattern(pattern, self._ignore_case)


def _lines(text: bytes) -> Iterator[bytes]:
    """The patterns of a file of rules: dulwich's own reader takes off more carriage returns and spaces than git."""
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


def _fits_nothing(pattern: bytes) -> bool:
    """What fits something to dulwich only: git takes one slash off the end, and none off the start if it is escaped."""
    shorter = pattern.removesuffix(b"/")
    return shorter.endswith(b"/") or _ends_in_escape(shorter) or shorter.removeprefix(b"!").startswith(b"\\/")


def _as_dulwich_reads_it(pattern: bytes) -> list[bytes]:
    """Patterns that fit the same with what only git knows.

    More than two stars are two, an escaped slash is a slash, and two stars before a slash or the end fit whole folders
    also after plain text, if the pattern has a slash: "a**/b" fits "ab" and "ac/d/b".
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
    """The rules for a folder here from above it: its repository's and the account's; not yet its own. Blocking."""
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
    """What a file of rules has; nothing where there is none, it cannot be read, or it is a link, as with git.

    Raises `CostlyRulesError` for one that is too large: it may have come from a devbox.
    """
    with suppress(OSError):
        if file.is_file() and not (file.name == GITIGNORE and file.is_symlink()):
            with file.open("rb") as rules:
                found = rules.read(RULES_BYTES + 1)
            if len(found) > RULES_BYTES:
                raise CostlyRulesError(f"{file} is over {RULES_BYTES:,} bytes")
            return found
    return b""
