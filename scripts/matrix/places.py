"""The places, each with what is installed for it and how it is driven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.browser.lab import FrontEnd

from .batch import drive_batch
from .browser import drive_jupyter
from .marimo_page import drive_marimo
from .plain import drive_plain
from .terminals import drive_terminal
from .vscode import drive_vscode

Answers = tuple[dict[str, str], list[str]]
Drive = Callable[[str, Path], Answers]
"""Drives a place in an environment, whose Python is given, with a home folder of its own."""


@dataclass(frozen=True)
class Place:
    """Where the product is used: `packages` are installed beside it, `shown` are those whose versions are told."""

    title: str
    drive: Drive
    packages: tuple[str, ...]
    shown: tuple[str, ...]
    python: str = ""
    """The version of Python; that of the environment in which this runs, unless told."""
    notes: tuple[str, ...] = ()


def _jupyter(python: str, home: Path, *, module: str = "jupyterlab", path: str = "lab/tree", base: str = "") -> Answers:
    return drive_jupyter(FrontEnd(python=python, module=module, path=path, base=base), home)


def _terminal(python: str, home: Path, *, module: str, options: tuple[str, ...] = ()) -> Answers:
    return drive_terminal([python, "-m", module, *options], home)


def _batch(python: str, home: Path, *, command: tuple[str, ...], output: str) -> Answers:
    return drive_batch(python, [*command], output, home)


_NOTEBOOK = partial(_jupyter, module="notebook", path="notebooks")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
_NO_MAGICS = "There are no magics: `runloop_jupyter.exec`, `sdk` and `panel` do what they do."
_FOR_OTHERS = (
    "In the page that ran the cell. In others a widget is text, as ipywidgets' own are, and a status line may stay "
    "above the output; the saved notebook has it right."
)
_NO_TOOLS = "The panel has no tools, as the terminal, in marimo: it shows no widget that is made after a cell has run."
_SAVED = "It runs a notebook that nobody watches: what is live elsewhere is saved as text or as a table."


PLACES: dict[str, Place] = {
    "lab": Place("JupyterLab, newest", _jupyter, ("jupyterlab",), ("jupyterlab", "ipykernel")),
    "lab-4.4": Place("JupyterLab, oldest", _jupyter, ("jupyterlab==4.4.*",), ("jupyterlab", "ipykernel")),
    **{
        f"python-{version}": Place(
            f"Python {version}, with JupyterLab", _jupyter, ("jupyterlab",), ("jupyterlab", "ipykernel"), version
        )
        for version in VERSIONS[1:]
    },
    "ipykernel-6": Place(
        "JupyterLab, ipykernel 6", _jupyter, ("jupyterlab", "ipykernel==6.*"), ("jupyterlab", "ipykernel")
    ),
    "notebook": Place("Notebook 7, newest", _NOTEBOOK, ("notebook",), ("notebook", "ipykernel")),
    "notebook-7.4": Place("Notebook 7, oldest", _NOTEBOOK, ("notebook==7.4.*",), ("notebook", "ipykernel")),
    "nbclassic": Place(
        "nbclassic", partial(_jupyter, module="nbclassic"), ("nbclassic", "ipykernel"), ("nbclassic", "ipykernel")
    ),
    "prefix": Place(
        "JupyterLab behind a prefix, as JupyterHub has it",
        partial(_jupyter, base="/user/ada"),
        ("jupyterlab",),
        ("jupyterlab", "ipykernel"),
    ),
    "collaboration": Place(
        "JupyterLab with real-time collaboration",
        _jupyter,
        ("jupyterlab", "jupyter-collaboration"),
        ("jupyterlab", "jupyter-collaboration"),
        notes=(_FOR_OTHERS,),
    ),
    "vscode": Place(
        "VS Code's widget manager",
        drive_vscode,
        ("ipykernel", "jupyter-server"),
        ("ipykernel",),
        notes=("VS Code's own widget manager, 1.0.9, in a page of the test in its dark colours; not VS Code itself.",),
    ),
    "ipython": Place(
        "IPython in a terminal",
        partial(_terminal, module="IPython", options=("--no-banner", "--no-confirm-exit", "--colors=NoColor")),
        (),
        ("ipython",),
    ),
    "console": Place(
        "jupyter console",
        partial(_terminal, module="jupyter_console", options=("--no-confirm-exit",)),
        ("jupyter-console",),
        ("jupyter-console", "ipykernel"),
    ),
    "papermill": Place(
        "papermill",
        partial(_batch, command=("papermill", "in.ipynb", "out.ipynb"), output="out.ipynb"),
        ("papermill", "ipykernel"),
        ("papermill", "ipykernel"),
        notes=(_SAVED,),
    ),
    "nbconvert": Place(
        "nbconvert",
        partial(
            _batch, command=("nbconvert", "--execute", "--to", "html", "in.ipynb", "--output", "out"), output="out.html"
        ),
        ("nbconvert", "ipykernel"),
        ("nbconvert", "ipykernel"),
        notes=(_SAVED,),
    ),
    "jupytext": Place(
        "jupytext",
        partial(
            _batch,
            command=("jupytext", "--execute", "--to", "ipynb", "in.ipynb", "-o", "out.ipynb"),
            output="out.ipynb",
        ),
        ("jupytext", "nbconvert", "ipykernel"),
        ("jupytext", "ipykernel"),
        notes=(_SAVED,),
    ),
    "myst-nb": Place(
        "myst-nb",
        partial(_batch, command=("sphinx", "-q", "-b", "html", ".", "out"), output="out/in.html"),
        ("myst-nb", "sphinx", "ipykernel"),
        ("myst-nb", "sphinx"),
        notes=(_SAVED,),
    ),
    "marimo": Place("marimo", drive_marimo, ("marimo",), ("marimo",), notes=(_NO_MAGICS, _NO_TOOLS)),
    **{
        f"plain-{version}": Place(f"Python {version}, a script", drive_plain, (), (), version, (_NO_MAGICS,))
        for version in VERSIONS
    },
}
