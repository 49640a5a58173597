"""The page of the docs: page.md, with the table and what was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .readings import READINGS
from .table import Row, lines

FRAME = Path(__file__).with_name("page.md")


def write(file: Path, rows: Mapping[str, Row]) -> None:
    """Write the page with these rows."""
    file.write_text(text(rows), encoding="utf-8")


def text(rows: Mapping[str, Row]) -> str:
    """The page with these rows."""
    table = "\n".join(lines(rows.values()))
    readings = "\n".join(f"| {each.title} | {each.said} | {each.source} | {each.follows} |" for each in READINGS)
    return FRAME.read_text(encoding="utf-8").format(table=table, readings=readings)
