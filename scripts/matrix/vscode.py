"""VS Code's widget manager, as its registry package has it, in a page of ours with VS Code's colours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.lab import FrontEnd, open_browser, serve_lab
from tests.browser.panels import VSCODE
from tests.environments import ROOT

from .browser import PageSheet
from .notebook import CELLS, Driver

MANAGER = "@vscode/jupyter-ipywidgets8"
PACKAGES = (f"{MANAGER}@1.0.9", "@jupyterlab/services@7", "requirejs@2", "esbuild@0.28")
PAGE = """<!doctype html><html style="{style}"><body class="vscode-dark" data-vscode-theme-kind="vscode-dark"
style="background: var(--vscode-editor-background); color: var(--vscode-foreground)">
<script src="require.js"></script><script type="module" src="page.js"></script></body></html>"""


class VSCodeSheet(PageSheet):
    """Cells that are run by the page's own script."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(f"{address}/static/page.html")
        page.wait_for_selector("body[data-ready]", state="attached", timeout=90_000)

    def run(self, check: str) -> None:
        """Run a cell."""
        self.page.evaluate("([name, code]) => runCell(name, code)", [check, CELLS[check]])

    def ended(self, check: str) -> bool:
        """Whether the kernel has answered."""
        return bool(self.page.evaluate("name => cells[name].ended", check))

    def output(self, check: str) -> str:
        """The text of a cell."""
        return str(self.page.evaluate("name => cells[name].text.textContent", check))

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.page.evaluate("() => interrupt()")


def drive_vscode(python: str, home: Path) -> tuple[dict[str, str], list[str]]:
    """The answers of VS Code's widget manager."""
    static = _bundle(home / "static")
    shutil.copytree(Path(python).parents[1] / "share" / "jupyter" / "nbextensions", static / "nbextensions")
    options = (f"--ServerApp.extra_static_paths={static}", "--ServerApp.disable_check_xsrf=True")
    server = FrontEnd(python, "jupyter_server", options=options)
    (home / "notebooks").mkdir()
    with open_browser() as browser, serve_lab(home / "notebooks", home, server) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1800})
        sheet = VSCodeSheet(page, address)
        answers = Driver(sheet).check_all()
        page.screenshot(path=home / "page.png")
    return answers


def version() -> str:
    """The version of the widget manager that is installed here."""
    package = ROOT / ".matrix" / "vscode" / "node_modules" / MANAGER / "package.json"
    return str(json.loads(package.read_text())["version"])


def _bundle(folder: Path) -> Path:
    """The page with all that it needs, made with what npm installs."""
    made, bin_ = ROOT / ".matrix" / "vscode", Path(sys.executable).parent
    folder.mkdir()
    if not (made / "node_modules" / MANAGER).exists():
        made.mkdir(parents=True, exist_ok=True)
        npm: list[str | Path] = [
            bin_ / "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            made,
            *PACKAGES,
        ]
        subprocess.run(npm, check=True, env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"})
    source = shutil.copy(Path(__file__).with_name("vscode.mjs"), made)
    esbuild = made / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--format=esm", "--loader:.svg=dataurl", f"--outfile={folder / 'page.js'}"]
    command: list[str | Path] = [esbuild, source, *options]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(made / "node_modules" / "requirejs" / "require.js", folder)
    style = " ".join(VSCODE["vscode-dark"].split())
    (folder / "page.html").write_text(PAGE.format(style=style))
    return folder
