"""Take the README's pictures of the resource panel: `python scripts/panel_pictures.py`, from the project's root."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import expect

from tests.browser.lab import open_browser, serve_lab
from tests.browser.panels import PanelPage, write
from tests.browser.tools import ConsolePage

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
PREPARE = """%load_ext runloop_jupyter
%runloop blueprint build python-tools --run "echo installed"
%devbox create --name web-preview --tunnel --size small
%devbox create --name crawler --size small
%devbox create --name training-run --blueprint python-tools --size large --keep-alive 12h
%devbox suspend crawler
%devbox create --name scratch
%devbox shutdown scratch
%devbox create --name analysis --blueprint python-tools --metadata team=blue --keep-alive 2h"""

COMMAND = r"for n in 25 50 75 100; do printf '\r\033[32m%d%%\033[0m of the tests have run' $n; sleep 0.2; done; echo"
FAILS = "python3 -c 'import numpy'"


def take(target: Path) -> None:
    """One picture for each theme."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        folder = Path(home) / "notebooks"
        folder.mkdir()
        name = write(folder, "panel.ipynb", [PREPARE, "%runloop panel"])
        with open_browser() as browser, serve_lab(folder, Path(home)) as address:
            page = browser.new_page(viewport={"width": 1180, "height": 1400}, device_scale_factor=1.5)
            shown = PanelPage(page, address, name)
            page.keyboard.press("Control+b")
            shown.run(0)
            shown.wait_until_finished()
            shown.run(1)
            shown.row("analysis").locator(".rl-form-ending").click()
            expect(shown.panel.locator(".rl-side")).to_contain_text("team")
            shown.menu_of("analysis", "Run a command")
            console = ConsolePage(page.locator(".rl-console:visible"))
            console.root.evaluate("root => { root.style.height = '262px'; }")
            console.run(COMMAND)
            console.run(FAILS, ends="exit code 1")
            for theme, label in THEMES.items():
                shown.menu("Settings", "Theme", label)
                page.mouse.move(5, 5)
                page.wait_for_timeout(2500)
                shown.cell(1).locator(".jp-OutputArea-output").last.screenshot(path=target / f"panel-{theme}.png")


if __name__ == "__main__":
    take(Path("docs"))
