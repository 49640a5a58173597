"""The base of all widgets that have a module in the page."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import anywidget
from traitlets import Unicode


class PageWidget(anywidget.AnyWidget):
    """A widget whose module knows the id of its model, to find it in the front end (`ui/src/hearing.ts`).

    The module gives the page its style sheet, once for all widgets of a class (`ui/src/dom/style_sheet.ts`).
    """

    _sheet: ClassVar[str]
    widget_id = Unicode().tag(sync=True)
    style_sheet = Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        identity = uuid.uuid4().hex
        super().__init__(model_id=identity, widget_id=identity, style_sheet=self._sheet, **traits)
