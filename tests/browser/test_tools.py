"""The tools below the panel's table in JupyterLab, on the embedded service: what a user does with a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.panels import PanelPage, axe, write
from tests.browser.tools import TerminalPage, open_terminal

CELLS = [
    "%load_ext runloop_jupyter\n%devbox create --name analysis\n%devbox create --name doomed",
    "import runloop_jupyter\npanel = runloop_jupyter.panel()\npanel",
    "%%devbox exec --on analysis\nfor n in $(seq 600); do echo line $n; sleep 0.05; done",
    "panel.close()",
]
PASTE = """(area) => {
    const data = new DataTransfer();
    data.setData('text/plain', 'echo "pasted $((20 + 3)) ünï"');
    area.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def shown(browser, lab: str, lab_folder: Path):
    """One notebook with its panel, for all tests of this file."""
    page = browser.new_page(viewport={"width": 1280, "height": 1500})
    notebook = PanelPage(page, lab, write(lab_folder, "tools.ipynb", CELLS))
    page.keyboard.press("Control+b")
    notebook.run(0)
    notebook.wait_until_finished()
    notebook.run(1)
    notebook.shows("analysis", "running")
    yield notebook
    page.close()


@pytest.fixture(scope="module")
def terminal(shown: PanelPage) -> TerminalPage:
    """A terminal, which the tests of this file use one after the other."""
    assert shown.page.evaluate("'__runloopXterm' in globalThis") is False  # it comes when a terminal is opened
    return open_terminal(shown, "analysis")


def test_a_shell_shows_colours_and_takes_every_key(shown: PanelPage, terminal: TerminalPage) -> None:
    terminal.run("printf '\\033[1;31mR%s\\033[0m %s\\n' ED 'ABM ünï →'")
    terminal.shows("ABM ünï →")
    bold = terminal.rows.locator("span.xterm-bold", has_text="RED")
    assert bold.evaluate("span => getComputedStyle(span).color") == "rgb(211, 47, 47)"  # bright, as it is bold
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(len(CELLS))  # no key was the notebook's


def test_text_is_pasted(terminal: TerminalPage) -> None:
    terminal.root.locator(".xterm-helper-textarea").evaluate(PASTE)
    terminal.shows("$((20 + 3)) ünï")
    terminal.run("")
    terminal.shows("pasted 23 ünï")


def test_the_shell_has_the_size_of_the_view_and_follows_it(terminal: TerminalPage) -> None:
    terminal.run("clear; echo size=$(stty size)=; trap 'echo now $(stty size)' WINCH")
    terminal.shows("size=2")
    rows, cols = terminal.rows.inner_text().split("size=")[1].split("=")[0].split()
    assert int(cols) > 100
    terminal.root.evaluate("root => { root.style.width = '400px'; }")
    terminal.run("")
    terminal.shows(f"now {rows} 4")
    terminal.root.evaluate("root => { root.style.width = ''; }")
    terminal.shows(f"now {rows} {cols}")


def test_a_program_of_the_whole_screen_leaves_it_as_it_was(terminal: TerminalPage) -> None:
    terminal.run("clear; trap - WINCH; echo before")
    terminal.run("vi /tmp/note")
    terminal.shows("~")
    terminal.lacks("before")
    terminal.page.keyboard.type("iwritten ")
    terminal.page.keyboard.press("Escape")
    terminal.run(":wq")
    terminal.shows("before")
    terminal.run("cat /tmp/note | rev")
    terminal.shows("nettirw")


def test_the_keyboard_leaves_it_and_axe_finds_nothing(shown: PanelPage, terminal: TerminalPage) -> None:
    terminal.root.locator(".xterm-helper-textarea").focus()
    shown.page.keyboard.press("Shift+Escape")
    reader = terminal.root.get_by_role("button", name="Screen reader mode")
    expect(reader).to_be_focused()
    assert axe(shown.page, ".rlt-terminal") == []
    shown.page.keyboard.press("Space")
    expect(reader).to_have_attribute("aria-pressed", "true")
    terminal.run("echo read-$((40 + 2))")
    expect(terminal.root.locator(".xterm-accessibility")).to_contain_text("read-42")
    reader.click()


def test_it_answers_while_a_cell_streams(shown: PanelPage, terminal: TerminalPage) -> None:
    shown.run(2)
    shown.wait_for_output(2, "line 5\n")
    terminal.run("clear; echo meanwhile-$((1 + 1))")
    terminal.shows("meanwhile-2", seconds=5)
    assert "line 600" not in shown.outputs()[2], "the cell still ran meanwhile"
    shown.menu("Kernel", "Interrupt Kernel")
    shown.wait_until_finished()


def test_a_page_that_is_loaded_again_has_the_same_shell(shown: PanelPage, terminal: TerminalPage) -> None:
    terminal.run("clear; kept=yes; echo kept-$((1 + 2))")
    terminal.shows("kept-3")
    shown.page.keyboard.press("Control+s")  # goes to the shell, which stops printing
    shown.page.keyboard.press("Control+q")
    shown.page.locator(".jp-NotebookPanel-toolbar [data-command='docmanager:save']").click()
    expect(shown.page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    shown.page.reload()
    shown.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    terminal.shows("kept-3", seconds=30)
    terminal.run("echo still-$kept")
    terminal.shows("still-yes")


def test_a_terminal_that_is_closed_leaves_its_shell_to_the_next_one(shown: PanelPage, terminal: TerminalPage) -> None:
    shown.panel.get_by_role("button", name="Close Terminal").click()
    shown.told("runs on for a while")
    expect(terminal.root).to_have_count(0)  # the shell is found again, and what was asked of the first is not answered
    again = open_terminal(shown, "analysis")
    again.is_("this shell ran on")
    again.run("echo again-$kept")
    again.shows("again-yes")
    again.run("exit")
    again.is_("The shell has ended")
    again.root.get_by_role("button", name="New shell").click()
    again.is_("Connected")
    again.run("echo new-$kept-")
    again.shows("new--")


def test_a_devbox_that_is_shut_down_is_said_in_its_terminal(shown: PanelPage) -> None:
    doomed = open_terminal(shown, "doomed")
    shown.menu_of("doomed", "Shut down…")
    shown.answer("Shut down")
    expect(doomed.root.locator(".rlt-problem")).to_contain_text("shut down")
    expect(doomed.root.get_by_role("button", name="Connect again")).to_be_visible()


def test_closing_the_panel_closes_its_terminals(shown: PanelPage) -> None:
    expect(shown.page.locator(".rlt-terminal")).to_have_count(2)
    shown.run(3)
    expect(shown.page.locator(".rlt-terminal")).to_have_count(0)
