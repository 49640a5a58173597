"""A stand-in for `IPython.display` where IPython is not installed: libraries that import it work as in a notebook."""

from __future__ import annotations

import base64
import json
import os
import sys
import types
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any, Callable, Dict, Iterator, Mapping

from .displays import bundle

_PACKAGE, _MODULE = "IPython", "IPython.display"


class DisplayObject:
    """Data of one MIME type, or from a file."""

    mime = "text/plain"

    def __init__(
        self, data: Any = None, url: str | None = None, filename: str | None = None, **_options: object
    ) -> None:
        self.data, self.url, self.filename = data, url, filename
        if filename is not None:
            with open(filename, "rb") as file:
                self.data = file.read()

    def __repr__(self) -> str:
        return f"<{_MODULE}.{type(self).__name__} object>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Dict[str, object]:
        data = self.data
        if isinstance(data, bytes) and not self.mime.startswith("image/p"):
            data = data.decode("utf-8", "replace")
        return {} if data is None else {self.mime: data}


class HTML(DisplayObject):
    """HTML."""

    mime = "text/html"

    def __html__(self) -> object:
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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Dict[str, object]:
        return {self.mime: f"$\\displaystyle {str(self.data).strip('$')}$"}


class SVG(DisplayObject):
    """An SVG image."""

    mime = "image/svg+xml"


class JSON(DisplayObject):
    """A JSON value, or its text."""

    mime = "application/json"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Dict[str, object]:
        return {self.mime: json.loads(self.data) if isinstance(self.data, (str, bytes)) else self.data}


class Javascript(DisplayObject):
    """A script, which the notebook runs in a frame."""

    mime = "text/html"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Dict[str, object]:
        return {self.mime: f"<script>{self.data}</script>"}


class Image(DisplayObject):
    """A PNG or JPEG image, from bytes or a file."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Dict[str, object]:
        data = self.data
        if isinstance(data, str):
            with open(data, "rb") as file:  # as in IPython, a string is a file name
                data = file.read()
        kind = "image/jpeg" if data[:2] == b"\xff\xd8" else "image/png"
        return {kind: base64.b64encode(data).decode()}


Show = Callable[[Mapping[str, object], str, bool], None]


class DisplayHandle:
    """A display with an id, which can be updated."""

    def __init__(self, displays: Displays, display_id: object) -> None:
        self._displays = displays
        self.display_id = display_id

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, obj: object, **options: Any) -> None:
        """Show an object below, with the same id."""
        self._displays.display(obj, display_id=self.display_id, **options)

    def update(self, obj: object, **options: Any) -> None:
        """Replace the display by an object."""
        self._displays.update_display(obj, display_id=self.display_id, **options)


class Displays:
    """The functions of `IPython.display`, on top of one that shows a MIME bundle and one that empties the cell."""

    def __init__(self, show: Show, clear: Callable[[bool], None]) -> None:
        self._show = show
        self._clear = clear

    def show(self, data: Mapping[str, object]) -> None:
        """Show a MIME bundle."""
        self._show(data, "", False)

    def display(
        self,
        *values: object,
        display_id: object = None,
        raw: bool = False,
        clear: bool = False,
        update: bool = False,
        **_options: object,
    ) -> DisplayHandle | None:
        """Show values as a notebook does: tables, images, text."""
        if update and display_id is None:
            raise TypeError("display_id required for update_display")
        if clear:
            self.clear_output(wait=True)
        given = os.urandom(16).hex() if display_id is True else display_id
        for value in values:
            data: Any = value if raw else bundle(value)
            if data is not None:
                self._show(data, _spelled(given), update)
        return None if given is None else DisplayHandle(self, given)

    def update_display(self, obj: object, *, display_id: object, **options: Any) -> None:
        """Replace the display that has this id by an object."""
        self.display(obj, display_id=display_id, **{**options, "update": True})

    def publish(
        self,
        data: Mapping[str, object],
        metadata: object = None,
        *,
        transient: Mapping[str, object] | None = None,
        update: bool = False,
        **_options: object,
    ) -> None:
        """Show a MIME bundle, as `publish_display_data`."""
        self._show(data, _spelled((transient or {}).get("display_id")), update)

    def clear_output(self, wait: bool = False) -> None:
        """Empty the cell, with `wait` when the next output comes."""
        self._clear(bool(wait))

    def names(self, module: str) -> Dict[str, object]:
        """The contents of the module of that name."""
        found: Dict[str, object] = {"get_ipython": lambda: None, "display": self.display}
        if module == _MODULE:
            shown = (DisplayObject, HTML, Markdown, Latex, Math, SVG, JSON, Javascript, Image)
            found.update({kind.__name__: kind for kind in (*shown, DisplayHandle)})
            found.update(update_display=self.update_display, clear_output=self.clear_output)
            found.update(publish_display_data=self.publish)
            found.update({f"display_{kind.__name__.lower()}": self._of(kind) for kind in shown[1:]})
        return found

    def _of(self, kind: Callable[[object], object]) -> Callable[..., None]:
        def display(*values: object, raw: bool = False, **_options: object) -> None:
            self.display(*(kind(value) if raw else value for value in values))

        return display


def _spelled(display_id: object) -> str:
    return "" if display_id is None else str(display_id)


def install(displays: Displays) -> None:
    """Make `IPython.display` importable if no IPython is found."""
    sys.meta_path.append(_Finder(displays))


@contextmanager
def uninstalled() -> Iterator[None]:
    """Remove the imported stand-in, as an IPython has been installed since; put it back if the body fails."""
    removed = {name: sys.modules[name] for name in (_PACKAGE, _MODULE) if name in sys.modules and _is_ours(name)}
    for name in removed:
        del sys.modules[name]
    try:
        yield
    except BaseException:
        for name, module in removed.items():
            sys.modules.setdefault(name, module)
        raise


def _is_ours(name: str) -> bool:
    return isinstance(getattr(sys.modules[name].__spec__, "loader", None), _Finder)


class _Finder:
    """A module finder that comes after all others."""

    def __init__(self, displays: Displays) -> None:
        self._displays = displays

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=name == _PACKAGE) if name in (_PACKAGE, _MODULE) else None  # type: ignore[arg-type]  # a loader needs no more

    def create_module(self, spec: ModuleSpec) -> None:
        """Create the module as usual."""

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module).update(self._displays.names(module.__name__))
