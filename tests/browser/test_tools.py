"""The tools below the panel's table in JupyterLab, on the embedded service: terminals, consoles, logs, files."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import momentary
from tests.browser.panels import MOVES, PanelPage, SharedPanel, axe, choose_theme, open_panel, write
from tests.browser.tools import COMMAND, ConsolePage, FilesPage, LogsPage, TerminalPage, open_new_shell, open_terminal
from tests.waiting import wait_until

EVIL = "<img src=x onerror=window.pwned=1>"
WHOLE_SCREEN = """import curses
def run(screen):
    screen.addstr("a program of the whole screen")
    while (key := curses.keyname(screen.getch()).decode()) != "q":
        screen.addstr(1, 0, f"pressed {key}.")
        screen.clrtoeol()
curses.wrapper(run)"""
CELLS = [
    "%load_ext runloop_jupyter\n%devbox create --name analysis\n%devbox create --name doomed",
    "import runloop_jupyter\npanel = runloop_jupyter.panel()\npanel",
    "%%devbox exec --on analysis\nfor n in $(seq 100000); do echo line $n; sleep 0.05; done",
    "%%devbox exec --on analysis\nmkdir -p data/deep .cache; seq 300 > data/numbers.csv; printf 'a\\0b' > blob.bin\n"
    f"echo shown > note.txt; ln -s data latest; touch -- '{EVIL}'; mkdir locked; chmod 000 locked\n"
    f"cat > .cache/whole_screen.py <<'END'\n{WHOLE_SCREEN}\nEND",
    "panel.close()",
]
SOME, ONE = re.compile("^[1-9]"), re.compile("^(1 of )?1$")
PASTE = """(area) => {
    const data = new DataTransfer();
    data.setData('text/plain', 'echo "pasted $((20 + 3)) ünï"');
    area.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}"""
ALL_COLOURS = (
    r"for n in $(seq 30 37) $(seq 90 97); do printf '\033[%dmcolour\033[0m \033[1;%dmbold\033[0m\n' $n $n; done"
)
# The style sheet of each widget in turn becomes the last one: which of them was opened last is not to be seen.
OTHER_LOOKS = """() => {
    const KEYS = ['padding', 'margin', 'font', 'color', 'background-color', 'border', 'display', 'width', 'height'];
    const looks = () => [...document.querySelectorAll('.rl-root, .rl-root :not(.xterm *)')].map((each) => {
        const style = getComputedStyle(each);
        return `${each.tagName} ${each.getAttribute('class')}: ` + KEYS.map((key) => style.getPropertyValue(key));
    });
    const before = looks();
    const sheets = [...document.querySelectorAll('style')].filter((each) => each.textContent.includes('.rl-root'));
    return sheets.flatMap((sheet) => {
        sheet.parentNode.append(sheet);
        return looks().filter((look, at) => look !== before[at]);
    });
}"""
DROP = """(root, [name, content]) => {
    const files = new DataTransfer();
    files.items.add(new File(content === null ? Array(5).fill(new Uint8Array(40 << 20)) : [content], name));
    for (const type of ['dragover', 'drop'])
        root.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def png(size: int) -> bytes:
    """A picture of so many pixels in each direction."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(size)) * size)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def shared(browser: Browser, lab: str, lab_folder: Path) -> Iterator[SharedPanel]:
    """One notebook with its panel and a devbox with files, for all tests of this file."""

    def opened() -> PanelPage:
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        notebook = open_panel(page, lab, write(lab_folder, "tools.ipynb", CELLS))
        notebook.run(3)
        notebook.wait_until_finished()
        assert page.evaluate("'__runloopXterm' in globalThis") is False  # it comes when a terminal is opened
        return notebook

    shared = SharedPanel(opened)
    yield shared
    shared.close()


@pytest.fixture
def shown(shared: SharedPanel, request: pytest.FixtureRequest) -> Iterator[PanelPage]:
    """The notebook, without any tool below the table."""
    with shared.lend(request.session) as notebook:
        yield notebook


@pytest.fixture
def terminal(shown: PanelPage) -> TerminalPage:
    """A terminal with a shell of its own."""
    return open_new_shell(shown, "analysis")


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
    # Without the trap bash goes on with the loop where Ctrl+C comes between two of its programs.
    loop = "while [ -z $over ]; do sleep 0.1; printf '\\rsize %s. ' \"$(stty size)\"; done"
    terminal.run(f"clear; trap over=1 INT; {loop}")

    def size(cols: str) -> tuple[int, int]:
        """The lines and columns that the shell has, once there are so many columns."""
        found = wait_until(lambda: re.search(rf"size (\d+) ({cols})\.", terminal.rows.inner_text()), f"{cols} columns")
        return int(found[1]), int(found[2])

    lines, columns = size(r"1\d\d")
    terminal.root.evaluate("root => { root.style.width = '400px'; }")
    assert size(r"4\d")[0] == lines, "the view is as high as before"
    terminal.root.evaluate("root => { root.style.width = ''; }")
    again = size(r"1\d\d")
    assert again[0] == lines
    assert abs(again[1] - columns) <= 1  # xterm rounds the width of a column by how many there are
    terminal.page.keyboard.press("Control+c")
    terminal.prompts()


def test_a_program_of_the_whole_screen_leaves_it_as_it_was(terminal: TerminalPage) -> None:
    terminal.run("echo before; python3 .cache/whole_screen.py")
    terminal.shows("a program of the whole screen")
    terminal.lacks("before")
    for key, name in (("ArrowUp", "KEY_UP"), ("x", "x"), ("Control+t", "^T")):
        terminal.page.keyboard.press(key)
        terminal.shows(f"pressed {name}.")
    terminal.page.keyboard.press("q")
    terminal.shows("before")
    terminal.lacks("whole screen")
    terminal.run("echo after | rev")
    terminal.shows("retfa")


def test_a_program_that_asks_what_the_terminal_can_do_is_told(terminal: TerminalPage) -> None:
    # It waits for the answer. One that ends before (vim does, on a slow way) leaves it to the shell, as everywhere.
    terminal.run(
        r"""stty -echo -icanon; printf '\033[c'; IFS= read -rd c reply; stty sane; echo "told ${reply#*[}." """
    )
    terminal.shows("told ?1;2.")


def test_the_keyboard_leaves_it_and_axe_finds_nothing(shown: PanelPage, terminal: TerminalPage) -> None:
    terminal.root.locator(".xterm-helper-textarea").focus()
    shown.page.keyboard.press("Shift+Escape")
    reader = terminal.root.get_by_role("button", name="Screen reader mode")
    expect(reader).to_be_focused()
    assert axe(shown.page, ".rl-terminal") == []
    shown.page.keyboard.press("Space")
    expect(reader).to_have_attribute("aria-pressed", "true")
    terminal.run("echo read-$((40 + 2))")
    expect(terminal.root.locator(".xterm-accessibility")).to_contain_text("read-42")
    reader.click()


def test_it_answers_while_a_cell_streams(shown: PanelPage, terminal: TerminalPage) -> None:
    with shown.streaming(2):
        terminal.run("echo meanwhile-$((1 + 1))")
        terminal.shows("meanwhile-2")


def test_a_page_that_is_loaded_again_has_the_same_shell(shown: PanelPage, terminal: TerminalPage) -> None:
    terminal.run("kept=yes; echo kept-$((1 + 2))")
    terminal.shows("kept-3")
    shown.page.keyboard.press("Control+s")  # goes to the shell, which stops printing
    shown.page.keyboard.press("Control+q")
    shown.page.locator(".jp-NotebookPanel-toolbar [data-command='docmanager:save']").click()
    expect(shown.page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)
    shown.page.reload()
    shown.page.wait_for_selector(".jp-Notebook .jp-Cell")
    terminal.shows("kept-3")
    terminal.run("echo still-$kept")
    terminal.shows("still-yes")


def test_a_terminal_that_is_closed_leaves_its_shell_to_the_next_one(shown: PanelPage, terminal: TerminalPage) -> None:
    terminal.run("kept=yes; echo kept-$((1 + 2))")
    terminal.shows("kept-3")
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
    expect(doomed.root.locator(".rl-problem")).to_contain_text("shut down")
    expect(doomed.root.get_by_role("button", name="Connect again")).to_be_visible()
    shown.lacks("doomed")


@pytest.fixture
def console(shown: PanelPage) -> ConsolePage:
    """The console of a devbox."""
    shown.menu_of("analysis", "Run a command")
    return ConsolePage(shown.page.locator(".rl-console:visible"))


def test_commands_show_both_streams_in_colours_and_as_text(shown: PanelPage, console: ConsolePage) -> None:
    console.run("mkdir -p deep && cd deep; printf '\\033[31mred\\033[0m plain\\n'")
    colour = console.screen.locator("span", has_text="red").last
    assert colour.evaluate("span => getComputedStyle(span).color") == "rgb(198, 40, 40)"
    console.run(f"pwd; echo '{EVIL}' >&2; false", ends="exit code 1")
    expect(console.screen.locator(".rl-stdout").last).to_contain_text("/home/user/deep")
    expect(console.screen.locator(".rl-stderr")).to_have_text(f"{EVIL}\n")
    assert shown.page.evaluate("window.pwned") is None
    console.run(r"for n in 1 2 3; do printf '\rpart %d' $n; sleep 0.1; done; echo")
    expect(console.screen.locator(".rl-stdout").last).to_have_text("part 3\n")


def test_lines_that_a_program_draws_anew_stand_there_once(console: ConsolePage) -> None:
    frame = r"printf '\033[2Kone %s\n\033[31m\033[2Ktwo %s\033[0m\n' $n $n"
    console.run(f"seq 600; for n in 1 2 3 4; do [ $n = 1 ] || printf '\\033[2A'; {frame}; sleep 0.2; done; echo after")
    printed = console.screen.locator(COMMAND).last.locator("xpath=following-sibling::*[contains(@class, 'rl-printed')]")
    lines = "".join(printed.all_inner_texts()).split("\n")
    assert lines[-6:] == ["599", "600", "one 4", "two 4", "after", ""]
    assert len(lines) == 604
    colour = console.screen.locator("span", has_text="two 4").last
    assert colour.evaluate("span => getComputedStyle(span).color") == "rgb(198, 40, 40)"
    console.run(
        r"printf 'err\n' >&2; printf 'a\nb\n'; sleep 0.2; printf '\033[2A\033[Kc\n'; sleep 0.2; printf '\033[2A\033[Jd'"
    )
    expect(console.screen.locator(".rl-printed").last).to_have_text("d\n")


def test_earlier_commands_come_back_and_many_lines_are_one_command(console: ConsolePage) -> None:
    console.run("echo one")
    console.run("false", ends="exit code 1")
    console.line.focus()
    console.page.keyboard.press("ArrowUp")
    expect(console.line).to_have_value("false")
    console.page.keyboard.press("ArrowUp")
    expect(console.line).to_have_value("echo one")
    console.page.keyboard.press("ArrowDown")
    console.page.keyboard.press("ArrowDown")
    expect(console.line).to_have_value("")
    console.page.keyboard.type("echo first")
    console.page.keyboard.press("Shift+Enter")
    console.page.keyboard.type("echo second")
    console.page.keyboard.press("Enter")
    expect(console.screen.locator(".rl-stdout").last).to_have_text("first\nsecond\n")


def test_ctrl_c_stops_a_flood_and_the_page_lives(shown: PanelPage, console: ConsolePage) -> None:
    console.type("yes many words")
    console.is_("running")
    console.shows("not shown: they came too fast")
    assert shown.page.evaluate("document.querySelectorAll('.rl-console-output *').length") < 500
    shown.page.keyboard.press("Control+c")
    console.ended("stopped after")
    console.is_("stopped after")
    console.page.keyboard.press("Control+l")
    expect(console.screen).to_have_text("")
    console.type("yes | tr -d '\\n'")  # a line without an end
    console.shows("not shown: they came too fast")
    expect(console.screen.locator(".rl-stdout").last).to_contain_text("yyy")
    shown.page.keyboard.press("Control+c")
    console.ended("stopped after")
    assert shown.page.evaluate("document.querySelector('.rl-console-output').textContent.length") < 1_100_000
    expect(console.root.get_by_role("button", name="Stop")).to_be_hidden()
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(len(CELLS))  # no key was the notebook's
    console.page.keyboard.press("Control+l")
    expect(console.screen).to_have_text("")


def test_what_is_typed_while_it_runs_is_its_input_while_a_cell_streams(shown: PanelPage, console: ConsolePage) -> None:
    with shown.streaming(2):
        console.type("read name; echo hello $name; cat; echo over")
        console.is_("running")
        console.type("Ada")
        console.shows("hello Ada")
        assert axe(shown.page, ".rl-console") == []
        console.line.focus()
        console.page.keyboard.press("Control+d")
        console.ended("exit code 0")
        console.shows("over")


def test_the_whole_output_is_saved_beside_the_notebook(console: ConsolePage, lab_folder: Path) -> None:
    console.type("seq 100000")
    console.shows("99999\n100000\n")  # the line of the command goes out at the top
    console.is_("exit code 0")
    console.root.get_by_role("button", name="Save the whole output").click()
    console.shows("Saved the whole output of the last command as analysis-output.txt")
    assert (lab_folder / "analysis-output.txt").read_text().endswith("99999\n100000\n")
    with momentary(console.root, "Copied"):
        console.root.get_by_role("button", name="Copy what is shown").click()
    expect(console.root.get_by_text("Copied")).to_be_hidden()
    console.screen.hover()
    console.page.mouse.wheel(0, -3000)
    console.root.get_by_role("button", name="To the end").click()
    expect(console.root.get_by_role("button", name="To the end")).to_be_hidden()


def test_closing_the_console_stops_what_runs(shown: PanelPage, console: ConsolePage) -> None:
    console.type("sleep 876")
    console.is_("running")
    shown.panel.get_by_role("button", name="Close Console").click()
    shown.told("Stopped 'sleep 876' on analysis.")
    expect(console.root).to_have_count(0)


@pytest.fixture
def logs(shown: PanelPage) -> LogsPage:
    """The logs of a devbox, with what the third cell printed."""
    shown.menu_of("analysis", "Logs")
    logs = LogsPage(shown.page.locator(".rl-logs:visible"))
    logs.search.fill("onerror")
    logs.counts(SOME)
    logs.search.fill("")
    return logs


def test_what_a_cell_prints_comes_while_it_runs_and_as_text(shown: PanelPage, logs: LogsPage) -> None:
    logs.search.fill("onerror")
    expect(logs.root.locator("mark").first).to_have_text("onerror")
    assert shown.page.evaluate("window.pwned") is None
    logs.press("Clear")
    logs.counts("none")
    with shown.streaming(2):
        logs.search.fill("line 20")
        logs.counts(ONE)


def test_lines_are_found_by_the_keyboard_alone(shown: PanelPage, logs: LogsPage) -> None:
    logs.press("Clear")
    logs.is_empty()
    with shown.streaming(2):
        logs.search.fill("line 16")
        logs.counts(ONE)
        logs.press("Pause")
        logs.search.fill("line 1")
        found = int(logs.root.locator(".rl-log-count").inner_text().split(" of ")[1])  # no more come: it is paused
        assert found > 5
        logs.counts(f"{found} of {found}")
        shown.page.keyboard.press("Shift+Enter")
        logs.counts(f"{found - 1} of {found}")
        shown.page.keyboard.press("Enter")
        shown.page.keyboard.press("F3")
        logs.counts(f"1 of {found}")
        logs.press("Only matches")
        expect(logs.list.get_by_role("option").first).to_have_attribute("aria-setsize", str(found))
        logs.press("Only matches")
        shown.page.keyboard.press("Tab")
        logs.list.focus()
        shown.page.keyboard.press("/")
        expect(logs.search).to_be_focused()
        logs.search.fill("no such line")
        logs.counts("none")
        shown.page.keyboard.press("Escape")
        logs.root.get_by_label("Show", exact=True).select_option("Errors")
        expect(logs.list.get_by_role("option")).to_have_count(0)
        logs.root.get_by_label("Show", exact=True).select_option("All")
        expect(logs.list.get_by_role("option")).not_to_have_count(0)
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(len(CELLS))  # no key was the notebook's


def test_paused_lines_wait_and_the_end_is_found_again(shown: PanelPage, logs: LogsPage) -> None:
    with shown.streaming(2):
        logs.press("Pause")
        expect(logs.root.get_by_role("button", name="new")).to_be_visible()
        logs.list.focus()
        shown.page.keyboard.press("Home")
        logs.root.get_by_role("button", name="new").click()
        expect(logs.root.get_by_role("button", name="Pause")).to_be_visible()
        logs.press("To the end")
        expect(logs.root.get_by_role("button", name="To the end")).to_be_hidden()
    logs.shows("exit code 137")
    assert axe(shown.page, ".rl-logs") == []


def test_logs_are_saved_beside_the_notebook(shown: PanelPage, logs: LogsPage, lab_folder: Path) -> None:
    with shown.streaming(2):
        logs.search.fill("line 3")
        logs.counts(SOME)
    logs.press("Save all lines")
    expect(logs.root.locator(".rl-log-saved")).to_have_text("Saved analysis-logs.txt beside the notebook.")
    assert " exec           line 3\n" in (lab_folder / "analysis-logs.txt").read_text()
    logs.press("Clear")
    logs.is_empty()


@pytest.fixture
def files(shown: PanelPage) -> FilesPage:
    """The files of a devbox."""
    shown.menu_of("analysis", "Files")
    files = FilesPage(shown.page.locator(".rl-files:visible"))
    expect(files.row("note.txt")).to_be_visible()
    return files


def test_a_folder_shows_names_as_text_sizes_and_what_is_hidden(shown: PanelPage, files: FilesPage) -> None:
    files.is_at("/home/user")
    expect(files.row("blob.bin")).to_contain_text("3 B")
    expect(files.row("latest")).to_contain_text("→ data")
    expect(files.row(EVIL)).to_have_count(1)
    assert shown.page.evaluate("window.pwned") is None
    expect(files.row(".cache")).to_have_count(0)
    files.press("Show hidden files")
    expect(files.row(".cache")).to_have_count(1)
    files.press("Sort by size")
    expect(files.root.get_by_role("option").nth(-2)).to_contain_text(EVIL)
    files.press("Sort by name")


def test_the_keyboard_alone_walks_through_folders_and_opens_a_file(shown: PanelPage, files: FilesPage) -> None:
    keyboard = shown.page.keyboard
    files.list.focus()
    keyboard.type("da")
    keyboard.press("Enter")
    files.is_at("/home/user/data")
    keyboard.press("End")
    keyboard.press("Enter")
    expect(files.root.locator(".rl-preview-text")).to_contain_text("299\n300")
    keyboard.press("Escape")
    expect(files.root.locator(".rl-preview-text")).to_have_count(0)
    keyboard.press("Backspace")
    files.is_at("/home/user")
    expect(files.row("data")).to_have_attribute("aria-selected", "true")
    expect(shown.page.locator(".jp-CodeCell")).to_have_count(len(CELLS))  # no key was the notebook's


def test_the_keyboard_stays_in_a_folder_that_is_empty_and_leaves_it(files: FilesPage) -> None:
    files.press("New folder")
    files.page.keyboard.type("empty")
    files.page.keyboard.press("Enter")
    expect(files.row("empty")).to_have_attribute("aria-selected", "true")
    files.page.keyboard.press("Enter")
    files.is_at("/home/user/empty")
    expect(files.root.locator(".rl-tool-empty")).to_contain_text("This folder is empty.")
    expect(files.root.locator(".rl-list:focus")).to_have_count(1)
    files.page.keyboard.press("Backspace")
    files.is_at("/home/user")
    files.press("Delete… (Delete)")
    files.press("Delete", exact=True)
    expect(files.row("empty")).to_have_count(0)
    expect(files.root.locator(".rl-list:focus")).to_have_count(1)


def test_the_mouse_opens_links_and_binary_files_are_said(files: FilesPage) -> None:
    files.row("latest").dblclick()
    files.is_at("/home/user/latest")
    files.press("Up: ")
    files.row("blob.bin").dblclick()
    expect(files.root.locator(".rl-preview-remark")).to_have_text("A binary file of 3 B: no text to show.")


def test_what_cannot_be_shown_is_said_in_its_place(files: FilesPage) -> None:
    for path, words in (("/no/such", "no folder '/no/such'"), ("locked", "may not be read")):
        files.root.get_by_label("Path").fill(path)
        files.root.get_by_label("Path").press("Enter")
        expect(files.root.locator(".rl-problem")).to_contain_text(words)
    files.press("Refresh")
    expect(files.root.locator(".rl-problem")).to_be_hidden()
    files.is_at("/home/user")


def test_files_go_up_by_a_button_and_by_drag_and_drop_and_existing_ones_ask(files: FilesPage) -> None:
    with files.page.expect_file_chooser() as chooser:
        files.press("Upload", exact=True)
    chooser.value.set_files({"name": "plot.png", "mimeType": "image/png", "buffer": png(48)})
    files.row("plot.png").dblclick()
    image = files.root.locator(".rl-preview-image img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 48
    files.root.evaluate(DROP, ["dropped.txt", "dropped"])
    expect(files.row("dropped.txt")).to_contain_text("7 B")
    files.root.evaluate(DROP, ["dropped.txt", "dropped"])
    expect(files.root.get_by_role("dialog")).to_contain_text("Replace dropped.txt?")
    files.page.keyboard.press("Enter")  # no is what is focused
    expect(files.root.get_by_role("dialog")).to_have_count(0)
    files.root.evaluate(DROP, ["dropped.txt", "dropped"])
    with momentary(files.root.locator(".rl-files-told"), "Uploaded dropped.txt."):
        files.press("Replace")


def test_a_large_file_shows_how_far_it_is_and_can_be_cancelled(files: FilesPage) -> None:
    files.root.evaluate(DROP, ["large.bin", None])  # made in the page: Playwright would take half a minute to send it
    expect(files.root.get_by_label("Uploading large.bin")).to_be_visible()
    expect(files.root.locator(".rl-transfer")).to_contain_text("% of 210 MB")
    files.press("Cancel large.bin")
    expect(files.root.locator(".rl-transfer")).to_have_count(0)
    files.press("Refresh")
    files.is_at("/home/user")
    expect(files.row("large.bin")).to_have_count(0)


def test_files_come_down_and_are_deleted_after_a_yes(files: FilesPage, lab_folder: Path) -> None:
    files.row("note.txt").click()
    with momentary(files.root.locator(".rl-files-told"), "Saved note.txt beside the notebook."):
        files.press("Download beside the notebook")
    assert (lab_folder / "note.txt").read_text() == "shown\n"
    files.press("New folder")
    files.page.keyboard.type("made here")
    files.page.keyboard.press("Enter")
    expect(files.row("made here")).to_have_attribute("aria-selected", "true")
    files.page.keyboard.press("Delete")
    expect(files.root.get_by_role("dialog")).to_contain_text("Delete made here?")
    files.page.keyboard.press("Enter")  # no is what is focused
    expect(files.row("made here")).to_have_count(1)
    files.page.keyboard.press("Delete")
    files.press("Delete", exact=True)
    expect(files.row("made here")).to_have_count(0)


@pytest.mark.parametrize("theme", ["JupyterLab Dark High Contrast", "JupyterLab Dark", "JupyterLab Light"])
def test_axe_finds_nothing_in_the_files(shown: PanelPage, files: FilesPage, theme: str) -> None:
    choose_theme(shown, theme)
    files.row("note.txt").dblclick()
    expect(files.root.locator(".rl-preview-text")).to_contain_text("shown")
    files.press("New folder")
    expect(files.root.get_by_label("Name of the new folder")).to_be_focused()
    assert axe(shown.page, ".rl-files") == []


@pytest.mark.parametrize("theme", ["JupyterLab Dark High Contrast", "JupyterLab Dark", "JupyterLab Light"])
def test_axe_finds_nothing_in_what_prints(shown: PanelPage, console: ConsolePage, theme: str) -> None:
    choose_theme(shown, theme)
    console.run(ALL_COLOURS + "; echo wrong >&2; false", ends="exit code 1")
    assert axe(shown.page, ".rl-console") == []
    shown.menu_of("analysis", "Logs")
    logs = LogsPage(shown.page.locator(".rl-logs:visible"))
    logs.shows("wrong")
    logs.search.fill("wrong")
    logs.counts(SOME)
    assert axe(shown.page, ".rl-logs") == []
    open_terminal(shown, "analysis")
    assert axe(shown.page, ".rl-terminal") == []


def test_a_widget_looks_the_same_whichever_was_opened_last(shown: PanelPage, files: FilesPage) -> None:
    shown.panel.get_by_role("button", name="New devbox").click()
    shown.panel.locator(".rl-form summary").click()
    files.row("note.txt").dblclick()
    expect(files.root.locator(".rl-preview-text")).to_contain_text("shown")
    for tool in ("Run a command", "Logs"):
        shown.menu_of("analysis", tool)
    expect(shown.page.locator(".rl-logs:visible")).to_be_visible()
    wait_until(lambda: not shown.page.locator("body").evaluate(MOVES), "the page to come to rest")
    assert shown.page.evaluate(OTHER_LOOKS) == []
    shown.panel.locator(".rl-side").get_by_role("button", name="Close").click()


def test_closing_the_panel_closes_its_tools(shown: PanelPage, files: FilesPage) -> None:
    expect(shown.page.locator(".rl-tool")).not_to_have_count(0)
    shown.run(4)
    expect(shown.page.locator(".rl-tool")).to_have_count(0)
    shown.wait_until_finished()
    shown.run(1)
    shown.shows("analysis", "running")


def test_a_restarted_kernel_is_told_in_its_tools(shown: PanelPage, terminal: TerminalPage) -> None:
    shown.spent = True
    terminal.run("echo typed")
    terminal.shows("typed")
    shown.menu("Kernel", "Restart Kernel…")
    shown.page.locator(".jp-Dialog-button.jp-mod-accept").click()
    expect(terminal.root.locator(".rl-notices")).to_contain_text("then this cell again")
    terminal.is_("Not connected")
    terminal.page.keyboard.type("nobody reads this")
    terminal.lacks("nobody")
    shown.wait_for_idle()  # a JupyterLab that is ended while a kernel restarts does not end
