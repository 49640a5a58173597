"""Widgets on a page that is too busy to load their modules in time, in JupyterLab.

anywidget waits two seconds for a widget's module. Where that takes longer, it drops all that comes from the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.panels import PanelPage, SharedPanel, write
from tests.browser.tools import ConsolePage, TerminalPage

# A page that is busy itself makes a race of it: the module comes first afterwards, or the end of the two seconds.
LATE = """
const make = URL.createObjectURL;
const late = "\\nawait new Promise((resolve) => setTimeout(resolve, 2600));";
URL.createObjectURL = (blob) => {
    const { type } = blob;
    return make.call(URL, type === "text/javascript" ? new Blob([blob, late], { type }) : blob);
};
"""
PLAIN = """import anywidget
class Plain(anywidget.AnyWidget):
    _esm = "export default { render({ el }) { el.textContent = 'a plain widget'; } }"
plain = Plain()
plain"""
CELLS = [
    "%load_ext runloop_jupyter\n%devbox create --name analysis",
    "import runloop_jupyter\npanel = runloop_jupyter.panel()\npanel",
    "%devbox pty",
    "panel",
    PLAIN,
]


@pytest.fixture(scope="module")
def shared(browser: Browser, lab: str, lab_folder: Path) -> Iterator[SharedPanel]:
    """A notebook with a panel, on a page where every module is late."""

    def opened() -> PanelPage:
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        page.add_init_script(LATE)
        notebook = PanelPage(page, lab, write(lab_folder, "busy.ipynb", CELLS))
        page.keyboard.press("Control+b")
        notebook.run(0)
        notebook.wait_until_finished()
        notebook.run(1)
        notebook.shows("analysis", "running")
        return notebook

    shared = SharedPanel(opened)
    yield shared
    shared.close()


@pytest.fixture
def shown(shared: SharedPanel, request: pytest.FixtureRequest) -> Iterator[PanelPage]:
    """The notebook, without any tool below the table."""
    with shared.lend(request.session) as notebook:
        yield notebook


def test_the_page_is_too_busy_for_a_plain_widget(shown: PanelPage) -> None:
    # Once this fails, anywidget has mended it, and `hearKernel` has nothing to do any more.
    with shown.page.expect_event("pageerror") as error:
        shown.run(4)
    assert error.value.message == "[anywidget] Failed to initialize model."


def test_the_panel_takes_clicks_and_shows_changes(shown: PanelPage) -> None:
    shown.menu_of("analysis", "Suspend")
    shown.shows("analysis", "suspended")
    shown.menu_of("analysis", "Resume")
    shown.shows("analysis", "running")


def test_a_second_view_of_the_panel_is_live(shown: PanelPage) -> None:
    shown.run(3)
    shown.view = 1
    shown.shows("analysis", "running")
    shown.view = 0


def test_a_terminal_of_its_own_connects(shown: PanelPage) -> None:
    shown.run(2)
    terminal = TerminalPage(shown.cell(2).locator(".rl-terminal"))
    terminal.is_("Connected")
    terminal.prompts()
    terminal.run("echo $((20 + 3))")
    terminal.shows("23")


def test_tools_of_the_panel_connect(shown: PanelPage) -> None:
    shown.menu_of("analysis", "Run a command")
    console = ConsolePage(shown.cell(1).locator(".rl-console:visible"))
    console.run("echo $((20 + 3))")
    console.shows("23")
