"""The table of where the product works: what is kept of earlier tries, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.matrix import page
from scripts.matrix.__main__ import RESULTS, main
from scripts.matrix.places import PLACES
from scripts.matrix.table import ANSWERS, CHECKS, Row, lines, load, merge, save
from tests.environments import ROOT

EARLIER = Row("Lab", "lab 4.4", "2026-01-01", {"load": "works"}, ("A note.",))
LATER = Row("Lab", "lab 4.5", "2026-02-02", {"load": "no", "stop": "text only"})


def test_a_new_try_replaces_a_row_and_leaves_the_others_as_they_were() -> None:
    other = Row("Console", "7", "2026-01-01")
    merged = merge({"console": other, "lab": EARLIER, "gone": other}, {"lab": LATER}, ["lab", "console", "untried"])
    assert [*merged.items()] == [("lab", LATER), ("console", other)]


def test_rows_come_back_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    assert load(file) == {}
    save(file, {"lab": EARLIER})
    (row,) = load(file).values()
    assert (row.title, row.date, row.answer("load"), row.answer("exec")) == ("Lab", "2026-01-01", "works", "not tried")


def test_each_note_stands_once_below_the_table() -> None:
    head, rule, first, second, blank, note = lines([EARLIER, Row("Console", notes=("A note.",))])
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert first.startswith("| Lab<sup>1</sup> | lab 4.4 | works | not tried |")
    assert "<sup>1</sup>" in second
    assert (blank, note) == ("", "1. A note.")


def test_a_place_that_is_not_known_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["matrix", "emacs"])
    with pytest.raises(SystemExit):
        main()
    assert "There is no place 'emacs': lab, " in capsys.readouterr().err


def test_the_page_shows_what_was_found() -> None:
    rows = load(RESULTS)
    assert [*rows] == [name for name in PLACES if name in rows]
    assert {answer for row in rows.values() for answer in row.answers.values()} <= {*ANSWERS}
    assert {check for row in rows.values() for check in row.answers} <= {*CHECKS}
    assert json.loads(RESULTS.read_text())
    assert (ROOT / "docs" / "where-it-works.md").read_text() == page.text(rows), "run python -m scripts.matrix --page"
