"""marimo, whose notebooks are Python without magics."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.browser.lab import end, free_port, open_browser, wait_until_served

from .browser import PageSheet
from .home import environ
from .notebook import NAP, Driver

CELLS = {
    "load": "import runloop_jupyter\nsdk = await runloop_jupyter.sdk()\nbox = await sdk.devbox.create(name='matrix')\n"
    "print('Created', 'matrix')",
    "exec": "await runloop_jupyter.exec('echo from $((40 + 2))', devbox=box.id)",
    "stop": f"await runloop_jupyter.exec('echo be\"\"gun; sleep {NAP}', devbox=box.id)",
    "panel": "box; runloop_jupyter.panel()",
    "progress": "steps = 'for n in 1 2 3 4; do printf \"\\\\rstep %d of 4\" $n; sleep 1; done; echo'\n"
    "await runloop_jupyter.exec(steps, devbox=box.id)",
}
"""There are no cells for `python` and `terminal`, which are magics."""


class MarimoSheet(PageSheet):
    """In marimo's editor."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(address)
        page.locator(".marimo-cell .cm-content").last.wait_for(timeout=90_000)
        page.wait_for_timeout(2000)  # the editor is made twice

    def cell(self, check: str) -> Locator:
        """A cell with its output."""
        return self.page.locator(".marimo-cell").nth([*CELLS].index(check))

    def run(self, check: str) -> None:
        """Run a cell."""
        self.cell(check).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(500)

    def ended(self, check: str) -> bool:
        """Whether no cell runs or waits."""
        states = self.page.locator("[data-testid=cell-status]")
        return not {"running", "queued"} & {each.get_attribute("data-status") for each in states.all()}

    def output(self, check: str) -> str:
        """The text of a cell, its code included."""
        return self.cell(check).inner_text()

    def interrupt(self) -> None:
        """Stop, by the button."""
        self.page.locator("[data-testid=interrupt-button]").click()


def drive_marimo(python: str, home: Path) -> tuple[dict[str, str], list[str]]:
    """The answers of marimo."""
    with open_browser() as browser, serve_marimo(python, home) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1800})
        page.set_default_timeout(30_000)
        sheet = MarimoSheet(page, address)
        answers, problems = Driver(sheet).check_all(CELLS)
        page.screenshot(path=home / "page.png")
    return {**answers, "python": "no", "terminal": "no"}, problems


@contextmanager
def serve_marimo(python: str, home: Path) -> Iterator[str]:
    """marimo with a notebook of `CELLS`; gives its address."""
    (home / "notebook.py").write_text(_source())
    port = free_port()
    options = ["--headless", "--no-token", "--skip-update-check", "--port", str(port)]
    command = [python, "-m", "marimo", "edit", "notebook.py", *options]
    # marimo keeps something in the folder for state, which the service wants for itself alone.
    env = {**environ(home), "XDG_STATE_HOME": str(home / "marimo")}
    with (home / "marimo.log").open("wb") as log:
        server = subprocess.Popen(command, env=env, cwd=home, stdout=log, stderr=log)
        try:
            wait_until_served(f"http://127.0.0.1:{port}", server, home / "marimo.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(server)


def _source() -> str:
    cells = (f"@app.cell\nasync def _():\n{_indented(code)}\n    return\n" for code in CELLS.values())
    return "import marimo\n\napp = marimo.App()\n\n\n" + "\n\n".join(cells)


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
