"""Take the pictures of the docs in JupyterLab: `python -m scripts.screens [--to FOLDER] [SCENE...]`, or `make screens`.

Each scene is a notebook of its own on the embedded service, and each picture is taken in the light and the dark theme.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import Notebook, open_browser, serve_lab
from tests.browser.panels import MOVES, PanelPage, choose_theme, write
from tests.browser.tools import ConsolePage, FilesPage, LogsPage, TerminalPage
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SCALE = 1.5
COLORS = 256  # of a picture: pages have few more, and the file is a third as large

DEVBOXES = """%load_ext runloop_jupyter
%runloop blueprint build python-tools --run "echo installed"
%devbox create --name web-preview --tunnel --size small
%devbox create --name crawler --size small
%devbox create --name training-run --blueprint python-tools --size large --keep-alive 12h
%devbox suspend crawler
%devbox create --name scratch
%devbox shutdown scratch
%devbox create --name analysis --blueprint python-tools --metadata team=blue --keep-alive 2h"""
FOLDER = r"""%%devbox exec
mkdir -p data reports src
printf 'city,visitors\nAmsterdam,1204\nLisbon,987\nOslo,611\n' > data/visitors.csv
printf '# Visitors\n\nThree cities, one table.\n' > README.md
cat > src/count.py <<'END'
import csv

with open("data/visitors.csv") as table:
    rows = list(csv.DictReader(table))
print(f"{sum(int(row['visitors']) for row in rows):,} visitors in {len(rows)} cities")
END"""
COLOURS = r"""%%devbox exec --on analysis
for name in reading sorting counting; do printf '\033[32m✔\033[0m %s passed\n' "$name"; done
for n in 25 50 75 100; do printf '\r\033[36m%3d%%\033[0m of the tests have run' $n; sleep 0.2; done; echo; sleep 0.5
printf '\033[31m✘ plotting failed\033[0m: \033[1mno display\033[0m\n' >&2"""
COUNTING = """%%devbox python --out total
import csv

with open('data.csv') as table:
    total = sum(int(row['visitors']) for row in csv.DictReader(table))"""
SCIENCE = """%%runloop blueprint build science --size small
FROM ubuntu:24.04
RUN pip install pandas matplotlib"""
CONFIG = """%%devbox write app/config.json
{"sizes": [1, 2, 3], "cached": true}"""
PROGRESS = r"for n in 25 50 75 100; do printf '\r\033[32m%d%%\033[0m of the tests have run' $n; sleep 0.2; done; echo"
FAILS = "python3 -c 'import numpy'"


@dataclass
class Screenshots:
    """A browser and a JupyterLab, and where the pictures go."""

    browser: Browser
    address: str
    folder: Path
    target: Path

    def open(self, cells: Sequence[str], *, width: int = 1180, height: int = 1400) -> PanelPage:
        """Open a notebook with these cells, alone in the window."""
        name = write(self.folder, "pictures.ipynb", list(cells))
        page = self.browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=SCALE)
        shown = PanelPage(page, self.address, name)
        page.keyboard.press("Control+b")
        return shown

    def open_panel(self, *cells: str) -> PanelPage:
        """Open a notebook with a handful of devboxes and their panel, which is cell 1."""
        shown = self.open([DEVBOXES, "%runloop panel", *cells])
        for index in (0, 1):
            shown.run(index)
            shown.wait_until_finished()
        shown.shows("analysis", "running")
        return shown

    def take(self, shown: Notebook, name: str, part: Locator | None = None) -> None:
        """Take a picture of a part of the page, else of the window, in each theme."""
        for theme, label in THEMES.items():
            choose_theme(shown, label)
            shown.page.mouse.move(5, 5)
            path = self.target / f"{name}-{theme}.png"
            if part is None:
                wait_until(lambda: not shown.page.locator("body").evaluate(MOVES), f"{name} to come to rest")
                shown.page.screenshot(path=path, caret="hide")
            else:
                part.scroll_into_view_if_needed()
                wait_until(lambda: not part.evaluate(MOVES), f"{name} to come to rest")
                part.screenshot(path=path, caret="hide")
            reduce(path)


def reduce(path: Path) -> None:
    """Save a picture with fewer colours."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def quickstart(screens: Screenshots) -> None:
    """The quickstart notebook, from its first command to the progress bar."""
    (screens.folder / "quickstart.ipynb").write_bytes((ROOT / "notebooks" / "quickstart.ipynb").read_bytes())
    page = screens.browser.new_page(viewport={"width": 1180, "height": 1490}, device_scale_factor=SCALE)
    notebook = Notebook(page, screens.address, "quickstart.ipynb")
    page.keyboard.press("Control+b")
    notebook.run_all()
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    screens.take(notebook, "quickstart")


