"""How much the kernel keeps of what a devbox sends: so much, and then a sentence that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runloop_jupyter.errors import UsageError
from runloop_jupyter.executions import python
from runloop_jupyter.executions.python import Frames
from runloop_jupyter.operations.syncing import list_here
from tests.jupyter.remote import remote

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Kernel


def fed(text: str, size: int) -> tuple[str, list[dict[str, Any]], Frames]:
    """What was printed, and the structured lines, of a text that comes in pieces."""
    frames, printed, found = Frames("word"), "", []
    for start in range(0, len(text), size):
        for piece in frames.feed(text[start : start + size]):
            if isinstance(piece, str):
                printed += piece
            else:
                found.append(piece)
    return printed, found, frames


@pytest.mark.parametrize("size", [1, 7, 60, 10_000])
def test_a_structured_line_that_is_too_long_is_left_out(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "MOST_OF_A_LINE", 100)
    long, good = "x" * 5000, '\x1eword{"kind": "new"}\n'
    printed, found, frames = fed(f"before\n{good}\x1eword{long}\nbetween\n{good}after", size)
    if size < 5000:
        assert printed == "before\n... (a display of over 100 characters is not shown) ...\nbetween\nafter"
    assert found == [{"kind": "new"}] * 2
    assert frames.end() == ""


def test_a_structured_line_without_an_end_is_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "MOST_OF_A_LINE", 1000)
    printed, found, frames = fed("\x1eword" + "x" * 900 + "\nafter", 10)
    assert (len(printed), found, frames.end()) == (911, [], "")
    printed, _, frames = fed("\x1eword" + "x" * 100_000, 10)
    assert printed == "... (a display of over 1,000 characters is not shown) ...\n"
    assert frames.end() == ""


def test_what_a_cell_displays_is_kept_up_to_a_limit(kernel: Kernel) -> None:
    kernel.run("from runloop_jupyter.executions import python\npython.MOST_OF_DISPLAYS = 10_000").check()
    cell = kernel.run(
        "%%devbox python -o r\nclass A:\n    def __repr__(self): return 'a' * 4000\n"
        "for _ in range(20): display(A())\nprint('end')"
    ).check()
    kernel.run("python.MOST_OF_DISPLAYS = 100_000_000").check()
    assert kernel.value("len(r.displays)") == 2
    assert cell.stderr.count("what a cell displays is shown up to 10,000 characters") == 1
    assert "end" in cell.stdout


def test_a_value_that_is_too_large_does_not_come_back(kernel: Kernel) -> None:
    kernel.run("python.MOST_OF_VALUES = 1_000_000").check()
    cell = kernel.run("%%devbox python --out big\nbig = 'x' * 2_000_000")
    kernel.run("python.MOST_OF_VALUES = 2 << 30").check()
    assert cell.error == "UsageError"
    assert "over 1,000,000 bytes" in cell.error_text


def test_rules_here_are_read_up_to_a_limit(tmp_path: Path) -> None:
    with (tmp_path / ".gitignore").open("wb") as rules:
        rules.truncate(40 << 30)
    with pytest.raises(UsageError, match=r"\.gitignore is over 1,048,576 bytes"):
        list_here(tmp_path, all_files=False)


def test_a_listing_that_is_too_long_is_an_error(kernel: Kernel, home: Home) -> None:
    kernel.run("import runloop_sdk.resources.file as file; file.LISTING_LIMIT = 10_000").check()
    remote(home, "mkdir -p many && cd many && touch $(seq 3000)")
    cell = kernel.run("%devbox ls many")
    kernel.run("file.LISTING_LIMIT = 64_000_000").check()
    assert cell.error == "RemoteError"
    assert "more than 10,000 characters" in cell.error_text
