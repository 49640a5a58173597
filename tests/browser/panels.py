"""The resource panel in a notebook in JupyterLab, as a user works it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Notebook

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


def write(folder: Path, name: str, cells: list[str]) -> str:
    """A notebook with these cells."""
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=KERNEL), folder / name)
    return name


class PanelPage(Notebook):
    """A notebook whose cells show panels; `view` says which of them is meant."""

    view = 0

    @property
    def panel(self) -> Locator:
        """The panel."""
        return self.page.locator(".rl-panel").nth(self.view)

    def run(self, index: int) -> None:
        """Run one cell, without waiting for its end."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def row(self, name: str) -> Locator:
        """The row of a resource."""
        return self.panel.locator(".rl-row:not([hidden])", has_text=name)

    def shows(self, name: str, text: str, seconds: float = 20) -> None:
        """Wait until the row of a resource has a text."""
        expect(self.row(name)).to_contain_text(text, timeout=seconds * 1000)

    def lacks(self, name: str, seconds: float = 20) -> None:
        """Wait until there is no such row."""
        expect(self.row(name)).to_have_count(0, timeout=seconds * 1000)

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

    def told(self, text: str, seconds: float = 20) -> None:
        """Wait until the panel says something."""
        expect(self.panel.locator(".rl-toast", has_text=text).first).to_be_visible(timeout=seconds * 1000)


@contextmanager
def many_devboxes(count: int) -> Iterator[str]:
    """The URL of a service with so many devboxes."""
    command = [sys.executable, "-m", "tests.jupyter.panel.moody", str(count)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def axe(page: Page, within: str = ".rl-panel") -> list[str]:
    """What is wrong with a part of the page for people who cannot see or use a mouse, by the rules of axe-core."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=within).response["violations"]
    return [f"{v['id']}: {n['html'][:200]} {n['failureSummary'][:300]}" for v in found for n in v["nodes"]]
