"""Makes the MIME bundle of a value from its `_repr_*_` methods, as IPython does."""

from __future__ import annotations

import base64
import inspect
import io
import json
import os
import sys
from typing import Any, Callable, Dict, Iterator, Mapping, Tuple, TypeVar

T = TypeVar("T")

_LONGEST_REPR = 100_000
_CANARY = "_ipython_canary_method_should_not_exist_"
_REPRS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_latex_", "text/latex"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_json_", "application/json"),
)


def bundle(value: object) -> Dict[str, object] | None:
    """The MIME bundle of a value, bytes as base64; None if the value displayed itself.

    A method that raises loses only its own MIME type; stderr has the reason.
    """
    if _is_figure(value):
        return {"image/png": _text(_png(value)), "text/plain": plain(value)}
    show = _method(value, "_ipython_display_")
    if show is not None and _tried(value, "_ipython_display_", lambda: (show(),)) is not None:
        return None
    found = dict(_representations(value))
    to_html = _method(value, "to_html") if _is_a("altair", value) else None
    if to_html is not None:
        markup = _tried(value, "to_html", lambda: _chart(to_html))
        found.update({"text/html": markup} if markup else {})
    found.setdefault("text/plain", plain(value))
    return found


def sendable(data: Mapping[str, object]) -> Dict[str, object]:
    """A library's MIME bundle in a form that can be sent."""
    found = {str(mime): _text(each) for mime, each in data.items() if each is not None}
    return found if _is_json(found) else {mime: str(each) for mime, each in found.items()}


def is_figure_or_chart(value: object) -> bool:
    """True for a figure or chart, for which `bundle` makes a MIME type that it has no method for."""
    return _is_figure(value) or (_is_a("altair", value) and _method(value, "to_html") is not None)


def write_stderr(text: str) -> None:
    """Write to stderr, even if a cell has replaced `sys.stderr`."""
    try:
        sys.stderr.write(text)
    except (AttributeError, TypeError, ValueError):
        os.write(2, text.encode("utf-8", "backslashreplace"))


def _chart(to_html: Callable[..., object]) -> str:
    """The HTML of an altair chart, with its scripts if the devbox has them."""
    try:
        return str(to_html(inline=True))
    except (ImportError, TypeError, ValueError):
        write_stderr(
            "The chart's scripts come from the network. To have them in the chart: %pip install vl-convert-python\n"
        )
        return str(to_html())


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _representations(value: object) -> Iterator[Tuple[str, object]]:
    for name, mime in _REPRS:
        shown = _shown(value, name, lambda made: {mime: made})  # noqa: B023 - called at once
        yield from shown.items()
    yield from _shown(value, "_repr_mimebundle_", lambda made: made, include=None, exclude=None).items()


def _shown(
    value: object, name: str, by_mime: Callable[[Any], Dict[str, object]], **arguments: object
) -> Dict[str, object]:
    """The result of one of the value's methods, by MIME type; empty if there is none, or if it fails."""
    method = _method(value, name)
    if method is None:
        return {}

    def make() -> Dict[str, object]:
        made = method(**arguments)
        made = made[0] if isinstance(made, tuple) else made  # without the metadata
        data = {mime: _text(each) for mime, each in by_mime(made).items() if each is not None} if made else {}
        json.dumps(data)
        return data

    return _tried(value, name, make) or {}


def _method(value: object, name: str) -> Callable[..., Any] | None:
    """The method of this name; None for a class, or an object that has every attribute."""
    if inspect.isclass(value):
        return None
    try:
        method = None if getattr(value, _CANARY, None) is not None else getattr(value, name, None)
    except Exception:  # noqa: BLE001 - its __getattr__ may raise anything
        return None
    return method if callable(method) else None


def _tried(value: object, name: str, make: Callable[[], T]) -> T | None:
    """The result of `make`, or None if it raises; stderr has the reason."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - the value's other MIME types are shown
        reason = f"{type(error).__name__}: {_safely(error, str)}".strip().partition("\n")[0]
        write_stderr(f"{type(value).__name__}.{name} failed: {reason}\n")
        return None


def plain(value: object) -> str:
    """The repr of a value, cut if it is very long; also of a value whose repr fails."""
    text = _safely(value, repr)
    if len(text) <= _LONGEST_REPR:
        return text
    return f"{text[:_LONGEST_REPR]} ... {len(text):,} characters in all"


def _safely(value: object, say: Callable[[object], str]) -> str:
    try:
        return say(value)
    except Exception as error:  # noqa: BLE001 - a value without a repr does not fail the cell
        return f"<{type(value).__name__} whose {say.__name__} raised {type(error).__name__}>"


def _is_a(package: str, value: object) -> bool:
    return any(str(kind.__module__).partition(".")[0] == package for kind in type(value).__mro__)


def _is_figure(value: object) -> bool:
    return any(kind.__module__ == "matplotlib.figure" and kind.__name__ == "Figure" for kind in type(value).__mro__)


def _png(figure: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", bbox_inches="tight")
    return target.getvalue()


def _text(data: object) -> object:
    if isinstance(data, (bytes, bytearray)):
        return base64.b64encode(data).decode()
    return data if isinstance(data, (str, dict, list)) else str(data)
