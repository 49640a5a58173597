"""What git ignores: `git ls-files -co --exclude-standard` is asked what is right, of trees that hypothesis invents."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runloop_sdk import gitignored
from runloop_sdk.folders import list_folder
from runloop_sdk.gitignore import CostlyRulesError, IgnoreRules, local_rules

NAMES = st.sampled_from(["a", "b", "ab", "a.log", "x.log", "keep", "#c", " s", "t ", "[z]", "ü", "!n", "\\", "a\tb"])
STARS = ["*", "**", "***", "\\**", "\\***", "*.log", "a*", "*b", "**b", "a**", "?", "?.log", ".*"]
BRACKETS = ["[ab]", "[!a]", "[^b]", "[a-b]", "[[:alpha:]]", "[]ab]", "[\\a]", "[a\\]b]", "[*]", "[z]", "[", "[a"]
ESCAPES = ["\\[z\\]", "\\#c", "\\!n", "t\\", "\\a", "\\", "a\\"]
WORDS = ["", "a", "b", "#c", "!n", "t", "keep", "x.log", "ü", ".gitignore", *STARS, *BRACKETS, *ESCAPES]
PIECES = st.sampled_from([*WORDS, " s", "t ", "\ta"])
PATTERNS = st.builds(
    lambda bang, first, pieces, last: bang + first + "/".join(pieces) + last,
    st.sampled_from(["", "", "!", "!!"]),
    st.sampled_from(["", "", "", "/", "//"]),
    st.lists(PIECES, min_size=1, max_size=3),
    st.sampled_from(["", "", "", "/", "//", " ", "  ", "\t", "\r", "\\ "]),
).filter(lambda pattern: not pattern.endswith("*//"))  # by "a**//" git finds the folder a: nobody writes that
RULES = st.builds(
    lambda mark, lines, end: mark + "\n".join(lines) + end,
    st.sampled_from(["", "", "\ufeff"]),
    st.lists(PATTERNS | st.sampled_from(["", "# a", " "]), max_size=4),
    st.sampled_from(["", "\n", "\r\n"]),
)
FOLDERS = st.lists(NAMES, max_size=2).map("/".join)


@dataclass(frozen=True)
class Tree:
    """A repository, with the rules of its folders, its own and those of the account."""

    files: list[str]
    rules: dict[str, str]
    exclude: str
    account: str
    tracked: list[int]
    """The numbers of the files that git tracks; there may be fewer files."""
    inner: str
    """A folder that is listed for itself, where there is one of this name."""


TREES = st.builds(
    Tree,
    files=st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=10),
    rules=st.dictionaries(FOLDERS, RULES, max_size=3),
    exclude=RULES,
    account=RULES,
    tracked=st.lists(st.integers(0, 9), max_size=2),
    inner=FOLDERS,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an account's settings of git, and a repository without a commit to begin with."""
    base = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(base))
        patch.setenv("XDG_CONFIG_HOME", str(base / "config"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        (base / "config/git").mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(base / "new")], check=True)
        yield base


def build(base: Path, tree: Tree) -> Path:
    """The tree in a new repository."""
    root = base / "root"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base / "new", root)
    for name in tree.files:
        write(root / name, "")
    for folder, rules in tree.rules.items():
        write(root / folder / ".gitignore", rules)
    (root / ".git/info/exclude").write_text(tree.exclude, newline="")
    (base / "config/git/ignore").write_text(tree.account, newline="")
    files = tree.files
    tracked = [files[n] for n in tree.tracked if n < len(files) and (root / files[n]).is_file()]
    if tracked:
        git(root, "add", "-f", "--", *(f":(literal){name}" for name in tracked))
    return root


def write(path: Path, text: str) -> None:
    if any(part.is_file() for part in path.parents) or path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")


def git(folder: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True).stdout


def listed_by_git(folder: Path) -> set[str]:
    told = git(folder, "ls-files", "-coz", "--exclude-standard")
    return {os.fsdecode(name) for name in told.split(b"\0") if name}


def listed(folder: Path) -> set[str]:
    entries = list_folder(folder, local_rules(folder).read_below(folder)).entries
    return {path for path, entry in entries.items() if entry.kind != "folder"}


@given(tree=TREES)
def test_a_folder_has_what_git_lists(world: Path, tree: Tree) -> None:
    root = build(world, tree)
    assert listed(root) == listed_by_git(root)
    inner = root / tree.inner
    if inner != root and inner.is_dir() and git_enters(inner):
        assert listed(inner) == listed_by_git(inner)


def git_enters(folder: Path) -> bool:
    """Not so where git ignores the folder itself: whoever names it means it all the same."""
    return subprocess.run(["git", "check-ignore", "-q", "--no-index", "."], cwd=folder).returncode == 1


CASES: dict[str, tuple[dict[str, str], set[str]]] = {
    "re-included below": ({".gitignore": "*.log\n", "keep/.gitignore": "!*.log\n"}, {"a.py", "keep/x.log"}),
    "re-included in vain": ({".gitignore": "keep/\n", "keep/.gitignore": "!*\n"}, {"a.py", "x.log"}),
    "a byte order mark": ({".gitignore": "\ufeffa.py\n"}, {"x.log", "keep/x.log"}),
    "CRLF": ({".gitignore": "a.py\r\nkeep/\r\n"}, {"x.log"}),
}


@pytest.mark.parametrize(("rules", "right"), CASES.values(), ids=CASES)
def test_rules_count_outside_of_a_repository_too(rules: dict[str, str], right: set[str], tmp_path: Path) -> None:
    for name in ("a.py", "x.log", "keep/x.log"):
        write(tmp_path / name, "")
    for name, text in rules.items():
        write(tmp_path / name, text)
    assert {path for path in listed(tmp_path) if not path.endswith(".gitignore")} == right
    keep = gitignored(tmp_path)
    folder = tarfile.TarInfo("keep")
    folder.type = tarfile.DIRTYPE
    assert (keep(folder) is not None) == any(path.startswith("keep/") for path in right)


ONLY_GIT = [
    "a\r\r\n",
    "a//",
    "\\",
    "d\\/a",
    "\\/a",
    "d/***",
    "d/\\***",
    "a\\\\ ",
    "a\\ ",
    "!",
    "a\\",
    "d**/a",
    "/a**",
    "d/e**",
]


@pytest.mark.parametrize("rules", ONLY_GIT, ids=repr)
def test_what_dulwich_alone_reads_otherwise_is_as_git_reads_it(rules: str, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name in ("a", "a ", "a\r", "a\\", "\\", "d/a", "d/*b", "d/e/a"):
        write(tmp_path / name, "")
    write(tmp_path / ".gitignore", rules)
    assert listed(tmp_path) == listed_by_git(tmp_path)


def test_a_folder_that_is_named_is_taken_though_git_ignores_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path / ".gitignore", "data/\n*.tmp\n")
    for name in ("data/a", "data/b.tmp"):
        write(tmp_path / name, "")
    assert listed(tmp_path / "data") == {"a"}


@pytest.mark.parametrize("name", [".git", ".GIT", "a/.git/config"])
def test_git_s_own_folder_is_never_taken(name: str) -> None:
    assert IgnoreRules()(name, is_folder=False)


def test_rules_of_a_stranger_that_take_too_long_are_refused() -> None:
    rules = IgnoreRules(trusted=False)
    rules.add("", b"*a*a*a*a*a*a*a*a*b\n")
    assert rules("a" * 8, is_folder=False) is False
    with pytest.raises(CostlyRulesError, match=r"'\*a\*a"):
        rules("a" * 250, is_folder=False)
