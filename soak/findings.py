"""What the instruments count, and the table at the end."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["wrong bytes", "losses", "leaks", "double runs", "hangs", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Found(Exception):  # noqa: N818 -- what a check found, which is no error of the instrument
    """A check failed: what was found, and as what it counts."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def expect(holds: bool, kind: Kind, text: str) -> None:
    """Raise `Found` unless it holds."""
    if not holds:
        raise Found(kind, text)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    instrument: str
    kind: Kind
    text: str
    seed: int
    case: int | None = None
    """The number of the case that met it; None for what was found at the end of a whole run."""

    @property
    def command(self) -> str:
        """How to meet it again."""
        only = "" if self.case is None else f" --only {self.case}"
        return f"python -m soak {self.instrument} --seed {self.seed}{only}"

    def __str__(self) -> str:
        return f"FOUND {self.kind}: {self.command}\n{textwrap.indent(self.text, '    ')}"


@dataclass
class Report:
    """The findings of a run, and how much was done; tells both as they come."""

    seed: int
    findings: list[Finding] = field(default_factory=list)
    amounts: dict[str, str] = field(default_factory=dict)
    """By instrument, in the order of the table."""

    def found(self, instrument: str, kind: Kind, text: str, case: int | None = None) -> None:
        """Count a finding and tell it."""
        self.findings.append(Finding(instrument, kind, text, self.seed, case))
        say(str(self.findings[-1]))

    def done(self, instrument: str, amount: str) -> None:
        """Note how much an instrument has done, and tell it."""
        self.amounts[instrument] = amount
        say(f"{instrument}: {amount}")

    def note(self, instrument: str, text: str) -> None:
        """Tell something that counts as nothing."""
        say(f"{instrument}: {text}")

    def table(self) -> str:
        """A line for each instrument: what it did, and how often each kind was found."""
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
    """Tell whoever waits."""
    print(text, flush=True)
