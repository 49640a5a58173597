"""What the package promises by name, and who may know more."""

import ast
from collections.abc import Iterator
from pathlib import Path

import runloop_sdk

ROOT = Path(__file__).parents[2]


def test_every_public_name_can_be_imported() -> None:
    assert [name for name in runloop_sdk.__all__ if not hasattr(runloop_sdk, name)] == []
    assert runloop_sdk._FILES.keys() <= set(runloop_sdk.__all__)


def imported(source: str) -> Iterator[str]:
    """The full names that a module imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_other_packages_use_only_public_names() -> None:
    files = [*ROOT.glob("runloop_jupyter/**/*.py"), *ROOT.glob("local/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    names = {(file.name, name) for file in files for name in imported(file.read_text())}
    of_sdk = {(file, name) for file, name in names if name.startswith("runloop_sdk.")}
    assert len(of_sdk) > 20
    assert [each for each in of_sdk if "._" in each[1]] == []
