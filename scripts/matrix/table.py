"""The results of all places, and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

CHECKS = ("load", "exec", "stop", "python", "panel", "terminal", "progress")
WORKS, TEXT, NO, UNTRIED = "works", "text only", "no", "not tried"
ANSWERS = (WORKS, TEXT, NO, UNTRIED)


@dataclass(frozen=True)
class Row:
    """What came of one place: its versions, the day, an answer for each check, and what is to be known of it."""

    title: str
    versions: str = ""
    date: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def answer(self, check: str) -> str:
        """The answer to one check."""
        return self.answers.get(check, UNTRIED)


def load(file: Path) -> dict[str, Row]:
    """The rows of a file, by the names of their places; none where there is no file."""
    if not file.exists():
        return {}
    return {name: Row(**row) for name, row in json.loads(file.read_text(encoding="utf-8")).items()}


def save(file: Path, rows: Mapping[str, Row]) -> None:
    """Write them to a file."""
    text = json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


def merge(before: Mapping[str, Row], new: Mapping[str, Row], places: Iterable[str]) -> dict[str, Row]:
    """The rows in the order of `places`: new ones replace earlier ones, and those of no place are left out."""
    known = {**before, **new}
    return {name: known[name] for name in places if name in known}


def lines(rows: Iterable[Row]) -> list[str]:
    """The table in Markdown, with the notes of each row below it."""
    head = ["place", "versions", *CHECKS, "tried on"]
    made, notes = [_line(head), _line(["---"] * len(head))], list[str]()
    for row in rows:
        marks = []
        for note in row.notes:
            if note not in notes:
                notes.append(note)
            marks.append(f"<sup>{notes.index(note) + 1}</sup>")
        made.append(_line([row.title + " ".join(marks), row.versions, *map(row.answer, CHECKS), row.date]))
    return [*made, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
