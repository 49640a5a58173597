"""The page's side of the widgets as it was built from `ui/`: a module and a style sheet for each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "static"


def script(name: str) -> str:
    """Return a widget's module. Raises `FileNotFoundError` where it was not built."""
    return _text(f"{name}.js")


def style(name: str) -> str:
    """Return a widget's style sheet. Raises `FileNotFoundError` where it was not built."""
    return _text(f"{name}.css")


@cache
def _text(name: str) -> str:
    path = _FOLDER / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `make ui` builds it.")
    return path.read_text(encoding="utf-8")
