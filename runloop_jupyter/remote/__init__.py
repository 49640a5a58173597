"""Code that runs inside a devbox: plain Python 3.8 or newer without packages, sent there as text.

`values` and the codecs run on both sides. Nothing here may import anything else of this project. Comments are sent as
well: this folder is kept small, because its compressed text is part of the command line of each Python cell.
"""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from pathlib import Path

_PARTS = (
    "codec",
    "zone_codec",
    "numpy_codec",
    "pandas_codec",
    "arrow_codec",
    "values",
    "displays",
    "ipython_display",
    "figures",
    "cells",
    "ipython_cells",
    "interpreter",
)
_PACKAGE = "runloop_remote"
_BOOT = """
import sys
from importlib.machinery import ModuleSpec
package, sources = {package!r}, {sources!r}
class Parts:  # compiled on import: a client that hands a cell over needs only some of them
    def find_spec(self, name, path=None, target=None):
        if name == package or name.rpartition('.')[0] == package and name.rpartition('.')[2] in sources:
            return ModuleSpec(name, self, is_package=name == package)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        source = sources.get(module.__name__.rpartition('.')[2], '')
        exec(compile(source, '<' + module.__name__ + '>', 'exec'), vars(module))
sys.meta_path.append(Parts())
from runloop_remote.interpreter import main
sys.exit(main(sys.argv[1:]))
"""


_START = "'import base64,zlib;exec(zlib.decompress(base64.b64decode("
_MAX_REQUEST = 1_000_000  # characters of a request that are decoded


def is_cell(command: str) -> bool:
    """True if a command hands a cell over to a session, by running `program`."""
    return command.startswith("exec ") and f" -c {_START}" in command


def code_of(command: str) -> str:
    """The code of the cell that such a command hands over; empty if the command does not contain it."""
    argument = command.rpartition(" ")[2].strip("'\"")
    try:
        request = json.loads(base64.b64decode(argument[:_MAX_REQUEST], validate=True))
        return str(request["code"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""  # it is in a file of the devbox, or another program made the command


@cache
def terminal_program() -> str:
    """The program for `python3 -c` that runs a command on a terminal (see `terminal`)."""
    packed = base64.b64encode(zlib.compress((Path(__file__).parent / "terminal.py").read_bytes(), 9)).decode()
    return f'import binascii,zlib;exec(zlib.decompress(binascii.a2b_base64("{packed}")))'


@cache
def program() -> str:
    """The program for `python3 -c` that runs a cell, in characters that need no escaping in single quotes."""
    sources = {name: (Path(__file__).parent / f"{name}.py").read_text() for name in _PARTS}
    boot = _BOOT.format(package=_PACKAGE, sources=sources)
    packed = base64.b64encode(zlib.compress(boot.encode(), 9)).decode()
    return f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed}")))'
