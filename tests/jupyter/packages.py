"""Packages in a devbox's Python: IPython as it is here, and stand-ins for libraries that draw."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from tests.jupyter.kernels import Kernel

PLOTTING = {
    # As plotly has it: renderers by name, of which the default one is asked by `show` and by the figure itself.
    "plotly/__init__.py": "",
    "plotly/graph_objects.py": """
import plotly.io
class Figure:
    def __init__(self, name="bar"): self.name = name
    def show(self, renderer=None): plotly.io.show(self, renderer)
    def _ipython_display_(self):
        if plotly.io.renderers.default: self.show()
        else: print(repr(self))
""",
    "plotly/io/__init__.py": """
from plotly.io._renderers import renderers, show
def to_html(fig, include_plotlyjs=True, default_height="100%", validate=True):
    assert include_plotlyjs is True
    return f"<html><body><script>/* plotly.js */ draw({fig.name!r})</script></body></html>"
""",
    "plotly/io/base_renderers.py": """
class ExternalRenderer:
    def render(self, fig): raise NotImplementedError
""",
    "plotly/io/_renderers.py": """
import webbrowser
class Renderers(dict):
    default = None
renderers = Renderers()
def show(fig, renderer=None):
    name = renderer or renderers.default
    if name: renderers[name].render(fig)
try:
    webbrowser.get()
    renderers.default = "browser"
except webbrowser.Error:
    pass
""",
    # As bokeh has it: a hook for the notebook, once `output_notebook` was called; otherwise a file and a browser.
    "bokeh/__init__.py": "",
    "bokeh/resources.py": "INLINE = 'inline'",
    "bokeh/embed.py": """
def file_html(obj, resources, title):
    assert resources == "inline"
    return f"<html><body><script>/* bokeh.js */ draw({obj!r})</script></body></html>"
""",
    "bokeh/io/__init__.py": """
import os, tempfile, webbrowser
from bokeh.embed import file_html
hooks, notebook = {}, []
def install_notebook_hook(kind, load, show_doc, show_app, overwrite=False):
    if kind in hooks and not overwrite: raise RuntimeError(kind)
    hooks[kind] = {"load": load, "doc": show_doc}
def output_notebook():
    notebook.append("jupyter")
    hooks["jupyter"]["load"]("resources", False, False, 5000)
def show(obj):
    if notebook:
        return hooks[notebook[0]]["doc"](obj, "state", None)
    with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False) as file:
        file.write(file_html(obj, os.environ.get("BOKEH_RESOURCES", "cdn"), ""))
    webbrowser.open(f"file://{file.name}")
def publish(*_): from IPython.display import publish_display_data
install_notebook_hook("jupyter", publish, publish, publish)
""",
    # As altair has it: charts that IPython displays; their scripts are inside where vl_convert is.
    "altair/__init__.py": """
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
class Chart:
    inline = True
    def __repr__(self): return "alt.Chart(...)"
    def _repr_mimebundle_(self, include=None, exclude=None): return {"text/html": self.to_html()}
    def to_html(self, inline=False):
        if inline and not self.inline: raise ImportError("vl_convert is not installed")
        return f"<style>p {{}}</style><div><script>/* {'vega.js' if inline else 'cdn'} */ draw('chart')</script></div>"
    def show(self): self.display()
    def display(self):
        from IPython.display import display
        display(self)
    def in_browser(self):
        page = self.to_html(inline=True).encode()
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-type", "text/html")
                self.end_headers()
                self.wfile.write(page)
            def log_message(self, *_): pass
        server = HTTPServer(("127.0.0.1", 0), Handler)
        webbrowser.open(f"http://127.0.0.1:{server.server_port}")
        server.handle_request()
""",
}


def put(kernel: Kernel, archive: Path) -> None:
    """Unpack an archive of packages where the devbox's Python finds them."""
    kernel.run(f"%devbox upload {archive} packages.tar").check()
    kernel.run(
        "%%devbox exec --quiet\nfolder=$(python3 -m site --user-site)\n"
        'mkdir -p "$folder" && tar -xf packages.tar -C "$folder" && rm packages.tar'
    ).check()


def written(files: Mapping[str, str], target: Path) -> Path:
    """An archive of these modules."""
    with tarfile.open(target, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    return target


def ipython(target: Path) -> Path:
    """An archive of the IPython that runs here, with all that it needs."""
    with tarfile.open(target, "w") as archive:
        for name in sorted(_needed("ipython", set())):
            for path, file in _files(name):
                archive.add(file, path, recursive=False)
    return target


def _needed(name: str, found: set[str]) -> set[str]:
    """The names of a distribution and of those that it requires."""
    found.add(name)
    for line in metadata.requires(name) or []:
        wanted = Requirement(line)
        needed = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if needed and wanted.name not in found:
            _needed(wanted.name, found)
    return found


def _files(name: str) -> Iterator[tuple[str, Path]]:
    for path in metadata.files(name) or []:
        file = Path(str(path.locate()))
        if path.suffix != ".pyc" and ".." not in path.parts and file.is_file():
            yield str(path), file
