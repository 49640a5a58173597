"""Measure another commit and this checkout in turn, on one machine, so that a change is judged by pairs.

Both are measured by the benchmarks of this checkout: only the packages that are measured differ, by `PYTHONPATH`.
"""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, by_name, load, paired_line

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("runloop_jupyter", "sdk/runloop_sdk", "local/runloop_local")
HARNESS = ("benchmarks", "tests")


def run(commit: str, names: Sequence[str], runs: int) -> None:
    """Print a line for each row that both have."""
    with checkout(commit) as other, harness() as folder:
        trees = {"before": other, "after": ROOT}
        for tree in trees.values():
            compile_packages(tree)
        print(f"{runs} pairs: {commit} -> this checkout, on a machine with {load()}", flush=True)
        for name in names:
            found: dict[str, list[list[Row]]] = {side: [] for side in trees}
            for _ in range(runs):
                for side, tree in trees.items():
                    found[side].append(measured(tree, folder, name))
            _print(name, by_name(found["before"]), by_name(found["after"]))


def _print(name: str, before: Mapping[str, Sequence[Row]], after: Mapping[str, Sequence[Row]]) -> None:
    print(name, flush=True)
    for each in after:
        if len(before.get(each, ())) == len(after[each]):
            print(paired_line(before[each], after[each]), flush=True)
        else:
            print(f"  {each:<60} not measured in each run of both", flush=True)


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A working tree of that commit, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        tree = Path(folder) / "checkout"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


@contextmanager
def harness() -> Iterator[Path]:
    """A folder that has this checkout's benchmarks and none of its packages: `python -m` looks there first."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        for name in HARNESS:
            (Path(folder) / name).symlink_to(ROOT / name)
        yield Path(folder)


def compile_packages(tree: Path) -> None:
    """Compile what is measured, or the first run would."""
    for package in PACKAGES:
        compileall.compile_dir(tree / package, quiet=2)


def measured(tree: Path, folder: Path, name: str) -> list[Row]:
    """The rows of one run with the packages of `tree`; none if that version cannot be measured so, which is told."""
    paths = os.pathsep.join(str((tree / package).parent) for package in PACKAGES)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--json", "--rows", name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"  {name} of {tree.name}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return []
    return [Row(**fields) for fields in json.loads(done.stdout.splitlines()[-1])]
