"""Front ends with a page: JupyterLab, Notebook 7 and nbclassic, driven in Chromium."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Locator, Page

from tests.browser.lab import FrontEnd, Notebook, open_browser, serve_lab
from tests.browser.panels import write

from .notebook import CELLS, Driver, Sheet

FILE = "matrix.ipynb"
NAMES = list(CELLS)


class PageSheet:
    """What all pages have in common: the widgets."""

    page: Page

    def panel_text(self) -> str:
        """The rows of the live panel."""
        return " ".join(self.page.locator(".rl-panel .rl-row").all_inner_texts())

    def type_in_terminal(self, line: str) -> None:
        """Type a line into the live terminal."""
        self.page.locator(".rl-terminal .xterm-helper-textarea").first.focus()
        self.page.keyboard.type(f"{line}\n")

    def terminal_text(self) -> str:
        """The screen of the live terminal."""
        return " ".join(self.page.locator(".rl-terminal .xterm-rows").all_inner_texts())


class JupyterSheet(Notebook, PageSheet):
    """In JupyterLab or Notebook 7."""

    def code_cell(self, check: str) -> Locator:
        """The cell of a check."""
        return self.cell(NAMES.index(check))

    def run(self, check: str) -> None:
        """Run a cell."""
        self.code_cell(check).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(300)

    def ended(self, check: str) -> bool:
        """Whether its number stands beside it."""
        prompt = self.code_cell(check).locator(".jp-InputPrompt").inner_text()
        return "*" not in prompt and any(map(str.isdigit, prompt))

    def output(self, check: str) -> str:
        """The text below it."""
        return " ".join(self.code_cell(check).locator(".jp-Cell-outputArea").all_inner_texts())

    def interrupt(self) -> None:
        """Stop, by the menu."""
        self.menu("Kernel", "Interrupt Kernel")


class ClassicSheet(PageSheet):
    """In nbclassic."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(f"{address}/notebooks/{FILE}")
        page.wait_for_function("() => window.Jupyter?.notebook?.kernel?.is_connected()")

    def run(self, check: str) -> None:
        """Run a cell."""
        self.page.evaluate("at => Jupyter.notebook.execute_cells([at])", NAMES.index(check))

    def ended(self, check: str) -> bool:
        """Whether it has a number."""
        found = self.page.evaluate("at => Jupyter.notebook.get_cell(at).input_prompt_number", NAMES.index(check))
        return isinstance(found, int)

    def output(self, check: str) -> str:
        """The text below it."""
        return self.page.locator(".cell").nth(NAMES.index(check)).locator(".output_wrapper").inner_text()

    def interrupt(self) -> None:
        """Stop, as the button does."""
        self.page.evaluate("() => Jupyter.notebook.kernel.interrupt()")


def drive_jupyter(front_end: FrontEnd, home: Path) -> tuple[dict[str, str], list[str]]:
    """The answers of JupyterLab, Notebook 7 or nbclassic, whichever the front end is."""
    folder = home / "notebooks"
    folder.mkdir()
    write(folder, FILE, list(CELLS.values()))
    with open_browser() as browser, serve_lab(folder, home, front_end) as address:
        page = _page(browser)
        if front_end.module == "nbclassic":
            sheet: Sheet = ClassicSheet(page, address)
        else:
            sheet = JupyterSheet(page, address, FILE, front_end)
        answers = Driver(sheet).check_all()
        page.screenshot(path=home / "page.png")
    return answers


def _page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 1800})
    page.set_default_timeout(30_000)
    return page
