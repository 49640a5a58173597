"""Print how much of each package the last test run with `--cov` has executed: `python -m scripts.coverage_table`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[1]
HOLDERS = ("sdk", "local")
"""Folders of this repository that hold a package."""


def table(counts: dict[str, tuple[int, int]]) -> list[str]:
    """A line for each package, and one for all; `counts` has the statements of each and how many of them were run."""
    every = (sum(total for total, _ in counts.values()), sum(run for _, run in counts.values()))
    rows = [*sorted(counts.items()), ("all", every)]
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {total:6} statements  {run / total:4.0%} run" for name, (total, run) in rows]


def counted() -> dict[str, tuple[int, int]]:
    """What the data of the last run says of each package."""
    coverage = Coverage()
    coverage.load()
    counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for file in coverage.get_data().measured_files():
        _, statements, _, missing, _ = coverage.analysis2(file)
        package = package_of(Path(file).relative_to(ROOT))
        total, run = counts[package]
        counts[package] = (total + len(statements), run + len(statements) - len(missing))
    return counts


def package_of(file: Path) -> str:
    """The package of a file, or the part of it, such as `runloop_sdk/api`."""
    folders = file.parts[1:-1] if file.parts[0] in HOLDERS else file.parts[:-1]
    return "/".join(folders[:2])


if __name__ == "__main__":
    print("\n".join(table(counted())))
