"""Sanitizes rich output that comes from a devbox: nothing in it runs in the notebook's page.

Images are kept. HTML keeps its tables and text, and loses scripts, styles and everything that is loaded from elsewhere.
HTML that needs its scripts (an interactive plot), or that would take long to sanitize, is shown in a frame that the
browser isolates from the notebook. Markdown and LaTeX that would load, link or define something are shown as source.
Text keeps its colours and no other escape sequences.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ..text.json_values import JsonObject, MimeBundle
from .nesting import nests_deeper
from .script_frame import frame
from .terminal_text import safe_text

_PICTURES = ("image/png", "image/jpeg")
_SCRIPTED = re.compile(r"<script\b", re.IGNORECASE)
_STYLED = re.compile(r"<style(?!\s+scoped)\b", re.IGNORECASE)
_ACTIVE_MATH = re.compile(
    r"\\(href|url|require|style|class|cssId|data|html|include|input|csname|[gx]?def|let|(re)?new|provide|Declare)"
)
_ACTIVE_MARKDOWN = re.compile(r"<[a-zA-Z/!?]|!\[|\]\(\s*(?!https?://|mailto:|#)|\]:")
_LINK = re.compile(r"\s*(https?://|mailto:|#)", re.IGNORECASE)  # not to the notebook's own server
_MAX_DEPTH = 500  # nested elements that are sanitized here; browsers have about the same limit
_LARGEST = 10_000_000  # characters of one MIME type
_ATTRIBUTES = {"align", "colspan", "rowspan", "span", "scope", "title", "class", "width", "height"}
_CLASSES = {"dataframe"}


def sanitize(bundle: MimeBundle, *, frame_network: bool = False) -> dict[str, Any]:
    """The MIME bundle to show in its place: without unknown types and values that are too large; long text is cut.

    Frames for scripts have no network unless `frame_network` is true.
    """
    shown: JsonObject = {"text/plain": safe_text(str(bundle.get("text/plain", "")))}
    for mime in _PICTURES:
        if _is_picture(bundle.get(mime)):
            shown[mime] = bundle[mime]
    # SVG is markup that can contain scripts, so it never goes into the page itself, only into an <img>.
    markup, svg = bundle.get("text/html"), bundle.get("image/svg+xml")
    if isinstance(markup, str) and len(markup) <= _LARGEST:
        shown["text/html"] = _safe_html(markup, frame_network=frame_network)
    elif isinstance(svg, str) and len(svg) <= _LARGEST:
        shown["text/html"] = _picture("image/svg+xml", base64.b64encode(svg.encode()).decode())
    _add_source(shown, bundle, "text/latex", _ACTIVE_MATH)
    _add_source(shown, bundle, "text/markdown", _ACTIVE_MATH, _ACTIVE_MARKDOWN)
    if isinstance(bundle.get("application/json"), (dict, list)):
        shown["application/json"] = bundle["application/json"]
    return shown


def _add_source(shown: JsonObject, bundle: MimeBundle, mime: str, *active: re.Pattern[str]) -> None:
    """Add LaTeX or Markdown; as plain text if one of the `active` patterns matches."""
    source = bundle.get(mime)
    if not isinstance(source, str) or len(source) > _LARGEST:
        return
    if any(pattern.search(source) for pattern in active):
        shown["text/plain"] = safe_text(source)
    else:
        shown[mime] = source


def _safe_html(markup: str, *, frame_network: bool) -> str:
    # A stylesheet needs a frame, too: nh3 would remove it. Only that of pandas, `<style scoped>`, is no loss.
    if _SCRIPTED.search(markup) or _STYLED.search(markup) or nests_deeper(markup, _MAX_DEPTH):
        return frame(markup, network=frame_network)
    import nh3  # an HTML sanitizer in Rust, imported only if there is HTML

    attributes = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
    attributes["*"] = _ATTRIBUTES
    return nh3.clean(
        markup,
        attributes=attributes,
        attribute_filter=_kept,
        url_schemes={"http", "https", "mailto", "data"},  # data for pictures
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    """The value of an attribute, None to drop it: only embedded images, links to the web, harmless classes."""
    if name == "class":
        return " ".join(word for word in value.split() if word in _CLASSES) or None
    if name == "src" and not value.startswith("data:image/"):
        return None
    if name == "href" and not _LINK.match(value):
        return None
    return value


def _picture(mime: str, data: str) -> str:
    return f'<img src="data:{mime};base64,{data}">'  # the scripts of an SVG do not run in an <img>


def _is_picture(data: object) -> bool:
    if not isinstance(data, str) or len(data) > _LARGEST:
        return False
    try:
        base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
