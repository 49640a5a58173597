"""A real JupyterLab in a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.own_state import kept_in
from tests.waiting import PATIENCE, wait_until

expect.set_options(timeout=PATIENCE * 1000)

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
        arguments = [*FLAGS, *sandbox]
        browser = playwright.chromium.launch(executable_path=browser_path(), args=arguments, timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@dataclass(frozen=True)
class FrontEnd:
    """What shows notebooks: a Python that has it, its module, and where it opens one."""

    python: str = sys.executable
    module: str = "jupyterlab"
    path: str = "lab/tree"
    options: tuple[str, ...] = ()
    base: str = ""
    """The prefix of all its addresses, as behind JupyterHub: /user/ada."""


LAB = FrontEnd()


@contextmanager
def serve_lab(folder: Path, home: Path, front_end: FrontEnd = LAB) -> Iterator[str]:
    """JupyterLab on `folder` with a home of its own; gives its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}{front_end.base}"
    command = [front_end.python, "-m", front_end.module, "--no-browser", f"--port={port}"]
    options = [
        *front_end.options,
        f"--ServerApp.base_url={front_end.base}/",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}",
        "--allow-root",
    ]
    settings = home / "settings"
    decline_news(settings)
    environ = {
        **os.environ,
        **kept_in(home / "state"),
        "HOME": str(home),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "RUNLOOP_LOCAL_START_TIMEOUT": str(PATIENCE),
    }
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
        lab.wait(timeout=PATIENCE)
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


def wait_until_served(address: str, lab: subprocess.Popen[bytes], log: Path) -> None:
    """Return when JupyterLab answers; fail with its log when it does not."""

    def answers_or_ended() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/api/status", timeout=PATIENCE):
                return True
        except OSError:  # refused, reset or too late
            return lab.poll() is not None

    wait_until(answers_or_ended, lambda: f"JupyterLab:\n{log.read_text()[-3000:]}")
    assert lab.poll() is None, f"JupyterLab did not start:\n{log.read_text()[-3000:]}"


def box(part: Locator) -> dict[str, float]:
    """Where something is on its page, and how large: x, y, width and height."""
    found = part.bounding_box()
    assert found is not None
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


@contextmanager
def momentary(root: Locator, text: str) -> Iterator[None]:
    """What is done here makes a part of the page show a text, be it for a moment that nobody happens to look."""
    seen = root.evaluate_handle(
        """(root, text) => {
            const seen = { text: false };
            const look = () => { seen.text ||= root.textContent.includes(text); };
            new MutationObserver(look).observe(root, { childList: true, characterData: true, subtree: true });
            return seen;
        }""",
        text,
    )
    yield
    wait_until(lambda: seen.evaluate("seen => seen.text"), f"{text!r} to be shown")


class Notebook:
    """One notebook open in JupyterLab."""

    def __init__(self, page: Page, address: str, name: str, front_end: FrontEnd = LAB) -> None:
        self.page = page
        self.address = address
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"{address}/{front_end.path}/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        expect(page.locator(".jp-NotebookPanel-toolbar")).to_contain_text("Python 3")
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

    def wait_until_finished(self) -> None:
        """Wait until no cell runs or waits, and every code cell that was run has its number."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .every(prompt => !prompt.textContent.includes('*'))""",
        )
        self.wait_for_idle()

    def wait_for_output(self, index: int, text: str) -> None:
        """Wait until the output of a code cell has `text`."""
        self.page.wait_for_function(
            """([index, text]) => (document.querySelectorAll('.jp-CodeCell')[index]
                .querySelector('.jp-Cell-outputArea')?.innerText || '').includes(text)""",
            arg=[index, text],
        )

    def wait_for_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')

    def end_kernels(self) -> None:
        """End all kernels of this JupyterLab."""
        kernels = f"{self.address}/api/kernels"
        token = {cookie["name"]: cookie["value"] for cookie in self.page.context.cookies()}["_xsrf"]
        for kernel in self.page.request.get(kernels, timeout=PATIENCE * 1000).json():
            one = f"{kernels}/{kernel['id']}"
            gone = self.page.request.delete(one, headers={"X-XSRFToken": token}, timeout=PATIENCE * 1000)
            assert gone.ok, gone.text()

    def runs(self, index: int) -> bool:
        """Whether a code cell has not ended."""
        return "*" in self.cell(index).locator(".jp-InputPrompt").inner_text()

    def outputs(self) -> list[str]:
        """The text of each code cell's output, in order."""
        texts: list[str] = self.page.eval_on_selector_all(
            ".jp-CodeCell",
            "cells => cells.map(c => (c.querySelector('.jp-OutputArea-child') && "
            "c.querySelector('.jp-Cell-outputArea').innerText) || '')",
        )
        return texts

    def cell(self, index: int) -> Locator:
        """The code cell number `index`, from 0."""
        return self.page.locator(".jp-CodeCell").nth(index)
