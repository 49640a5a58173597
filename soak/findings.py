"""The findings of the instruments, and the table at the end."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["wrong bytes", "losses", "leaks", "double runs", "hangs", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Found(Exception):  # noqa: N818 -- a finding, not an error of the instrument
    """A check failed; holds what was found, and its kind."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def expect(holds: bool, kind: Kind, text: str) -> None:
    """Raise `Found` unless the condition holds."""
    if not holds:
        raise Found(kind, text)


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect that an instrument has found."""

    instrument: str
    kind: Kind
    text: str
    seed: int
    case: int | None = None
    """The number of the case that found it; None if it was found at the end of a run."""

    @property
    def command(self) -> str:
        """The command that reproduces it."""
        only = "" if self.case is None else f" --only {self.case}"
        return f"python -m soak {self.instrument} --seed {self.seed}{only}"

    def __str__(self) -> str:
        return f"FOUND {self.kind}: {self.command}\n{textwrap.indent(self.text, '    ')}"


@dataclass
class Report:
    """The findings and the amounts of work of a run; prints both as they come."""

    seed: int
    findings: list[Finding] = field(default_factory=list)
    amounts: dict[str, str] = field(default_factory=dict)
    """By instrument, in the order of the table."""

    def found(self, instrument: str, kind: Kind, text: str, case: int | None = None) -> None:
        """Record a finding and print it."""
        text = text.encode("utf-8", "backslashreplace").decode()  # what is found may hold bytes that are no text
        self.findings.append(Finding(instrument, kind, text, self.seed, case))
        say(str(self.findings[-1]))

    def done(self, instrument: str, amount: str) -> None:
        """Record the amount of work of an instrument and print it."""
        self.amounts[instrument] = amount
        say(f"{instrument}: {amount}")

    def note(self, instrument: str, text: str) -> None:
        """Print something that is not a finding."""
        say(f"{instrument}: {text}")

    def table(self) -> str:
        """A table with a row for each instrument: its amount of work, and its findings by kind."""
        return table(self.amounts, Counter((one.instrument, one.kind) for one in self.findings))


def table(amounts: dict[str, str], counts: Counter[tuple[str, Kind]]) -> str:
    """The table, as Markdown."""
    names = [*amounts, *dict.fromkeys(name for name, _ in counts if name not in amounts)]
    rows = [
        ["instrument", "amount", *KINDS],
        *([name, amounts.get(name, "not finished"), *(str(counts[name, kind]) for kind in KINDS)] for name in names),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "-|-".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:])).replace(f"| {rule} |", f"|-{rule}-|")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)
