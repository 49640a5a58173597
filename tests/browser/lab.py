"""A real JupyterLab in a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browser_path() -> str:
    """The Chromium of this machine (`make test` installs one where it can)."""
    found = [path for name in (os.environ.get("CHROMIUM", ""), *BROWSERS) if name and (path := shutil.which(name))]
    assert found, "no Chromium: run scripts/chromium.sh, or set CHROMIUM to its path"
    return found[0]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless Chromium."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's own sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=[*FLAGS, *sandbox])
        yield browser
        browser.close()


@contextmanager
def serve_lab(folder: Path, home: Path) -> Iterator[str]:
    """JupyterLab on `folder` with a home of its own; gives its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    options = ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", "--allow-root"]
    settings = home / "settings"
    decline_news(settings)
    environ = {**os.environ, "HOME": str(home), "JUPYTERLAB_SETTINGS_DIR": str(settings)}
    with (home / "lab.log").open("wb") as log:
        lab = subprocess.Popen([*command, *options], env=environ, stdout=log, stderr=log, cwd=folder)
        try:
            wait_until_served(address, lab, home / "lab.log")
            yield address
        finally:
            end(lab)
            subprocess.run([sys.executable, "-m", "runloop_local", "stop"], env=environ, check=True)


def end(lab: subprocess.Popen[bytes]) -> None:
    """End JupyterLab and its kernels. Fails when it does not end by itself, and leaves nothing running even so."""
    lab.terminate()
    try:
        lab.wait(timeout=20)
    except subprocess.TimeoutExpired:
        lab.kill()
        lab.wait()
        raise


def decline_news(settings: Path) -> None:
    """Answer the question whether JupyterLab may fetch news, which would cover a corner of the page."""
    file = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text('{"fetchNews": "false"}')


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_served(address: str, lab: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Return when JupyterLab answers; fail with its log when it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and lab.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/status", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


class Notebook:
    """One notebook open in JupyterLab."""

    def __init__(self, page: Page, address: str, name: str) -> None:
        self.page = page
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        expect(page.locator(".jp-NotebookPanel-toolbar")).to_contain_text("Python 3", timeout=60_000)
        self.wait_for_idle()

    def menu(self, *labels: str) -> None:
        """Choose an entry of the menu bar, such as `Run`, `Run All Cells`."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=labels[0]).first.click()
        for label in labels[1:]:
            self.page.locator(f'.lm-Menu-itemLabel:text-is("{label}")').first.click()

    def run_all(self) -> None:
        """Run all cells, as the menu does, and wait until the kernel is idle."""
        self.menu("Run", "Run All Cells")
        self.wait_until_finished()

    def wait_until_finished(self, seconds: float = 90) -> None:
        """Wait until no cell runs or waits, and every code cell that was run has its number."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .every(prompt => !prompt.textContent.includes('*'))""",
            timeout=seconds * 1000,
        )
        self.wait_for_idle()

    def wait_for_output(self, index: int, text: str, seconds: float = 60) -> None:
        """Wait until the output of a code cell has `text`."""
        self.page.wait_for_function(
            """([index, text]) => (document.querySelectorAll('.jp-CodeCell')[index]
                .querySelector('.jp-Cell-outputArea')?.innerText || '').includes(text)""",
            arg=[index, text],
            timeout=seconds * 1000,
        )

    def wait_for_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)

    def outputs(self) -> list[str]:
        """The text of each code cell's output, in order."""
        return self.page.eval_on_selector_all(
            ".jp-CodeCell",
            "cells => cells.map(c => (c.querySelector('.jp-OutputArea-child') && "
            "c.querySelector('.jp-Cell-outputArea').innerText) || '')",
        )

    def cell(self, index: int):
        """The code cell number `index`, from 0."""
        return self.page.locator(".jp-CodeCell").nth(index)
