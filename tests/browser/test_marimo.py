"""The panel in marimo, whose notebooks are Python without magics."""

from __future__ import annotations

import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

from scripts.matrix.home import environ
from scripts.matrix.marimo_page import MarimoSheet, serve_marimo
from tests.environments import ROOT, environment
from tests.waiting import PATIENCE, wait_until


def test_the_panel_is_live_and_says_where_its_tools_open(page: Page, tmp_path: Path) -> None:
    page.set_default_timeout(PATIENCE * 1000)
    python = str(environment(".venv-marimo", "marimo>=0.25", "--editable", str(ROOT)))
    try:
        with serve_marimo(python, tmp_path) as address:
            sheet = MarimoSheet(page, address)
            sheet.run("load")
            wait_until(lambda: "Created matrix" in sheet.output("load"), lambda: sheet.output("load"))
            sheet.run("panel")
            row = page.locator(".rl-panel .rl-row:visible", has_text="matrix")
            expect(row).to_contain_text("running")
            row.locator(".rl-more").click()
            page.get_by_role("menuitem", name="Run a command").click()
            expect(page.locator(".rl-panel")).to_contain_text("Console opens in Jupyter and VS Code only")
            row.locator(".rl-more").click()
            page.get_by_role("menuitem", name="Suspend").click()
            expect(row).to_contain_text("suspended")
    finally:
        subprocess.run([python, "-m", "runloop_local", "stop"], env=environ(tmp_path), check=True)
