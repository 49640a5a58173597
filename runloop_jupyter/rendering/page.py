"""The HTML building blocks of all rendering. Text is escaped here and nowhere else; colours are JupyterLab's."""

from __future__ import annotations

import html
from collections.abc import Iterable

from ..text.quoting import printable

# The class is repeated to be more specific than JupyterLab's rules for tables in an output.
_STYLE = """<style>
.runloop-view {color: var(--jp-ui-font-color1, inherit); font-family: var(--jp-ui-font-family, sans-serif);
  font-size: var(--jp-ui-font-size1, 13px); max-height: 32em; overflow: auto}
.runloop-view.runloop-view table {border-collapse: collapse; margin: 0; font-size: inherit}
.runloop-view.runloop-view :is(th, td) {text-align: left; vertical-align: top; white-space: nowrap;
  padding: 3px 12px 3px 4px; border-bottom: 1px solid var(--jp-border-color2, #8884)}
.runloop-view.runloop-view th {font-weight: 600; color: var(--jp-ui-font-color2, inherit)}
.runloop-view thead th {position: sticky; top: 0; background: var(--jp-layout-color0, Canvas)}
.runloop-view.runloop-view td.runloop-long {white-space: normal; overflow-wrap: break-word; max-width: 44em}
.runloop-view code {font-family: var(--jp-code-font-family, monospace); font-size: 0.95em}
.runloop-view a {color: var(--jp-content-link-color, #1976d2)}
.runloop-view p {margin: 4px}
.runloop-view .runloop-bar {display: flex; gap: 1px; height: 10px; max-width: 44em; margin: 6px 4px 2px}
.runloop-view .runloop-bar span {flex: 1 1 0; min-width: 2%; background: currentColor; border-radius: 2px}
.runloop-view .runloop-current {font-weight: 600}
.runloop-view .runloop-good {color: var(--jp-success-color1, #2e7d32)}
.runloop-view .runloop-busy {color: var(--jp-info-color1, #1976d2)}
.runloop-view .runloop-warn {color: var(--jp-warn-color1, #b26a00)}
.runloop-view .runloop-bad {color: var(--jp-error-color1, #c62828)}
.runloop-view .runloop-quiet {color: var(--jp-ui-font-color2, #757575)}
</style>"""


def page(body: str) -> str:
    """A complete output: `body`, which is HTML, with the style sheet."""
    return f'{_STYLE}<div class="runloop-view">{body}</div>'


def escaped(text: str) -> str:
    """Text as HTML."""
    return html.escape(printable(text))


def paragraph(text: str) -> str:
    """A paragraph; empty for an empty text."""
    return f"<p>{escaped(text)}</p>" if text else ""


def code(text: str) -> str:
    """Text to type or to copy."""
    return f"<code>{escaped(text)}</code>"


def link(url: str, text: str = "") -> str:
    """A link for an http or https URL, plain text for any other."""
    if not url.startswith(("https://", "http://")):
        return escaped(text or url)
    return f'<a href="{escaped(url)}" target="_blank" rel="noopener noreferrer">{escaped(text or url)}</a>'


def cell(body: str, css: str = "") -> str:
    """A table cell; `body` is HTML."""
    return f'<td class="{css}">{body}</td>' if css else f"<td>{body}</td>"


def bar(caption: str, parts: Iterable[tuple[str, str, float]]) -> str:
    """A bar of coloured parts, each given as its CSS class, title and length, with a caption below."""
    spans = "".join(
        f'<span class="{css}" title="{escaped(title)}" style="flex-grow: {size:g}"></span>'
        for css, title, size in parts
    )
    # Screen readers get the caption instead of the colours.
    picture = f'<div class="runloop-bar" role="img" aria-label="{escaped(caption)}">{spans}</div>'
    return f'{picture}<p class="runloop-quiet">{escaped(caption)}</p>'


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    """A table with a header row."""
    titles = "".join(f'<th scope="col">{escaped(title)}</th>' for title in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def fields(rows: Iterable[tuple[str, str]]) -> str:
    """A table with titles on the left; the cells beside them are HTML."""
    lines = (f'<tr><th scope="row">{escaped(title)}</th>{body}</tr>' for title, body in rows)
    return f"<table><tbody>{''.join(lines)}</tbody></table>"
