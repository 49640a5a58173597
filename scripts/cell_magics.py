"""Write ui/src/protocol/magics.ts: the magics that take a cell, and the language of each cell, from their parsers.

`make ui` runs it; `--check` fails where the file says something else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runloop_jupyter.commands import NOUNS
from runloop_jupyter.commands.parser import Parser

ROOT = Path(__file__).parents[1]
MODULE = ROOT / "ui" / "src" / "protocol" / "magics.ts"

_HEAD = """\
// Made from the parsers of runloop_jupyter/commands by scripts/cell_magics.py: change them, then `make ui`.

export interface CellMagic {
  /** The language of the cell, by its name in JupyterLab; empty for text of no language. */
  language: string;
  /** The option whose value is the program that runs the cell; empty where there is none. */
  program: string;
  /** True if the first word that is no option is a file whose name says the language. */
  file: boolean;
  /** The options that take a value, where an argument says the language. */
  valued: readonly string[];
}

/** By what is typed after the two percent signs. */
"""


def main() -> int:
    """Write the module; with `--check` the exit code is 1 where it is another one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        MODULE.write_text(text(), encoding="utf-8")
    elif not MODULE.is_file() or MODULE.read_text(encoding="utf-8") != text():
        print(f"{MODULE.relative_to(ROOT)} is not what the parsers say: run `make ui`.")
        return 1
    return 0


def text() -> str:
    """The text of the module."""
    table = json.dumps(dict(magics()), indent=2)
    return f"{_HEAD}export const CELL_MAGICS: Readonly<Record<string, CellMagic>> = {table};\n"


def magics() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each way to type a subcommand that takes a cell, and what is known of the cell."""
    for name, noun in NOUNS.items():
        for verb in noun.cells:
            cell = described(noun.load(verb).parser())
            for typed in dict.fromkeys((noun.typed.removeprefix("%"), f"runloop {name}")):
                yield f"{typed} {verb}", cell


def described(parser: Parser[object]) -> dict[str, Any]:
    """The page's description of the cell of a subcommand."""
    argument = parser.cell_language_argument
    return {
        "language": parser.cell_language,
        "program": argument if argument.startswith("-") else "",
        "file": bool(argument) and not argument.startswith("-"),
        "valued": sorted(parser.value_options) if argument else [],
    }


if __name__ == "__main__":
    sys.exit(main())
