"""`IPython.display` where IPython is not: libraries import it to show something, and it works as in a notebook."""

from __future__ import annotations

import base64
import builtins
import json
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any, Callable, Dict

_PACKAGE, _MODULE = "IPython", "IPython.display"


class DisplayObject:
    """Something with a MIME type: its data, or the file that has it."""

    mime = "text/plain"

    def __init__(self, data: Any = None, url: str | None = None, filename: str | None = None, **_options: Any) -> None:
        self.data, self.url, self.filename = data, url, filename
        if filename is not None:
            with open(filename, "rb") as file:
                self.data = file.read()

    def __repr__(self) -> str:
        return f"<{_MODULE}.{type(self).__name__} object>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        data = self.data
        if isinstance(data, bytes) and not self.mime.startswith("image/p"):
            data = data.decode("utf-8", "replace")
        return {} if data is None else {self.mime: data}


class HTML(DisplayObject):
    """Markup."""

    mime = "text/html"

    def __html__(self) -> Any:
        return self.data


class Markdown(DisplayObject):
    """Markdown."""

    mime = "text/markdown"


class Latex(DisplayObject):
    """LaTeX."""

    mime = "text/latex"


class Math(DisplayObject):
    """A formula without its dollar signs."""

    mime = "text/latex"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        return {self.mime: f"$\\displaystyle {str(self.data).strip('$')}$"}


class SVG(DisplayObject):
    """A drawing."""

    mime = "image/svg+xml"


class JSON(DisplayObject):
    """A value that JSON knows, or its text."""

    mime = "application/json"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        return {self.mime: json.loads(self.data) if isinstance(self.data, (str, bytes)) else self.data}


class Javascript(DisplayObject):
    """A script, which runs in a frame."""

    mime = "text/html"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        return {self.mime: f"<script>{self.data}</script>"}


class Image(DisplayObject):
    """A picture, of bytes or a file."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        data = self.data
        if isinstance(data, str):
            with open(data, "rb") as file:  # as in IPython, a text is a file's name
                data = file.read()
        kind = "image/jpeg" if data[:2] == b"\xff\xd8" else "image/png"
        return {kind: base64.b64encode(data).decode()}


def provide(show: Callable[[Dict[str, Any]], None]) -> None:
    """Let `IPython.display` be imported wherever no IPython is found."""
    sys.meta_path.append(_Finder(show))


class _Finder:
    """The last to be asked for a module."""

    def __init__(self, show: Callable[[Dict[str, Any]], None]) -> None:
        self._show = show

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=name == _PACKAGE) if name in (_PACKAGE, _MODULE) else None  # type: ignore[arg-type]  # all that is asked of a loader

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: types.ModuleType) -> None:
        names: Dict[str, Any] = {"get_ipython": lambda: None, "display": self._display}
        if module.__name__ == _MODULE:
            shown = (DisplayObject, HTML, Markdown, Latex, Math, SVG, JSON, Javascript, Image)
            names.update({kind.__name__: kind for kind in shown})
            names.update(publish_display_data=self._publish, clear_output=lambda wait=False: None)
            names.update({f"display_{kind.__name__.lower()}": self._of(kind) for kind in shown[1:]})
        vars(module).update(names)

    def _display(self, *values: Any, include: Any = None, exclude: Any = None, raw: bool = False, **_: Any) -> None:
        for value in values:
            if raw:
                self._publish(value)
            else:
                builtins.display(value)  # type: ignore[attr-defined]

    def _publish(self, data: Dict[str, Any], metadata: Any = None, **_options: Any) -> None:
        self._show(data)

    def _of(self, kind: Callable[[Any], Any]) -> Callable[..., None]:
        def display(*values: Any, raw: bool = False, **_options: Any) -> None:
            self._display(*(kind(value) if raw else value for value in values))

        return display
