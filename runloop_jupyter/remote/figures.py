"""Connects plotting libraries to the notebook: plotly's `fig.show()`, bokeh's `show(p)`, altair's `chart.show()`.

Each library is configured once a cell has imported it; none is imported here. A figure is sent with the scripts that
draw it, because it is shown in a frame without a network.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable, Dict, Mapping
from urllib.parse import unquote, urlsplit

_TIMEOUT = 5.0  # seconds that a server in the devbox has to answer
_HEIGHT = 450  # plotly's own, for figures that say none
Show = Callable[[Mapping[str, object]], None]
"""Takes a MIME bundle."""
Hook = Callable[[ModuleType], None]
"""Configures a module that has just been imported."""


def connect(show: Show) -> Callable[[], None]:
    """Have figures shown by `show` from now on, unless the user's environment says otherwise.

    Returns a function to call at the end of each cell: it shows the pages that were fetched meanwhile.
    """
    browser = _Browser(show)
    os.environ.setdefault("BOKEH_RESOURCES", "inline")
    hooks: Dict[str, Hook] = {"bokeh.io": lambda module: _configure_bokeh(module, show)}
    if "PLOTLY_RENDERER" not in os.environ:
        hooks["plotly.io._renderers"] = lambda module: _configure_plotly(module, show)
    if "BROWSER" not in os.environ:
        hooks["webbrowser"] = lambda module: module.register("notebook", None, browser, preferred=True)
    sys.meta_path.insert(0, _ImportHooks(hooks))
    return browser.show_fetched


class _ImportHooks:
    """A module finder that leaves finding to the others, and calls a hook once a module has been imported."""

    def __init__(self, hooks: Dict[str, Hook]) -> None:
        self._hooks = hooks

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        hook = self._hooks.pop(name, None)  # removed, as the search below asks all finders, this one too
        if hook is None:
            return None
        found = importlib.util.find_spec(name)
        if found is not None and found.loader is not None:
            load = found.loader.exec_module

            def load_and_configure(module: ModuleType) -> None:
                load(module)
                hook(module)

            found.loader.exec_module = load_and_configure  # type: ignore[method-assign]
        return found


def _configure_plotly(module: ModuleType, show: Show) -> None:
    from plotly.io.base_renderers import ExternalRenderer  # type: ignore[import-not-found, unused-ignore]

    class Notebook(ExternalRenderer):  # type: ignore[misc, unused-ignore]
        def render(self, fig: object) -> None:
            from plotly.io import to_html  # type: ignore[import-not-found, unused-ignore]

            show({"text/html": to_html(fig, default_height=_HEIGHT, validate=False), "text/plain": "plotly figure"})

    module.renderers["browser"] = Notebook()
    module.renderers.default = "browser"


def _configure_bokeh(module: ModuleType, show: Show) -> None:
    def load(*_arguments: object) -> None:
        """Load nothing: each figure contains its library."""

    def show_document(obj: object, state: object, notebook_handle: object = None) -> None:
        from bokeh.embed import file_html  # type: ignore[import-not-found, unused-ignore]
        from bokeh.resources import INLINE  # type: ignore[import-not-found, unused-ignore]

        show({"text/html": file_html(obj, INLINE, ""), "text/plain": "bokeh figure"})

    def show_application(*_arguments: object, **_options: object) -> None:
        raise NotImplementedError("a bokeh application needs its server: run it in the devbox, with a tunnel to it")

    module.install_notebook_hook("jupyter", load, show_document, show_application, overwrite=True)


class _Browser:
    """A browser for `webbrowser`: it shows the page of a file, and prints other addresses.

    A page that a server in the devbox serves is fetched in a thread and shown at the end of the cell: some libraries
    start a server that answers one request, in the cell's own thread, after they have opened the browser.
    """

    name = "notebook"

    def __init__(self, show: Show) -> None:
        self._show = show
        self._fetching: Dict[threading.Thread, Dict[str, str]] = {}

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        parts = urlsplit(url)
        data = {"text/plain": url}
        if parts.hostname in ("127.0.0.1", "localhost", "::1"):
            thread = threading.Thread(target=_fetch, args=(url, data), daemon=True)
            self._fetching[thread] = data
            thread.start()
            return True
        if parts.scheme in ("", "file"):
            try:
                with open(unquote(parts.path), encoding="utf-8") as file:
                    data["text/html"] = file.read()
            except (OSError, ValueError):
                return False
        self._show(data)
        return True

    def show_fetched(self) -> None:
        fetching, self._fetching = self._fetching, {}
        for thread, data in fetching.items():
            thread.join(_TIMEOUT)
            self._show(dict(data))

    def open_new(self, url: str) -> bool:
        return self.open(url, 1)

    def open_new_tab(self, url: str) -> bool:
        return self.open(url, 2)


def _fetch(url: str, data: Dict[str, str]) -> None:
    """Add the page at an address of this devbox to the bundle."""
    from urllib.request import ProxyHandler, build_opener

    with suppress(OSError, ValueError):
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT) as answer:
            if answer.headers.get_content_type() == "text/html":
                data["text/html"] = answer.read().decode("utf-8", "replace")
