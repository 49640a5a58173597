"""`python -m soak`: see `--help`."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from . import commands, cuts, fuzz, kernels, kills, load, parsers
from .findings import Report, say
from .plan import BESIDE, SHARES, Wanted, limits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from .cases import Limit

    Run = Callable[[Limit, Report], Coroutine[Any, Any, None]]

_DESCRIPTION = """Look for wrong bytes, losses, leaks, double runs and hangs, in services started for that. By default
all instruments run, one after the other, and share the minutes; an instrument with a number takes as long as it needs.
Exits with 1 if anything was found; each finding contains the command that reproduces it."""
NAMES = (*SHARES, BESIDE)
_COUNTS = {
    "scenarios": ("load", "pieces of mixed work on one service"),
    "kills": ("kills", "kills of a busy service"),
    "schedules": ("cuts", "schedules of network faults"),
    "sequences": ("kernels", "sequences of actions in kernels"),
    "requests": ("fuzz", "odd requests"),
    "inputs": ("parsers", "odd archives, listings, frames, events, Dockerfiles and proxy requests"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the instruments; returns 1 if anything was found."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.instruments if name not in NAMES]:
        parser.error(f"there is no instrument {unknown[0]!r}, only {', '.join(NAMES)}")
    names = options.instruments or list(NAMES)
    if options.only is not None and len(names) != 1:
        parser.error("--only takes one instrument: python -m soak cuts --seed 1 --only 17")
    counts = {name: getattr(options, option) for option, (name, _) in _COUNTS.items()}
    report = Report(random.SystemRandom().randrange(10**6) if options.seed is None else options.seed)
    say(f"seed {report.seed}: {', '.join(names)}")
    _run(limits(names, Wanted(options.minutes, counts, options.only)), _runs(options), report)
    say(f"\n{report.table()}\n\nseed {report.seed}, {len(report.findings)} found")
    return 1 if report.findings else 0


def _run(chosen: dict[str, Limit], runs: dict[str, Run], report: Report) -> None:
    """Run the instruments one after the other, and in parallel the one that is mostly idle."""
    with ThreadPoolExecutor(1) as beside:
        waiting = [beside.submit(_run_one, name, chosen[name], runs, report) for name in chosen if name == BESIDE]
        for name, limit in chosen.items():
            if name != BESIDE:
                _run_one(name, limit, runs, report)
        for each in waiting:
            each.result()


def _run_one(name: str, limit: Limit, runs: dict[str, Run], report: Report) -> None:
    """Run one instrument; if it fails, that is a finding, and the others still run."""
    try:
        asyncio.run(runs[name](limit, report))
    except Exception:  # noqa: BLE001 -- reported as a finding
        report.found(name, "other", f"the instrument itself failed:\n{traceback.format_exc()[-3000:]}")


def _runs(options: argparse.Namespace) -> dict[str, Run]:
    return {
        "load": partial(load.run, clients=options.clients),
        "kills": kills.run,
        "cuts": cuts.run,
        "kernels": partial(kernels.run, load=options.load),
        "fuzz": fuzz.run,
        "parsers": parsers.run,
        "commands": commands.run,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m soak", description=_DESCRIPTION)
    parser.add_argument("instruments", nargs="*", metavar="INSTRUMENT", help=f"{', '.join(NAMES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="total time (default: 10)")
    parser.add_argument("--seed", type=int, help="seed of the random choices (default: a new one each time)")
    parser.add_argument("--only", type=int, metavar="N", help="run only the case with this number")
    for option, (name, what) in _COUNTS.items():
        parser.add_argument(f"--{option}", type=int, metavar="N", help=f"{name}: run N {what}")
    clients = f"load: number of parallel clients (default: {load.CLIENTS})"
    parser.add_argument("--clients", type=int, default=load.CLIENTS, help=clients)
    busy = f"kernels: busy processes during the run (default: {kernels.LOAD} during the last third)"
    parser.add_argument("--load", type=int, metavar="N", help=busy)
    return parser


if __name__ == "__main__":
    sys.exit(main())
