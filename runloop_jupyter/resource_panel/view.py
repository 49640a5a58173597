"""The widget in the page: what it is told, and nothing else of it is kept.

Rows travel as messages, not as synced state: what the notebook file may save of this widget holds no resources and no
secrets. Each page asks for a snapshot when it opens, and then gets the changes, numbered by kind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from pydantic_core import to_json

from ..resources.kinds import KINDS

if TYPE_CHECKING:
    from .table import Change, Table

_TEXT = r"""("(?:[^"\\]|\\.)*"|`[^`]*`)"""
_SPACES = re.compile(_TEXT + r"| ?([=(){}\[\],;:?<>&|*]) ?")
_STATIC = Path(__file__).parent / "static"
_PARTS = ("clipboard", "kernel", "dom", "format", "store", "table", "dialogs", "detail", "panel")


def _script() -> str:
    """The parts as the one module that a widget can have, without what only people need: it travels with each panel."""
    lines = (line.strip() for name in _PARTS for line in (_STATIC / f"{name}.js").read_text().splitlines())
    shorter = [_squeezed(line) for line in lines if line and not line.startswith(("// ", "/** "))]
    return "".join(line if line.endswith(("{", ";", ",")) else f"{line}\n" for line in shorter)


def _squeezed(line: str) -> str:
    """A line without its comment, and without spaces around punctuation but in texts.

    One that may hold a pattern, or a template in a template, keeps its spaces.
    """
    if " // " in re.sub(_TEXT, "", line):
        line = line.rpartition(" // ")[0]
    nested = any(text.count("${") != text.count("}") for text in re.findall(_TEXT, line))
    odd = nested or any(sign in re.sub(_TEXT, "", line) for sign in "'`/")
    return line if odd else _SPACES.sub(r"\1\2", line)


class ResourceView(anywidget.AnyWidget):
    """Tabs, table, forms and details. `layout_state` is how the user has arranged it: tab, sort, filters, widths."""

    _esm = _script()
    _css = _STATIC / "panel.css"
    kinds: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    layout_state: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(kinds=[kind.spec() for kind in KINDS.values()], **traits)

    def post(self, op: str, **content: Any) -> None:
        """Tell all pages something."""
        self.send({"op": op, **content})

    def post_change(self, kind: str, change: Change) -> None:
        """Rows changed."""
        self.send({"op": "patch", "kind": kind, "seq": change.seq, "rows": change.rows, "gone": change.gone})

    def post_table(self, kind: str, table: Table) -> None:
        """All rows, as bytes: ten thousand of them cost some milliseconds."""
        content = {"op": "snapshot", "kind": kind, "seq": table.seq}
        self.send(content, [to_json(list(table.rows.values()))])
