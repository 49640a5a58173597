"""JupyterLab in Chromium: what its start costs with the extension, and what a widget costs that shows rows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.measure import Row
from tests.browser.lab import open_browser, serve_lab

PAIRS = 9
EXTENSION = "runloop-jupyter"

ROWS = """import anywidget
from runloop_jupyter.widgets import assets
texts = "".join(f"<div class='rl-cell' role='gridcell'>{text}</div>" for text in ("3 h ago", "in 20 min", "elsewhere"))
icon = "<svg viewBox='0 0 16 16' class='rl-icon'><path d='M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 0 0 0-9.6z'/></svg>"
row = (
    "<div class='rl-row limit-row' role='row' style='position: static'>"
    "<div class='rl-cell rl-check' role='gridcell'><input type='checkbox' aria-label='Select a box'></div>"
    "<div class='rl-cell rl-rich' role='gridcell'><span class='rl-name'>a box of many</span></div>"
    f"<div class='rl-cell rl-rich' role='gridcell'>{icon}<span class='rl-status'>running</span></div>{texts}"
    f"<div class='rl-cell rl-last' role='gridcell'><button class='rl-more' aria-label='Actions'>{icon}</button></div>"
    "</div>"
)
class Rows(anywidget.AnyWidget):
    _css = assets.style("panel")
    _esm = f'''export default {{ render({{ el }}) {{
        el.className = 'rl-root rl-panel';
        el.style.setProperty('--rl-tracks', '34px 1fr 130px 110px 160px 125px 36px');
        el.innerHTML = "<div class='rl-list rl-grid'>" + {row!r}.repeat(40) + "</div>";
    }} }}'''
Rows()"""
"""A cell that shows the least there can be of a panel: forty rows of the same elements, by the same style sheet."""

# Resolves with the milliseconds from the navigation until the launcher can be pressed, and painted.
READY = """
window.ready = new Promise((resolve) => {
    const look = () => document.querySelector('.jp-LauncherCard') && !document.querySelector('#jupyterlab-splash')
        ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))) : requestAnimationFrame(look);
    requestAnimationFrame(look);
});"""


async def start() -> list[Row]:
    """The page's start with the extension and without, in turn."""
    return await asyncio.to_thread(paired_starts)


def paired_starts() -> list[Row]:
    """Times by the clock and by the processor. The first pair fills the browser's caches."""
    with open_browser() as browser, served(disabled=False) as ours, served(disabled=True) as bare:
        with_it, without = Start(browser, ours, adds=True), Start(browser, bare, adds=False)
        pairs = [pair(with_it, without, swapped=bool(turn % 2)) for turn in range(PAIRS + 1)][1:]
    return [
        *rows("JupyterLab, to its launcher", [(ours.wall, bare.wall) for ours, bare in pairs]),
        *rows(
            "JupyterLab, to its launcher, on the processor", [(ours.processor, bare.processor) for ours, bare in pairs]
        ),
    ]


def rows(name: str, pairs: Sequence[tuple[float, float]]) -> list[Row]:
    """Both medians, and what one adds: the median of the pairs' differences."""
    ours, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    added = statistics.median(ours - bare for ours, bare in pairs)
    return [
        Row(name, ours, "ms", bare, "without the extension"),
        Row(f"{name}: what the extension adds", added, "ms", goal="<= 30 ms"),
    ]


@contextlib.contextmanager
def served(*, disabled: bool) -> Iterator[str]:
    """JupyterLab, with the extension disabled or not."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-", ignore_cleanup_errors=True) as home:
        config = Path(home) / ".jupyter" / "labconfig"
        config.mkdir(parents=True)
        (config / "page_config.json").write_text(json.dumps({"disabledExtensions": {EXTENSION: disabled}}))
        folder = Path(home) / "notebooks"
        folder.mkdir()
        with serve_lab(folder, Path(home)) as address:
            yield address


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of a start, by the clock and by the processor."""

    wall: float
    processor: float


class Start:
    """The start of one JupyterLab, in a browser of its own that has been there before."""

    def __init__(self, browser: Browser, address: str, *, adds: bool) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 900})
        self._context.add_init_script(READY)
        self._address = address
        self._adds = adds
        self._browser = browser.new_browser_cdp_session()

    def took(self) -> Took:
        """How long the next one takes."""
        page = self._context.new_page()
        before = self._processor_times()
        page.goto(f"{self._address}/lab?reset")
        wall: float = page.evaluate("ready")
        busy = sum(now - before.get(process, 0) for process, now in self._processor_times().items())
        assert bool(page.locator("[data-id=runloop-panel]").count()) is self._adds, "the extension is there, or is not"
        page.close()
        return Took(wall, busy)

    def _processor_times(self) -> dict[int, float]:
        """Milliseconds that each process which shows pages has worked."""
        found = self._browser.send("SystemInfo.getProcessInfo")["processInfo"]
        return {each["id"]: each["cpuTime"] * 1000 for each in found if each["type"] == "renderer"}


def pair(with_it: Start, without: Start, *, swapped: bool) -> tuple[Took, Took]:
    """The times of both; which comes first changes with every pair."""
    if not swapped:
        return with_it.took(), without.took()
    bare = without.took()
    return with_it.took(), bare
