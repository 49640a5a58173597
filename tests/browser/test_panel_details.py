"""What makes the panel pleasant: where the keyboard is, what fits, and that nothing looks live which is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import box
from tests.browser.panels import PanelPage, SharedPanel, choose_theme, open_panel, write
from tests.waiting import wait_until

CELLS = [
    "%load_ext runloop_jupyter\n%devbox create --name analysis\n%devbox create stays --keep --keep-alive 2h --reuse",
    "import runloop_jupyter\npanel = runloop_jupyter.panel()\npanel",
    "sdk = await runloop_jupyter.sdk()\nfor n in range(6): await sdk.devbox.create(name=f'many-{n}')",
    "%devbox shutdown 'many-*' --yes",
    "import asyncio, os\nwhile not os.path.exists('go'): await asyncio.sleep(0.02)\nos.remove('go')\n"
    "other = await (await runloop_jupyter.sdk()).devbox.create(name='other')",
    "await other.shutdown()",
]


@pytest.fixture(scope="module")
def shared(browser: Browser, lab: str, lab_folder: Path) -> Iterator[SharedPanel]:
    def opened() -> PanelPage:
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        return open_panel(page, lab, write(lab_folder, "details.ipynb", CELLS))

    shared = SharedPanel(opened)
    yield shared
    shared.close()


@pytest.fixture
def shown(shared: SharedPanel, request: pytest.FixtureRequest) -> Iterator[PanelPage]:
    with shared.lend(request.session) as notebook:
        yield notebook
        notebook.page.set_viewport_size({"width": 1280, "height": 1200})


def picture(shown: PanelPage, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        shown.page.screenshot(path=f"{folder}/{name}.png")


def test_each_row_says_whose_it_is_and_when_it_ends(shown: PanelPage) -> None:
    shown.shows("analysis", "this notebook")
    shown.shows("analysis", "with this kernel")
    shown.shows("stays", "2 h")
    heads = shown.panel.get_by_role("columnheader").all_inner_texts()
    assert heads[:6] == ["", "Name", "Status", "Created", "Ends", "Owner"]
    picture(shown, "rows")


@pytest.mark.parametrize(
    ("entry", "typed", "shows"),
    [
        ("Run a command", "echo typed blindly", ".rl-console-output"),
        ("Open terminal", "echo typed blindly", ".xterm-rows"),
    ],
)
def test_what_is_typed_after_opening_a_tool_goes_there(shown: PanelPage, entry: str, typed: str, shows: str) -> None:
    shown.menu_of("analysis", entry)
    expect(shown.page.locator(".rl-command-line:focus, .xterm-helper-textarea:focus")).to_have_count(1)
    shown.page.keyboard.type(typed)
    shown.page.keyboard.press("Enter")
    expect(shown.page.locator(shows)).to_contain_text("typed blindly")
    picture(shown, entry.replace(" ", "-"))


@pytest.mark.parametrize("entry", ["Files", "Logs"])
def test_a_list_that_was_opened_has_the_keyboard(shown: PanelPage, entry: str) -> None:
    shown.menu_of("analysis", entry)
    expect(shown.page.locator(".rl-tool .rl-list:focus")).to_have_count(1)
    picture(shown, f"{entry}-opened")


def test_the_keyboard_is_not_taken_from_where_the_user_went(shown: PanelPage) -> None:
    shown.menu_of("analysis", "Run a command")
    shown.cell(0).locator(".cm-content").click()
    expect(shown.page.locator(".rl-command-line")).to_be_visible()
    shown.page.wait_for_timeout(300)
    assert shown.cell(0).locator(".cm-content").evaluate("each => each.contains(document.activeElement)")


def test_logs_leave_out_what_the_panel_ran_for_itself(shown: PanelPage) -> None:
    shown.menu_of("analysis", "Files")
    expect(shown.page.locator(".rl-files .rl-entry, .rl-files .rl-tool-empty").first).to_be_visible()
    shown.menu_of("analysis", "Run a command")
    shown.page.locator(".rl-command-line").fill("echo by hand")
    shown.page.locator(".rl-command-line").press("Enter")
    expect(shown.page.locator(".rl-console-output")).to_contain_text("exit code 0")
    shown.menu_of("analysis", "Logs")
    expect(shown.page.locator(".rl-logs .rl-log-row:visible").filter(has_text="$ echo by hand")).to_have_count(1)
    texts = shown.page.locator(".rl-logs .rl-log-row:visible").all_inner_texts()
    assert not [text for text in texts if "find " in text or "$HOME" in text or "runloop_sdk" in text]
    picture(shown, "logs")


def test_a_tool_is_as_wide_as_the_panel(shown: PanelPage) -> None:
    shown.menu_of("analysis", "Run a command")
    tool = shown.page.locator(".rl-console")
    expect(tool).to_be_visible()
    panel, below = box(shown.panel), box(tool)
    assert (below["x"], below["width"]) == (panel["x"], panel["width"])


def test_the_input_of_the_console_has_no_scrollbar_until_it_is_long(shown: PanelPage) -> None:
    shown.menu_of("analysis", "Run a command")
    line = shown.page.locator(".rl-command-line")
    room = "each => [each.scrollHeight - each.clientHeight, getComputedStyle(each).overflowY]"
    assert line.evaluate(room) == [0, "hidden"]
    line.fill("one\ntwo\nthree")
    assert line.evaluate(room) == [0, "hidden"]
    line.fill("\n" * 40)
    assert line.evaluate(room)[1] == "auto"
    line.fill("")
    assert line.evaluate(room) == [0, "hidden"]


def test_the_table_is_as_high_as_its_rows(shown: PanelPage) -> None:
    rows, body = shown.panel.locator(".rl-row:not([hidden])"), shown.panel.locator(".rl-body")
    expect(rows).to_have_count(2)
    few = box(body)["height"]
    assert few < 240
    shown.run(2)
    expect(rows).to_have_count(8)
    wait_until(lambda: box(body)["height"] > few, "the table to grow")
    assert box(body)["height"] == 9 * 28 + 4
    assert shown.panel.locator(".rl-grid").evaluate("each => each.scrollHeight <= each.clientHeight")
    shown.run(3)
    expect(rows).to_have_count(2)
    wait_until(lambda: box(body)["height"] == few, "the table to shrink")


PRESSED = {
    "a tab": ".rl-tab:has-text('Snapshots')",
    "the number on a tab": ".rl-tab:has-text('Devboxes') .rl-count",
    "a filter": ".rl-chip:has-text('All')",
    "an open tool": ".rl-tool-title",
    "a selection": ".rl-foot .rl-flat",
}


@pytest.mark.parametrize("part", PRESSED)
def test_a_press_is_not_lost_to_what_changes_meanwhile(shown: PanelPage, lab_folder: Path, part: str) -> None:
    shown.menu_of("analysis", "Files")
    shown.row("analysis").get_by_role("checkbox").check()
    shown.tab("Devboxes")
    shown.run(4)
    pressed = shown.panel.locator(PRESSED[part])
    pressed.hover()
    pressed.evaluate("each => each.closest('button').addEventListener('click', () => { window.clicked = true; })")
    shown.page.evaluate("window.clicked = false")
    shown.page.mouse.down()
    (lab_folder / "go").touch()
    shown.shows("other", "running")
    shown.page.mouse.up()
    assert shown.page.evaluate("window.clicked")
    shown.tab("Devboxes")
    shown.panel.locator(".rl-chip", has_text="Live").click()
    shown.run(5)
    shown.lacks("other")
    shown.row("analysis").get_by_role("checkbox").uncheck()


def test_in_a_narrow_place_the_first_row_is_near_the_top(shown: PanelPage) -> None:
    shown.panel.evaluate("each => { each.closest('.runloop-panel-box').style.width = '353px'; }")
    expect(shown.panel).to_have_class("rl-root rl-panel rl-narrow")
    first = shown.row("analysis")
    expect(first).to_be_visible()
    top = min(box(row)["y"] for row in shown.panel.locator(".rl-row:not([hidden])").all())
    picture(shown, "narrow")
    assert top - box(shown.panel)["y"] < 110
    expect(shown.panel.get_by_role("button", name="New devbox")).to_be_visible()
    shown.panel.evaluate("each => { each.closest('.runloop-panel-box').style.width = ''; }")
    expect(shown.panel).to_have_class("rl-root rl-panel")


def test_the_keyboard_alone_leads_from_the_cell_to_a_devbox_and_back(shown: PanelPage) -> None:
    keyboard = shown.page.keyboard
    grid, cell = shown.panel.locator(".rl-grid"), shown.cell(1)
    shown.panel.get_by_role("searchbox").fill("analysis")
    cell.locator(".cm-content").click()
    keyboard.press("Escape")
    for _ in range(40):
        if grid.evaluate("each => each === document.activeElement"):
            break
        keyboard.press("Tab")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(shown.panel.locator(".rl-side")).to_contain_text("History")
    keyboard.press("Escape")
    expect(shown.panel.locator(".rl-side")).to_be_hidden()
    keyboard.press("Escape")
    assert not shown.panel.evaluate("each => each.contains(document.activeElement)")
    keyboard.press("Enter")
    expect(cell.locator(".cm-content")).to_be_focused()
    shown.panel.get_by_role("searchbox").fill("")


def test_ids_and_spans_stay_on_their_lines(shown: PanelPage) -> None:
    shown.row("analysis").locator(".rl-form-ending").click()
    side = shown.panel.locator(".rl-side")
    expect(side).to_contain_text("History")
    lasted = side.locator(".rl-lasted").last
    lasted.evaluate("each => { each.textContent = 'for 57 min 33 s'; }")
    assert lasted.evaluate("each => each.getClientRects().length") == 1
    assert box(lasted)["height"] < 22
    for fact in side.locator("dd:has(.rl-button)").all():
        text, copy = box(fact.locator("> :first-child")), box(fact.locator(".rl-button"))
        assert copy["y"] < text["y"] + 8, "the icon stands beside the first line"
        assert copy["x"] >= text["x"] + text["width"]
    picture(shown, "side")
    side.get_by_role("button", name="Close").click()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark High Contrast"])
def test_a_placeholder_does_not_look_typed(shown: PanelPage, theme: str) -> None:
    choose_theme(shown, theme)
    shown.menu_of("analysis", "Run a command")
    for field in (shown.panel.get_by_role("searchbox"), shown.page.locator(".rl-command-line")):
        look = (
            "(each, part) => { const { color, fontStyle } = getComputedStyle(each, part); return [color, fontStyle]; }"
        )
        (colour, slant), (typed, upright) = field.evaluate(look, "::placeholder"), field.evaluate(look)
        assert (slant, upright) == ("italic", "normal")
        assert colour != typed
    picture(shown, theme.replace(" ", "-"))


def test_nothing_looks_live_after_the_end_of_the_kernel(shown: PanelPage) -> None:
    shown.spent = True
    expect(shown.panel.locator(".rl-live")).to_have_text("Live")
    shown.menu("Kernel", "Shut Down Kernel")
    expect(shown.panel.locator(".rl-live")).to_have_text("Not live")
    created = shown.row("analysis").locator(".rl-form-time")
    before = created.inner_text()
    shown.page.wait_for_timeout(2500)
    assert created.inner_text() == before
    picture(shown, "ended")
