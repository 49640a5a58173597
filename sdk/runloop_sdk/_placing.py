"""The shell script that moves uploaded files into place in a folder of a devbox. No I/O."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

_WORDS, _BYTES = 500, 60_000  # of one command line


@dataclass(frozen=True, slots=True)
class Placing:
    """The changes to make in a folder, with files from the uploaded tree."""

    folders: Mapping[str, int] = field(default_factory=dict)
    """Folders to create or to set permissions of, parents first, with their permissions."""
    files: Sequence[str] = ()
    """Files and links of the tree to move into place."""
    in_the_way: Sequence[str] = ()
    """Files to be replaced by folders, and folders to be replaced by files or links; removed with their content."""
    remove: Sequence[str] = ()
    """Files and links to remove."""
    remove_folders: Sequence[str] = ()
    """Folders to remove, if they are empty by then."""


def placing_script(placing: Placing, staging: str) -> bytes:
    """A script to run in the folder. `staging` is a path in it; the content of its `tree` is moved into place.

    The script writes to file descriptor 3: "p" and the name of each file that could not be placed, "r" and the name of
    each that could not be removed, all followed by a NUL. Obstacles are moved aside first, and back if nothing took
    their place.
    """
    return os.fsencode("\n".join([*_steps(placing, staging), ""]))


def _steps(placing: Placing, staging: str) -> Iterator[str]:
    yield "LC_ALL=C; export LC_ALL"
    yield f"mkdir {staging}/old"
    for number, path in enumerate(placing.in_the_way):
        yield f"mv -T -- {_word(path)} {staging}/old/{number}"
    yield from _commands("mkdir -p --", placing.folders)
    for folder, files in groupby(sorted(placing.files, key=_parent), key=_parent):
        yield from _commands(f"mv -f -t {_word(folder)} --", (f"{staging}/tree/{file}" for file in files))
    for mode, folders in groupby(
        sorted(placing.folders, key=lambda path: placing.folders[path]), key=placing.folders.get
    ):
        yield from _commands(f"chmod {mode or 0:o} --", folders)
    for number, path in enumerate(placing.in_the_way):
        yield f"{_is_there(path)} || mv -T -- {staging}/old/{number} {_word(path)}"
    yield from _commands("rm -f --", placing.remove)
    yield from _commands("rmdir --", sorted(placing.remove_folders, key=lambda path: -path.count("/")))
    yield f"test ! -d {staging}/tree || find {staging}/tree ! -type d -printf 'p%P\\0' >&3"
    for path in (*placing.remove, *placing.remove_folders):
        yield f"{{ {_is_there(path)}; }} && printf 'r%s\\0' {shlex.quote(path)} >&3"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _is_there(path: str) -> str:
    return f"[ -e {_word(path)} ] || [ -L {_word(path)} ]"


def _word(path: str) -> str:
    """A path quoted for the shell, and never taken for an option."""
    return shlex.quote(f"./{path}")


def _commands(start: str, paths: Iterable[str]) -> Iterator[str]:
    """Command lines with all paths, as many as are needed to stay below the limits of one."""
    line, size = [start], 0
    for path in paths:
        word = _word(path.removeprefix("./"))
        if len(line) > _WORDS or size + len(word) > _BYTES:
            yield " ".join(line)
            line, size = [start], 0
        line.append(word)
        size += len(word)
    if len(line) > 1:
        yield " ".join(line)
