"""The widget in the page: what it is told, and nothing else of it is kept.

Rows travel as messages, not as synced state: what the notebook file may save of this widget holds no resources and no
secrets.
"""

from __future__ import annotations

from typing import Any

import traitlets

from ..resources.kinds import KINDS
from ..resources.specs import Kind
from ..widgets import assets
from ..widgets.page_widget import PageWidget


class ResourceView(PageWidget):
    """Tabs, table, forms and details. `layout_state` is how the user has arranged it: tab, sort, filters, widths."""

    _esm = assets.script("panel")
    _sheet = assets.style("panel")
    kinds: traitlets.List[Kind] = traitlets.List().tag(sync=True)
    layout_state: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(kinds=[kind.spec() for kind in KINDS.values()], **traits)
