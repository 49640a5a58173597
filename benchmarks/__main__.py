"""Run the benchmarks and print one table."""

from __future__ import annotations

import asyncio
import sys

from benchmarks import arguments, cells, commands, imports, neighbours, panel, records, sdk, service, storage

GROUPS = {
    "imports": imports,
    "sdk": sdk,
    "arguments": arguments,
    "service": service,
    "records": records,
    "storage": storage,
    "commands": commands,
    "cells": cells,
    "panel": panel,
    "neighbours": neighbours,
}


def main(names: list[str]) -> int:
    """Run the named groups, or all."""
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"No benchmark named {unknown[0]!r}; there are: {', '.join(GROUPS)}.", file=sys.stderr)
        return 2
    for name in names or GROUPS:
        print(f"{name}: {(GROUPS[name].__doc__ or '').strip()}", flush=True)
        for row in asyncio.run(GROUPS[name].run()):
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
