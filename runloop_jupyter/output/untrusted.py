"""Rich output that comes from a devbox, made sanitize: nothing in it runs in the notebook's page.

Pictures stay. HTML keeps its tables and text, without scripts, styles and what loads from elsewhere. HTML that lives
by its scripts (an interactive plot), or that would take long to look through, is shown in a frame that the browser
keeps apart from the notebook. Markdown and LaTeX that would load, link or define something are shown as they were
written. Text keeps its colours, and no other escape.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from .nesting import nests_deeper
from .script_frame import frame
from .terminal_text import safe_text

_PICTURES = ("image/png", "image/jpeg")
_SCRIPTED = re.compile(r"<script\b", re.IGNORECASE)
_STYLED = re.compile(r"<style(?!\s+scoped)\b", re.IGNORECASE)
_MATHS_THAT_ACTS = re.compile(
    r"\\(href|url|require|style|class|cssId|data|html|include|input|csname|[gx]?def|let|(re)?new|provide|Declare)"
)
_MARKDOWN_THAT_ACTS = re.compile(r"<[a-zA-Z/!?]|!\[|\]\(\s*(?!https?://|mailto:|#)|\]:")
_LINK = re.compile(r"\s*(https?://|mailto:|#)", re.IGNORECASE)  # not to the notebook's own server
_DEEPEST = 500  # elements in one another that are looked through here; browsers go about as deep
_LARGEST = 10_000_000  # characters of one MIME type
_ATTRIBUTES = {"align", "colspan", "rowspan", "span", "scope", "title", "class", "width", "height"}
_CLASSES = {"dataframe"}


def sanitize(bundle: Mapping[str, Any], *, frame_network: bool = False) -> dict[str, Any]:
    """The MIME bundle to show in its place; what is of no known kind is left out, and of what is too large the end.

    Frames for scripts get no network unless `frame_network` says so.
    """
    shown: dict[str, Any] = {"text/plain": safe_text(str(bundle.get("text/plain", "")))}
    for mime in _PICTURES:
        if _is_picture(bundle.get(mime)):
            shown[mime] = bundle[mime]
    markup, svg = bundle.get("text/html"), bundle.get("image/svg+xml")
    if isinstance(markup, str) and len(markup) <= _LARGEST:
        shown["text/html"] = _safe_html(markup, frame_network=frame_network)
    elif isinstance(svg, str) and len(svg) <= _LARGEST:
        shown["text/html"] = _picture("image/svg+xml", base64.b64encode(svg.encode()).decode())
    _add_source(shown, bundle, "text/latex", _MATHS_THAT_ACTS)
    _add_source(shown, bundle, "text/markdown", _MATHS_THAT_ACTS, _MARKDOWN_THAT_ACTS)
    if isinstance(bundle.get("application/json"), (dict, list)):
        shown["application/json"] = bundle["application/json"]
    return shown


def _add_source(shown: dict[str, Any], bundle: Mapping[str, Any], mime: str, *acting: re.Pattern[str]) -> None:
    """Show mathematics or Markdown; as its source where it would load, link or define something."""
    source = bundle.get(mime)
    if not isinstance(source, str) or len(source) > _LARGEST:
        return
    if any(pattern.search(source) for pattern in acting):
        shown["text/plain"] = safe_text(source)
    else:
        shown[mime] = source


def _safe_html(markup: str, *, frame_network: bool) -> str:
    if _SCRIPTED.search(markup) or _STYLED.search(markup) or nests_deeper(markup, _DEEPEST):
        return frame(markup, network=frame_network)
    import nh3

    attributes = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
    attributes["*"] = _ATTRIBUTES
    return nh3.clean(
        markup,
        attributes=attributes,
        attribute_filter=_kept,
        url_schemes={"http", "https", "mailto", "data"},  # data for pictures
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    """An attribute's value: pictures are those that the markup has, links lead out, classes are not the notebook's."""
    if name == "class":
        return " ".join(word for word in value.split() if word in _CLASSES) or None
    if name == "src" and not value.startswith("data:image/"):
        return None
    if name == "href" and not _LINK.match(value):
        return None
    return value


def _picture(mime: str, data: str) -> str:
    return f'<img src="data:{mime};base64,{data}">'  # as a picture it runs no scripts


def _is_picture(data: object) -> bool:
    if not isinstance(data, str) or len(data) > _LARGEST:
        return False
    try:
        base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
