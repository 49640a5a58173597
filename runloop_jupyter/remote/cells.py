"""Parses cells where the devbox has no IPython: the value to show, and lines like `!command` and `%pip`."""

from __future__ import annotations

import ast
import importlib
import io
import linecache
import os
import shlex
import site
import subprocess
import sys
import tokenize
from typing import Tuple

NAME = "<cell "
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def parsed(code: str, offset: int, number: int) -> Tuple[ast.Module, ast.Expression | None, str]:
    """A cell's statements, its last expression if the value is to be shown, and the file name of both.

    Line numbers are those of the notebook's cell, in which `offset` lines precede the code.
    """
    filename = f"{NAME}{number}>"
    source = "\n" * offset + code
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    tree, source = _tree(source, filename)
    end = tree.body[-1] if tree.body else None
    if not isinstance(end, ast.Expr) or _is_silenced(source):
        return tree, None, filename
    tree.body.pop()
    return tree, ast.Expression(end.value), filename


def run_line(line: str) -> None:
    """Run a line in IPython's syntax: `!command`, `%pip ...` or `%matplotlib ...`."""
    if line.startswith("!"):
        subprocess.call(line[1:], shell=True)  # noqa: S602 - the user typed it
        find_installed_packages()
        return
    name, _, rest = line[1:].partition(" ")
    if name == "pip":
        ended = subprocess.call([sys.executable, "-m", "pip", *shlex.split(rest)])
        find_installed_packages()
        if ended:
            raise RuntimeError(f"pip ended with exit code {ended}")


def find_installed_packages() -> None:
    """Make packages importable that were installed since, as in a new Python: the user's site folder may be new."""
    importlib.invalidate_caches()
    folder = site.getusersitepackages() if site.ENABLE_USER_SITE else ""
    if not folder or folder in sys.path or not os.path.isdir(folder):
        return
    before = list(sys.path)
    site.addsitedir(folder)
    added = [path for path in sys.path if path not in before]
    systems = [before.index(path) for path in site.getsitepackages() if path in before]
    place = min(systems, default=len(before))
    sys.path[:] = [*before[:place], *added, *before[place:]]


def _tree(source: str, filename: str) -> Tuple[ast.Module, str]:
    """Parse the source, and replace lines in IPython's syntax: only those at which Python reports an error."""
    lines = source.splitlines(keepends=True)
    while True:
        try:
            return ast.parse("".join(lines), filename), "".join(lines)
        except SyntaxError as error:
            place = (error.lineno or 0) - 1
            line = lines[place] if 0 <= place < len(lines) else ""
            lines[place : place + 1] = [_as_python(line, error)]


def _as_python(line: str, error: SyntaxError) -> str:
    text = line.strip()
    indent = line[: len(line) - len(line.lstrip())]
    if text[:1] not in ("!", "%"):
        raise error
    name = text[1:].partition(" ")[0]
    if text[0] == "%" and name not in ("pip", "matplotlib"):
        works = "!command, %pip and %matplotlib work without IPython, others after %pip install ipython"
        error.msg = f"%{name} is no Python: {works}"
        raise error
    return f"{indent}__import__({__name__!r}, fromlist=['run_line']).run_line({text!r})\n"


def _is_silenced(source: str) -> bool:
    """True if the last token is a semicolon, which one in a comment or a string is not."""
    tokens = [each for each in tokenize.generate_tokens(io.StringIO(source).readline) if each.type not in _SILENT]
    return bool(tokens) and tokens[-1].string == ";"
