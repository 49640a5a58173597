"""The resource panel in a notebook in JupyterLab, as a user works it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Notebook
from tests.waiting import PATIENCE, wait_until

LIGHT = "JupyterLab Light"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


def write(folder: Path, name: str, cells: list[str]) -> str:
    """A notebook with these cells."""
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=KERNEL), folder / name)
    return name


class PanelPage(Notebook):
    """A notebook whose cells show panels; `view` says which of them is meant."""

    view = 0
    spent = False
    """Whether it is of no use to another test."""

    @property
    def panel(self) -> Locator:
        """The panel."""
        return self.page.locator(".rl-panel").nth(self.view)

    def run(self, index: int) -> None:
        """Run one cell, without waiting for its end."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    @contextmanager
    def streaming(self, index: int) -> Iterator[None]:
        """Run a cell that prints `line 1` and so on until it is interrupted, as it is at the end and not before."""
        self.run(index)
        expect(self.cell(index).locator(".jp-InputPrompt")).to_contain_text("*")
        self.wait_for_output(index, "line 5\n")
        yield
        assert self.runs(index), "the cell was over before"
        self.menu("Kernel", "Interrupt Kernel")
        self.wait_until_finished()

    def row(self, name: str) -> Locator:
        """The row of a resource."""
        return self.panel.locator(".rl-row:not([hidden])", has_text=name)

    def shows(self, name: str, text: str) -> None:
        """Wait until the row of a resource has a text."""
        expect(self.row(name)).to_contain_text(text)

    def lacks(self, name: str) -> None:
        """Wait until there is no such row."""
        expect(self.row(name)).to_have_count(0)

    def tab(self, title: str) -> None:
        """Choose a tab."""
        self.panel.get_by_role("tab", name=title).click()

    def menu_of(self, name: str, entry: str) -> None:
        """Choose from the menu of a row."""
        self.row(name).locator(".rl-more").click()
        self.panel.get_by_role("menuitem", name=entry).click()

    def answer(self, label: str) -> None:
        """Answer the question that is open."""
        self.panel.locator(".rl-dialog").get_by_role("button", name=label, exact=True).click()

    def fill(self, **values: str) -> None:
        """Fill in the form that is open."""
        for name, value in values.items():
            self.panel.locator(f".rl-form [name={name}]").fill(value)

    def submit(self) -> None:
        """Send the form that is open."""
        self.panel.locator(".rl-form button[type=submit]").click()

    def close_tools(self) -> None:
        """Close the tools that are open below the table."""

        def none_is_open() -> bool:
            self.panel.locator(".rl-tool-close").evaluate_all("all => all.forEach(each => each.click())")
            return self.panel.locator(".rl-tool-close").count() == 0

        wait_until(none_is_open, "the tools to be closed")

    def told(self, text: str) -> None:
        """Wait until the panel says something."""
        expect(self.panel.locator(".rl-toast", has_text=text).first).to_be_visible()


def open_panel(page: Page, address: str, name: str) -> PanelPage:
    """Open a notebook whose first cell makes the devbox `analysis` and whose second shows the panel, and run both."""
    notebook = PanelPage(page, address, name)
    page.keyboard.press("Control+b")
    notebook.run(0)
    notebook.wait_until_finished()
    notebook.run(1)
    expect(notebook.row("analysis")).to_have_count(1)
    notebook.shows("analysis", "running")
    return notebook


class SharedPanel:
    """A notebook with a panel that the tests of a file share until one fails: what that leaves behind goes with it.

    `opened` opens it. Each test finds it in JupyterLab's light theme, and without tools below the table.
    """

    def __init__(self, opened: Callable[[], PanelPage]) -> None:
        self._opened = opened
        self._notebook: PanelPage | None = None

    @contextmanager
    def lend(self, session: pytest.Session) -> Iterator[PanelPage]:
        """The notebook for one test."""
        failures = session.testsfailed
        notebook = self._notebook = self._notebook or self._opened()
        if notebook.page.locator("body").get_attribute("data-jp-theme-name") != LIGHT:
            choose_theme(notebook, LIGHT)
        notebook.close_tools()
        yield notebook
        if session.testsfailed > failures or notebook.spent:
            self.close()

    def close(self) -> None:
        """Close it, and end its kernel with all that this owns."""
        if self._notebook is not None:
            notebook, self._notebook = self._notebook, None
            notebook.end_kernels()
            notebook.page.close()