def panel(screens: Screenshots) -> None:
    """The panel: its table, details, a form, and in a narrow place."""
    shown = screens.open_panel()
    output = shown.page.locator(".runloop-panel-box")
    shown.panel.locator(".rl-chip", has_text="All").click()
    shown.shows("scratch", "shutdown")
    screens.take(shown, "table", output)
    output.evaluate("box => { box.style.width = '360px'; }")
    screens.take(shown, "narrow", output)
    shown.row("analysis").locator(".rl-name").click()
    expect(shown.panel.locator(".rl-side")).to_contain_text("team")
    screens.take(shown, "narrow-details", output)
    output.evaluate("box => { box.style.width = ''; }")
    screens.take(shown, "details", output)
    shown.panel.get_by_role("button", name="New devbox").click()
    shown.fill(name="report")
    screens.take(shown, "form", output)


def tools(screens: Screenshots) -> None:
    """The tools below the table."""
    shown = screens.open_panel(FOLDER, "%%devbox exec --on analysis\npython3 src/count.py")
    for index in (2, 3):
        shown.run(index)
        shown.wait_until_finished()
    output = shown.page.locator(".runloop-panel-box")
    console_with_details(screens, shown, output)
    shown.panel.locator(".rl-side").get_by_role("button", name="Close").click()
    shown.menu_of("analysis", "Logs")
    LogsPage(shown.page.locator(".rl-logs:visible")).shows("2,802 visitors in 3 cities")
    screens.take(shown, "logs", shown.page.locator(".rl-logs"))
    shown.menu_of("analysis", "Files")
    folder = FilesPage(shown.page.locator(".rl-files:visible"))
    folder.row("README.md").dblclick()
    expect(folder.root.locator(".rl-preview-text")).to_contain_text("Visitors")
    screens.take(shown, "files", folder.root)
    shown.menu_of("analysis", "Open terminal")
    terminal = TerminalPage(shown.page.locator(".rl-terminal:visible"))
    terminal.prompts()
    terminal.run("clear; ls --color=always; python3 src/count.py")
    terminal.shows("2,802 visitors in 3 cities")
    screens.take(shown, "terminal", output)


def console_with_details(screens: Screenshots, shown: PanelPage, output: Locator) -> None:
    """The picture of the whole panel: a table, details and a console."""
    shown.row("analysis").locator(".rl-form-ending").click()
    expect(shown.panel.locator(".rl-side")).to_contain_text("team")
    shown.menu_of("analysis", "Run a command")
    console = ConsolePage(shown.page.locator(".rl-console:visible"))
    console.root.evaluate("root => { root.style.height = '262px'; }")
    console.run(PROGRESS)
    console.run(FAILS, ends="exit code 1")
    screens.take(shown, "panel", output)


def cells(screens: Screenshots) -> None:
    """A cell whose command prints in colour."""
    shown = screens.open([DEVBOXES, COLOURS], height=1000)
    for index in (0, 1):
        shown.run(index)
        shown.wait_until_finished()
    screens.take(shown, "cell-output", shown.cell(1))


def lab(screens: Screenshots) -> None:
    """The extension of JupyterLab: cells in their own language, the current devbox, and the panel at the side."""
    shown = screens.open([DEVBOXES, COLOURS, COUNTING, SCIENCE, CONFIG], width=1320, height=980)
    shown.run(0)
    shown.wait_until_finished()
    shown.page.locator('.lm-TabBar-tab[data-id="runloop-panel"]').click()
    expect(shown.page.locator(".rl-sidebar .rl-row", has_text="analysis").first).to_be_visible()
    screens.take(shown, "lab")


SCENES: dict[str, Callable[[Screenshots], None]] = {
    "quickstart": quickstart,
    "panel": panel,
    "tools": tools,
    "cells": cells,
}
if (ROOT / "ui" / "labextension" / "package.json").exists():
    SCENES["lab"] = lab


def main() -> None:
    """Take the pictures of the named scenes, else of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"one of {', '.join(SCENES)}")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images", help="the folder of the pictures")
    chosen = parser.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    for name in chosen.scenes or SCENES:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            folder = Path(home) / "notebooks"
            folder.mkdir()
            with open_browser() as browser, serve_lab(folder, Path(home)) as address:
                SCENES[name](Screenshots(browser, address, folder, chosen.to))


if __name__ == "__main__":
    main()
