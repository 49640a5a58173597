"""The resource panel in JupyterLab, on the embedded service: each thing a user does with it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import box
from tests.browser.panels import (
    VSCODE,
    PanelPage,
    SharedPanel,
    axe,
    choose_theme,
    in_another_front_end,
    many_devboxes,
    open_panel,
    write,
)
from tests.waiting import PATIENCE, wait_until

EVIL = "<img src=x onerror=window.pwned=1>"
LOAD = f"""%load_ext runloop_jupyter
%devbox create --name analysis --metadata team=blue
%devbox create --name crawler --size small
%devbox create --name "{EVIL}\""""
CELLS = [
    LOAD,
    "import runloop_jupyter\npanel = runloop_jupyter.panel()\npanel",
    "%%devbox exec --on analysis\nfor n in $(seq 100000); do echo line $n; sleep 0.05; done",
    "panel",
    "import os, signal\nfrom runloop_local import service\nos.kill(service.find().pid, signal.SIGKILL)",
    "%devbox list",
]

DROP = """(body) => {
    const files = new DataTransfer();
    files.items.add(new File(['dropped'], 'dropped.txt'));
    for (const type of ['dragover', 'drop'])
        body.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def requests() -> list[str]:
    """The addresses that the page asked for."""
    return []


@pytest.fixture(scope="module")
def shared(browser: Browser, lab: str, lab_folder: Path, requests: list[str]) -> Iterator[SharedPanel]:
    """One notebook with its panel, for all tests of this file."""

    def opened() -> PanelPage:
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        page.on("request", lambda request: requests.append(request.url))
        return open_panel(page, lab, write(lab_folder, "panel.ipynb", CELLS))

    shared = SharedPanel(opened)
    yield shared
    shared.close()


@pytest.fixture
def shown(shared: SharedPanel, request: pytest.FixtureRequest) -> Iterator[PanelPage]:
    """The notebook with the tab of devboxes, of which `analysis` and `crawler` run."""
    with shared.lend(request.session) as notebook:
        yield notebook


def test_the_table_shows_names_as_text_and_marks_the_current_devbox(shown: PanelPage) -> None:
    shown.shows(EVIL, "running")
    shown.shows(EVIL, "current")
    shown.shows("crawler", "small")
    assert shown.page.evaluate("window.pwned") is None


def test_search_filter_and_sort(shown: PanelPage) -> None:
    panel = shown.panel
    panel.get_by_role("searchbox").fill("crawl")
    expect(panel.locator(".rl-row:not([hidden])")).to_have_count(1)
    panel.locator(".rl-header input").check()
    panel.get_by_role("searchbox").fill("no such thing")
    expect(panel.locator(".rl-foot")).to_contain_text("1 selected1 of them not shown")
    panel.locator(".rl-foot").get_by_role("button", name="Clear").click()
    expect(panel.locator(".rl-empty")).to_contain_text("Nothing matches")
    panel.get_by_role("searchbox").press("Escape")
    expect(panel.locator(".rl-row:not([hidden])")).to_have_count(3)
    panel.get_by_role("button", name="running").click()
    expect(panel.get_by_role("button", name="running")).to_have_attribute("aria-pressed", "true")
    panel.get_by_role("button", name="Live").click()
    panel.get_by_role("button", name="Name", exact=True).click()
    begins_with(shown, EVIL[:4])
    panel.get_by_role("button", name="Ends", exact=True).click()
    for first in ("analysis", EVIL[:4]):  # the oldest, the youngest
        panel.get_by_role("button", name="Created", exact=True).click()
        begins_with(shown, first)


def begins_with(shown: PanelPage, text: str) -> None:
    """Wait until this is in the topmost row."""
    tops = "rows => rows.map(row => [row.getBoundingClientRect().y, row.innerText]).sort((a, b) => a[0] - b[0])[0][1]"
    rows = shown.panel.locator(".rl-row:not([hidden])")
    wait_until(lambda: text in rows.evaluate_all(tops), f"{text} on top")


def test_columns_can_be_made_wider(shown: PanelPage) -> None:
    head = shown.panel.locator(".rl-head", has_text="Status")
    before = box(head)["width"]
    handle = box(head.locator(".rl-resize"))
    shown.page.mouse.move(handle["x"] + 3, handle["y"] + 5)
    shown.page.mouse.down()
    shown.page.mouse.move(handle["x"] + 43, handle["y"] + 5, steps=4)
    shown.page.mouse.up()
    wait_until(lambda: abs(box(head)["width"] - before - 40) < 4, "the wider column")
    shown.panel.get_by_role("button", name="Status", exact=True).press("Shift+ArrowLeft")
    wait_until(lambda: abs(box(head)["width"] - before - 20) < 4, "the narrower column")


def test_suspend_and_resume_from_the_menu_and_the_row_follows(shown: PanelPage) -> None:
    shown.menu_of("crawler", "Suspend")
    shown.shows("crawler", "suspended")
    shown.menu_of("crawler", "Resume")
    shown.shows("crawler", "running")
    shown.menu_of("crawler", "Use in this notebook")
    shown.shows("crawler", "current")
    shown.menu_of("crawler", "Keep alive")
    shown.told("starts again")


def test_the_keyboard_alone_selects_opens_and_shuts_down(shown: PanelPage) -> None:
    keyboard = shown.page.keyboard
    shown.panel.get_by_role("searchbox").fill("img")
    shown.panel.locator(".rl-grid").focus()
    keyboard.press("ArrowDown")
    keyboard.press("Space")
    expect(shown.panel.locator(".rl-foot")).to_contain_text("1 selected")
    keyboard.press("Enter")
    expect(shown.panel.locator(".rl-side")).to_contain_text("History")
    keyboard.press("Escape")
    expect(shown.panel.locator(".rl-side")).to_be_hidden()
    keyboard.press("Delete")
    dialog = shown.panel.locator(".rl-dialog")
    expect(dialog).to_contain_text("Shut down 1 devbox?")
    keyboard.press("Enter")  # no is what is focused
    expect(dialog).to_have_count(0)
    shown.shows(EVIL, "running")
    keyboard.press("Delete")
    expect(dialog).to_be_visible()
    keyboard.press("Tab")
    keyboard.press("Enter")
    shown.lacks(EVIL)
    shown.panel.get_by_role("searchbox").fill("")


def test_the_form_marks_mistakes_and_creates_a_devbox(shown: PanelPage) -> None:
    panel = shown.panel
    panel.get_by_role("button", name="New devbox").click()
    end, pane = (box(panel.locator(f".{name}")) for name in ("rl-form-end", "rl-pane-body"))
    assert end["y"] + end["height"] <= pane["y"] + pane["height"] + 1  # it needs no scrolling
    shown.fill(name="by-form", keep_alive="soon")
    expect(panel.locator(".rl-field", has_text="Keep alive")).to_contain_text("'soon' is not a duration")
    expect(panel.locator("[name=keep_alive]")).to_have_attribute("aria-invalid", "true")
    shown.fill(keep_alive="2h")
    expect(panel.locator(".rl-magic")).to_contain_text("%devbox create --name by-form --keep-alive 2h")
    shown.submit()
    shown.shows("by-form", "running")
    shown.shows("by-form", "current")
    expect(panel.locator(".rl-side")).to_be_hidden()
    below = shown.row("analysis").element_handle()
    shown.row("by-form").locator("input").click()
    shown.panel.locator(".rl-foot [data-action=shutdown]").click()
    shown.answer("Shut down")
    shown.lacks("by-form")
    assert below.is_visible(), (
        "a row that moves up keeps its element: a press on it that has begun is still meant for it"
    )
    assert "analysis" in below.inner_text()


def test_details_have_all_and_insert_a_cell(shown: PanelPage) -> None:
    shown.row("analysis").locator(".rl-form-ending").click()
    side = shown.panel.locator(".rl-side")
    expect(side).to_contain_text("team")
    expect(side.locator(".rl-history")).to_contain_text("running")
    count = shown.page.locator(".jp-CodeCell").count()
    side.get_by_role("button", name="Insert a cell: Run a command").click()
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(count + 1)
    expect(shown.cell(2)).to_contain_text("%%devbox exec --on analysis")
    shown.cell(2).locator(".jp-InputPrompt").click()
    shown.page.keyboard.press("d")
    shown.page.keyboard.press("d")
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(count)
    take_away = "panel => { panel.reached = panel.runloop.model; panel.runloop.model = {}; }"
    give_back = "panel => { panel.runloop.model = panel.reached; }"
    shown.panel.evaluate(take_away)  # as in a front end whose notebook cannot be reached
    side.get_by_role("button", name="Insert a cell: Use it").click()
    shown.told("Copied: paste it into a cell.")
    shown.panel.evaluate(give_back)
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(count)
    side.get_by_role("button", name="Close").click()


def test_a_blueprint_is_built_with_its_log_and_starts_a_devbox(shown: PanelPage) -> None:
    shown.tab("Blueprints")
    shown.panel.get_by_role("button", name="Build blueprint").first.click()
    shown.panel.locator(".rl-form summary").click()
    shown.fill(name="tools", commands="echo a step of the build")
    shown.submit()
    shown.shows("tools", "built")
    expect(shown.panel.locator(".rl-log")).to_contain_text("a step of the build")
    shown.panel.locator(".rl-side [data-action=create_devbox]").click()
    expect(shown.panel.locator("[name=source] option:checked")).to_have_text("Blueprint tools")
    shown.fill(name="from-tools")
    shown.submit()
    shown.tab("Devboxes")
    shown.shows("from-tools", "tools")
    shown.shows("from-tools", "running")


def test_a_snapshot_is_taken_pruned_and_deleted(shown: PanelPage) -> None:
    for name in ("one", "two"):
        shown.menu_of("analysis", "Snapshot")
        shown.fill(name=name)
        shown.submit()
        shown.told("Took snapshot")
        shown.panel.locator(".rl-toast button").first.click()
    shown.tab("Snapshots")
    shown.shows("two", "analysis")
    shown.panel.get_by_role("button", name="Prune…").click()
    expect(shown.panel.locator(".rl-doomed")).to_contain_text("one")
    shown.answer("Delete")
    shown.lacks("one")
    shown.menu_of("two", "Delete…")
    shown.answer("Delete")
    shown.lacks("two")
    expect(shown.panel.locator(".rl-empty")).to_contain_text("No snapshot yet")
    shown.tab("Devboxes")


def test_files_go_up_and_come_down(shown: PanelPage, lab_folder: Path) -> None:
    shown.tab("Storage objects")
    content = bytes(range(256)) * 8000
    with shown.page.expect_file_chooser() as chooser:
        shown.panel.get_by_role("button", name="Upload file").first.click()
    chooser.value.set_files({"name": "data.bin", "mimeType": "application/octet-stream", "buffer": content})
    shown.shows("data.bin", "ready")
    shown.shows("data.bin", "2.0 MB")
    shown.menu_of("data.bin", "Download")
    shown.told("Saved data.bin")
    assert (lab_folder / "data.bin").read_bytes() == content
    shown.panel.locator(".rl-body").evaluate(DROP)
    shown.shows("dropped.txt", "ready")
    shown.menu_of("data.bin", "Delete…")
    shown.answer("Delete")
    shown.lacks("data.bin")
    shown.tab("Devboxes")


def test_it_is_alive_while_a_cell_streams(shown: PanelPage) -> None:
    with shown.streaming(2):
        shown.menu_of("crawler", "Suspend")
        shown.shows("crawler", "suspended")
        shown.menu_of("crawler", "Resume")
        shown.shows("crawler", "running")


def test_two_views_and_a_reload_show_the_same(shown: PanelPage) -> None:
    shown.run(3)
    expect(shown.page.locator(".rl-panel")).to_have_count(2)
    first, second = shown.page.locator(".rl-panel").all()
    expect(second.locator(".rl-row", has_text="analysis")).to_contain_text("running")
    shown.menu_of("crawler", "Suspend")
    for view in (first, second):
        expect(view.locator(".rl-row", has_text="crawler")).to_contain_text("suspended")
    for view, name in ((first, "analysis"), (second, "crawler")):
        view.locator(".rl-row", has_text=name).locator(".rl-form-ending").click()
        expect(view.locator(".rl-facts dd").first).to_contain_text(name)
    expect(first.locator(".rl-facts dd").first).to_contain_text("analysis")
    shown.panel.locator(".rl-grid").focus()
    shown.page.keyboard.press("Control+s")  # the notebook's own keys work in the panel
    expect(shown.page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    shown.page.reload()
    shown.page.wait_for_selector(".jp-Notebook .jp-Cell")
    shown.shows("crawler", "suspended")
    shown.menu_of("crawler", "Resume")
    shown.shows("crawler", "running")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"])
def test_axe_finds_nothing(shown: PanelPage, theme: str) -> None:
    choose_theme(shown, theme)
    nothing_is_found(shown)


@pytest.mark.parametrize("kind", [*VSCODE, "dark", "light"])
def test_it_looks_as_its_page_does_in_other_front_ends(shown: PanelPage, kind: str, tmp_path: Path) -> None:
    with in_another_front_end(shown.page, kind):
        expect(shown.panel).to_have_css("color-scheme", "light" if "light" in kind else "dark")
        nothing_is_found(shown)
        shown.panel.screenshot(path=tmp_path / "panel.png")


def nothing_is_found(shown: PanelPage) -> None:
    """The rules of axe-core find nothing wrong in the panel, its details, a form, a menu and a question."""
    shown.row("analysis").locator(".rl-form-ending").click()
    expect(shown.panel.locator(".rl-side")).to_contain_text("History")
    shown.row("crawler").locator("input").click()
    expect(shown.panel.locator(".rl-foot")).to_contain_text("1 selected")
    assert axe(shown.page) == []
    shown.panel.get_by_role("button", name="New devbox").click()
    shown.panel.locator(".rl-form summary").click()
    assert axe(shown.page) == []
    shown.row("analysis").locator(".rl-more").click()
    assert axe(shown.page, ".rl-menu") == []
    shown.panel.get_by_role("menuitem", name="Shut down").click()
    assert axe(shown.page, ".rl-dialog") == []
    shown.answer("Cancel")
    shown.panel.locator(".rl-side").get_by_role("button", name="Close").click()
    shown.panel.locator(".rl-foot").get_by_role("button", name="Clear").click()


def test_the_service_ends_and_comes_back(shown: PanelPage) -> None:
    shown.run(4)
    expect(shown.panel.locator(".rl-banner").first).to_contain_text("embedded service has ended")
    shown.shows("analysis", "running")  # as last seen
    shown.run(5)
    expect(shown.panel.locator(".rl-live")).to_contain_text("Live")
    expect(shown.panel.locator(".rl-live")).not_to_contain_text("Not live")
    shown.shows("analysis", "suspended")
    for name in ("analysis", "crawler"):
        shown.menu_of(name, "Resume")
        shown.shows(name, "running")


def test_only_the_notebook_server_was_asked(shown: PanelPage, requests: list[str], lab: str) -> None:
    asked = {url.split("/")[2] for url in requests if url.startswith(("http", "ws"))}
    assert asked == {lab.removeprefix("http://")}


def test_a_restarted_kernel_is_told_and_the_cell_gives_a_new_panel(shown: PanelPage) -> None:
    shown.spent = True
    shown.menu("Kernel", "Restart Kernel…")
    shown.page.locator(".jp-Dialog-button.jp-mod-accept").click()
    expect(shown.panel.locator(".rl-wait")).to_contain_text("Run %load_ext runloop_jupyter, then this cell again")
    expect(shown.panel.get_by_role("button", name="New devbox")).to_be_hidden()
    shown.wait_for_idle()
    shown.page.evaluate("document.querySelectorAll('.jp-CodeCell')[0].scrollIntoView()")
    shown.run(5)
    shown.run(1)
    expect(shown.panel.locator(".rl-wait")).to_be_hidden()
    expect(shown.panel.locator(".rl-live")).to_have_text("Live")


def test_the_first_rows_need_no_answer_from_the_kernel(page: Page, lab: str, lab_folder: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.05)"
    with many_devboxes(1_500) as url:
        connect = f"import os, runloop_jupyter\nos.environ.update(RUNLOOP_BASE_URL={url!r}, RUNLOOP_API_KEY='key')"
        cells = [connect, f"display(runloop_jupyter.panel())\n{wait}"]
        notebook = PanelPage(page, lab, write(lab_folder, "first.ipynb", cells))
        notebook.run(0)
        notebook.run(1)
        notebook.shows("box-0 ", "running")
        expect(notebook.panel.locator(".rl-foot")).to_have_text("100 devboxes so far")
        expect(notebook.panel.locator(".rl-live")).to_have_text("Loading")
        (lab_folder / "go").touch()
        expect(notebook.panel.locator(".rl-foot")).to_have_text("1,500 devboxes")
        expect(notebook.panel.locator(".rl-live")).to_have_text("Live")


def test_ten_thousand_devboxes(page: Page, lab: str, lab_folder: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    with many_devboxes(10_000) as url:
        connect = f"import os\nos.environ.update(RUNLOOP_BASE_URL={url!r}, RUNLOOP_API_KEY='key')"
        cells = [f"{connect}\n%load_ext runloop_jupyter", "%runloop panel"]
        notebook = PanelPage(page, lab, write(lab_folder, "many.ipynb", cells))
        notebook.run(0)
        notebook.run(1)
        expect(notebook.panel.locator(".rl-foot")).to_contain_text("10,000 devboxes")
        assert notebook.panel.locator(".rl-row").count() < 60
        notebook.panel.get_by_role("searchbox").fill("box-9876")
        notebook.shows("box-9876", "running")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/change/9876/suspended", timeout=PATIENCE)
        notebook.shows("box-9876", "suspended")
        notebook.panel.get_by_role("searchbox").fill("")
        notebook.panel.locator(".rl-grid").focus()
        page.keyboard.press("End")
        notebook.shows("box-9999", "running")