@contextmanager
def many_devboxes(count: int) -> Iterator[str]:
    """The URL of a service with so many devboxes."""
    command = [sys.executable, "-m", "tests.jupyter.panel.faulty_service", str(count)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()


# What an animation is like is asked for and its end is not awaited: one whose cell was scrolled out of sight never says
# that it has ended, since the browser leaves out what JupyterLab marks with `content-visibility`.
MOVES = """root => document.getAnimations().some(({ playState, effect }) => playState === "running"
    && effect.getComputedTiming().endTime !== Infinity
    && (root.contains(effect.target) || effect.target?.contains(root)))"""


def choose_theme(notebook: Notebook, theme: str) -> None:
    """Choose a theme of JupyterLab, and wait until it has come: JupyterLab hides all for a moment after it."""
    notebook.menu("Settings", "Theme", theme)
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    expect(notebook.page.locator(".jp-LabShell")).to_be_visible()


VSCODE = {
    "vscode-dark": """--vscode-editor-background: #1f1f1f; --vscode-foreground: #ccc;
        --vscode-input-background: #313131;
        --vscode-editorWidget-background: #202020; --vscode-focusBorder: #0078d4; --vscode-button-background: #0078d4;
        --vscode-button-foreground: #fff; --vscode-textLink-foreground: #4daafc; --vscode-errorForeground: #f85149;
        --vscode-testing-iconPassed: #73c991; --vscode-editorWarning-foreground: #cca700;
        --vscode-list-hoverBackground: #2a2d2e""",
    "vscode-light": """--vscode-editor-background: #fff; --vscode-foreground: #3b3b3b; --vscode-input-background: #fff;
        --vscode-editorWidget-background: #f8f8f8; --vscode-focusBorder: #005fb8; --vscode-button-background: #005fb8;
        --vscode-button-foreground: #fff; --vscode-textLink-foreground: #005fb8; --vscode-errorForeground: #f85149;
        --vscode-testing-iconPassed: #73c991; --vscode-editorWarning-foreground: #bf8803;
        --vscode-list-hoverBackground: #f2f2f2""",
    "vscode-high-contrast": """--vscode-editor-background: #000; --vscode-foreground: #fff;
        --vscode-input-background: #000; --vscode-editorWidget-background: #0c141f; --vscode-focusBorder: #f38518;
        --vscode-button-foreground: #fff; --vscode-textLink-foreground: #21a6ff; --vscode-contrastBorder: #6fc3df;
        --vscode-errorForeground: #f48771; --vscode-testing-iconPassed: #73c991;
        --vscode-editorWarning-foreground: #ffd370""",
}
"""The colours that VS Code gives to its page, by kind of theme: of Dark Modern, Light Modern and High Contrast."""


@contextmanager
def in_another_front_end(page: Page, kind: str) -> Iterator[None]:
    """JupyterLab's page told as VS Code's with this kind of theme, or as one that is plainly `dark` or `light`.

    JupyterLab's variables stay, as in every page with ipywidgets' own style sheets.
    """
    before = page.evaluate(
        """([kind, style]) => {
            const [html, body] = [document.documentElement, document.body];
            const before = [html.style.cssText, body.style.cssText, body.dataset.jpThemeLight];
            delete body.dataset.jpThemeLight;
            if (style) {
                body.dataset.vscodeThemeKind = kind;
                html.style.cssText = style;
            }
            if (kind === "dark") body.style.color = "oklch(0.9 0 0)";
            return before;
        }""",
        [kind, VSCODE.get(kind, "")],
    )
    palette = "vscode" if kind in VSCODE else kind
    expect(page.locator(f'[data-rl-palette="{palette}"] > .rl-panel').first).to_be_visible()
    yield
    page.evaluate(
        """([html, body, light]) => {
            document.documentElement.style.cssText = html;
            document.body.style.cssText = body;
            delete document.body.dataset.vscodeThemeKind;
            document.body.dataset.jpThemeLight = light;
        }""",
        before,
    )
    expect(page.locator('[data-rl-palette="jupyter"] > .rl-panel').first).to_be_visible()


def axe(page: Page, within: str = ".rl-panel") -> list[str]:
    """What is wrong with a part of the page for people who cannot see or use a mouse, by the rules of axe-core.

    It is looked at once it is in sight and nothing in it flashes or rises any more.
    """
    from axe_playwright_python.sync_playwright import Axe

    part = page.locator(within).first
    part.scroll_into_view_if_needed()
    expect(part).to_be_visible()
    wait_until(lambda: not part.evaluate(MOVES), f"{within} to come to rest")
    found = Axe().run(page, context=within).response["violations"]
    return [f"{v['id']}: {n['html'][:200]} {n['failureSummary'][:300]}" for v in found for n in v["nodes"]]
