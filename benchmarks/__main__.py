"""Run the benchmarks and print one table: each figure beside its limit, or the official client's, in the same run."""

from __future__ import annotations

import argparse
import asyncio
import json
import pkgutil
import sys
from collections.abc import Sequence

from benchmarks import compare
from benchmarks.measure import Row, by_name, is_busy, line, load, processors_taken

MEASUREMENTS = {
    "load": "imports:load",
    "import-sdk": "imports:client",
    "arguments": "arguments:run",
    "calls": "sdk:calls",
    "bulk": "sdk:bulk",
    "memory": "sdk:memory",
    "delayed": "sdk:delayed",
    "ready": "service:ready",
    "idle": "service:idle",
    "create": "service:create",
    "200-devboxes": "service:many",
    "start": "records:start",
    "pages": "records:pages",
    "snapshot": "storage:snapshots",
    "blueprint": "storage:blueprint",
    "objects": "storage:objects",
    "images": "images:run",
    "exec": "commands:short",
    "input": "commands:echo",
    "stdout": "commands:throughput",
    "clients": "commands:many_clients",
    "first-cell": "cells:first",
    "first-cell-and-service": "cells:first_with_service",
    "next-cell": "cells:following",
    "flood": "cells:flood",
    "fan-out": "cells:fan_out",
    "in-flight": "cells:in_flight",
    "stop": "cells:stop_and_restart",
    "machinery": "cells:machinery",
    "lists": "cells:lists_and_completion",
    "panel": "panel:run",
    "lab-start": "lab:start",
    "neighbours": "neighbours:run",
    "curves": "curves:run",
    "cell-curves": "cell_curves:run",
}
"""Each measurement's name, and the function that makes its rows; the module's name stands for all of its own."""


def main() -> int:
    """Run those that were asked for, or all."""
    options = _parser().parse_args()
    try:
        names = selected(options.rows.split(",") if options.rows else ())
    except LookupError as error:
        sys.exit(str(error.args[0]))
    if options.json:
        print(json.dumps([row.as_json() for name in names for row in measured(name)]))
    elif options.compare:
        compare.run(options.compare, names, options.runs)
    else:
        print(f"{options.runs} runs: median (least-most), on a machine with {load()}")
        for name in names:
            _print(name, options.runs)
    return 0


def _parser() -> argparse.ArgumentParser:
    subjects = sorted({where.partition(":")[0] for where in MEASUREMENTS.values()})
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.add_argument("--rows", help=f"some of them: {', '.join(MEASUREMENTS)}; or all of {', '.join(subjects)}")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--compare", metavar="COMMIT", help="measure that commit and this checkout in turn")
    parser.add_argument("--json", action="store_true", help="measure once and print the rows as JSON")
    return parser


def selected(wanted: Sequence[str]) -> list[str]:
    """The names of the measurements that these names, and names of subjects, stand for; all if there are none."""
    found: list[str] = []
    for each in wanted:
        names = [name for name, where in MEASUREMENTS.items() if each in (name, where.partition(":")[0])]
        if not names:
            raise LookupError(f"No benchmark is named {each!r}: --help has their names.")
        found += names
    return found or list(MEASUREMENTS)


def measured(name: str) -> list[Row]:
    """The rows of one measurement, in one run."""
    rows: list[Row] = asyncio.run(pkgutil.resolve_name(f"benchmarks.{MEASUREMENTS[name]}")())
    return rows


def _print(name: str, runs: int) -> None:
    taken, found = [], []
    for _ in range(runs):
        taken.append(processors_taken())
        found.append(measured(name))
    busy = is_busy(max(taken))
    noted = f" (busy: others took up to {max(taken):.0%} of the processors)" if busy else ""
    print(f"{name}{noted}", flush=True)
    for rows in by_name(found).values():
        print(line(rows, busy=busy), flush=True)


if __name__ == "__main__":
    sys.exit(main())
