"""What runs inside a devbox: plain Python 3.8 or newer without packages, sent along as text.

`values` is the same code on both sides. Nothing here may import anything else of this project.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache
from pathlib import Path

_PARTS = ("values", "interpreter")
_PACKAGE = "runloop_remote"
_BOOT = """
import sys, types
def module(name, source):
    made = types.ModuleType(name)
    made.__package__, made.__path__ = {package!r}, []
    sys.modules[name] = made
    exec(compile(source, '<' + name + '>', 'exec'), vars(made))
    return made
module({package!r}, '')
for name, source in {sources!r}.items():
    last = module({package!r} + '.' + name, source)
sys.exit(last.main(sys.argv[1:]))
"""


@cache
def program() -> str:
    """The text for `python3 -c`: letters, digits and punctuation that any shell leaves alone in single quotes."""
    sources = {name: (Path(__file__).parent / f"{name}.py").read_text() for name in _PARTS}
    boot = _BOOT.format(package=_PACKAGE, sources=sources)
    packed = base64.b64encode(zlib.compress(boot.encode(), 9)).decode()
    return f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed}")))'
