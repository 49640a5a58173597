"""The resource panel: its Python side in this process, its page in Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import statistics
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comm
from comm.base_comm import BaseComm
from playwright.sync_api import Page
from pydantic_core import from_json, to_json

from benchmarks.imports import LOAD, median_of_processes
from benchmarks.lab import ROWS
from benchmarks.measure import Row
from runloop_jupyter.resource_panel.table import Table
from runloop_jupyter.resource_panel.updates import parts
from runloop_jupyter.resource_panel.view import ResourceView
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.widgets import assets
from runloop_jupyter.widgets.protocol import encode
from runloop_jupyter.widgets.protocol.panel import RowsChanged
from tests.browser.lab import open_browser, serve_lab
from tests.browser.panels import PanelPage, many_devboxes, write
from tests.jupyter.panel.faulty_service import devbox

COUNT = 10_000
TIMES = 9
FLOOD = """%%devbox exec --on here
for n in $(seq 300); do head -c 100000 /dev/zero | tr '\\0' x | fold -w 99; sleep 0.1; done"""
# Resolves with the milliseconds from the key that runs a cell until something new is in the page, and painted.
PAINTED = """(selector) => {
    const old = new Set(document.querySelectorAll(selector));
    window.painted = new Promise((resolve) => {
        addEventListener('keydown', (event) => event.key === 'Enter' && look(performance.now()), { capture: true });
        const look = (start) => [...document.querySelectorAll(selector)].some((each) => !old.has(each))
            ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)))
            : requestAnimationFrame(() => look(start));
    });
}"""
EMPTY = """import anywidget
class Empty(anywidget.AnyWidget):
    _esm = "export default { render({ el }) { el.className = 'empty-widget'; } }"
Empty()"""
SCROLL = """() => new Promise((resolve) => {
    const grid = document.querySelector('.rl-panel .rl-main .rl-grid');
    const gaps = [], work = [];
    let last = performance.now(), step = 0;
    const frame = (now) => {
        gaps.push(now - last);
        last = now;
        if (++step > 240) return resolve([gaps.slice(5), work]);
        const start = performance.now();
        grid.scrollTop += 400;
        grid.dispatchEvent(new Event('scroll'));
        void grid.offsetHeight;
        work.push(performance.now() - start);
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
})"""
KEYSTROKE = """(text) => {
    const box = document.querySelector('.rl-search-input');
    box.value = text;
    const start = performance.now();
    box.dispatchEvent(new Event('input', { bubbles: true }));
    void document.querySelector('.rl-panel .rl-main .rl-grid').offsetHeight;
    return performance.now() - start;
}"""
HOUR = """
import asyncio, json, pathlib, re
from runloop_jupyter.widgets import poll_interval
poll_interval.EVERY, poll_interval._SHARE = 0.0, 1.0
panel = runloop_jupyter.panel()
feed, publish, sent = panel._feed, panel.view.comm.publish_msg, 0

def counting(kind, data=None, metadata=None, buffers=None, **keys):
    global sent
    sent += len(json.dumps(data)) + sum(map(len, buffers or ()))
    publish(kind, data, metadata, buffers, **keys)

panel.view.comm.publish_msg = counting

async def polled(part):
    goal, before = feed._looks + 600, sent
    while feed._looks < goal:
        await asyncio.sleep(0.02)
    resident = re.search(r"VmRSS:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
    print(f"{part}: {sent - before} bytes, {resident} kB", flush=True)
panel"""
POLLED = "for part in ('warm', 'changes', 'quiet', 'end'): await polled(part)"
CLICK = """(name) => new Promise((resolve) => {
    const row = [...document.querySelectorAll('.rl-row:not([hidden])')].find((each) => each.textContent.includes(name));
    row.querySelector('.rl-form-ending').click();
    const start = performance.now();
    const look = () => document.querySelector('.rl-facts dd')
        ? resolve(performance.now() - start) : setTimeout(look, 2);
    look();
})"""


async def run() -> list[Row]:
    """The two sides."""
    load = Row("load of the machine as this began: processes that run", os.getloadavg()[0], "")
    extension = Row("%load_ext", await median_of_processes(LOAD), "ms", goal="< 10 ms")
    return [load, extension, *python_side(), *sizes(), *await asyncio.to_thread(in_chromium)]


class Wire(BaseComm):
    """Counts bytes as a notebook's session packs them."""

    size = 0

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        Wire.size += len(json.dumps(data)) + sum(map(len, buffers or ()))


def python_side() -> list[Row]:
    """From the service's answer to what goes to the page: medians."""
    answer = to_json([devbox(number) for number in range(COUNT)])
    before, comm.create_comm = comm.create_comm, Wire
    try:
        view = ResourceView()
        took = [from_answer_to_message(view, answer) for _ in range(TIMES)]
        table = table_of(answer)
        changes = [change_one(view, table, status) for status in ("suspended", "running") * TIMES]
    finally:
        comm.create_comm = before
    wall, cpu = (statistics.median(times) for times in zip(*took, strict=True))
    one, size = (statistics.median(figures) for figures in zip(*changes, strict=True))
    return [
        Row("10,000 devboxes, from the answer to the page's messages", wall, "ms", goal="< 150 ms"),
        Row("  of it on the processor", cpu, "ms", goal="< 150 ms"),
        Row("one changed row of 10,000: Python", one, "ms", goal="< 5 ms"),
        Row("  on the wire", size, "B", goal="< 1000 B"),
    ]


def from_answer_to_message(view: ResourceView, answer: bytes) -> tuple[float, float]:
    """Milliseconds, of the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    for part in parts("devbox", table_of(answer)):
        view.send(*encode(part))
    return (time.perf_counter() - start) * 1000, (time.process_time() - busy) * 1000


def table_of(answer: bytes) -> Table:
    """The table of an answer."""
    table = Table()
    table.take([row for entry in from_json(answer) if (row := KINDS["devbox"].row(entry))], 1)
    return table


def change_one(view: ResourceView, table: Table, status: str) -> tuple[float, int]:
    """Milliseconds and bytes to tell the page of one changed row."""
    Wire.size = 0
    start = time.perf_counter()
    change = table.put(KINDS["devbox"].row(devbox(7, status=status)) or [], 2)
    assert change is not None
    view.send(*encode(RowsChanged("devbox", change.rows, change.gone)))
    return (time.perf_counter() - start) * 1000, Wire.size


def sizes() -> list[Row]:
    """Kilobytes that travel to the page, compressed as a web server or a WebSocket does it, and as they are."""
    goals = {"panel": "<= 45 kB"}
    rows = []
    for name in ("panel", "console", "terminal", "xterm", "logs", "files"):
        parts = [assets.script(name).encode(), assets.style(name).encode()]
        packed = sum(len(zlib.compress(part, 6)) for part in parts) / 1000
        plain = sum(map(len, parts)) / 1000
        label = f"{name}: script and style sheet, compressed"
        rows.append(Row(label, packed, "kB", plain, "as they are", goals.get(name, "")))
    return rows


@contextlib.contextmanager
def notebook(name: str, cells: list[str]) -> Iterator[PanelPage]:
    """A notebook in JupyterLab in Chromium."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-", ignore_cleanup_errors=True) as home:
        folder = Path(home) / "notebooks"
        folder.mkdir()
        with open_browser() as browser, serve_lab(folder, Path(home)) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            yield PanelPage(page, address, write(folder, name, cells))


def in_chromium() -> list[Row]:
    """Ten thousand rows, then a panel beside a cell that streams."""
    return [*many(), *an_hour(), *beside_a_stream()]


def many() -> list[Row]:
    """Ten thousand devboxes."""
    with many_devboxes(COUNT) as url:
        connect = f"import os\nos.environ.update(RUNLOOP_BASE_URL={url!r}, RUNLOOP_API_KEY='key')"
        warm = "import runloop_jupyter\nfirst = runloop_jupyter.panel()\nawait first._feed.fetch_all('devbox')"
        with notebook("many.ipynb", [f"{connect}\n{warm}", EMPTY, "runloop_jupyter.panel()", ROWS]) as shown:
            page = shown.page
            shown.run(0)
            shown.wait_until_finished()
            cells = ((2, ".rl-row:not([hidden], .limit-row)"), (1, ".empty-widget"), (3, ".limit-row"))
            turns = [[painted(shown, *cell) for cell in cells] for _ in range(6)]
            rows, empty, limit = (statistics.median(times[1:]) for times in zip(*turns, strict=True))
            shown.panel.locator(".rl-foot", has_text="10,000").wait_for(timeout=30_000)
            page.evaluate("document.querySelectorAll('.limit-row').forEach(row => row.remove())")
            gaps, work = page.evaluate(SCROLL)
            page.evaluate("document.querySelector('.rl-panel .rl-main .rl-grid').scrollTop = 0")
            keys = keystrokes(page)
            patches = patch_costs(page)
            heap = heap_growth(page)
    return [
        Row("10,000 devboxes in Chromium: cell to rows painted", rows, "ms", limit, "widget of 40 rows", "<= 1.5 x"),
        Row("  the same", rows, "ms", empty, "empty widget", "< 600 ms"),
        Row("scrolling: frames a second, median", 1000 / statistics.median(gaps), "/s", goal="60 /s"),
        Row(
            "  script and layout of a frame, 95th percentile", sorted(work)[len(work) * 95 // 100], "ms", goal="< 16 ms"
        ),
        Row("search among 10,000: a keystroke", statistics.median(keys), "ms", goal="< 16 ms"),
        Row("  the slowest of 40", max(keys), "ms", goal="< 50 ms"),
        Row("a changed row of 10,000 in the page", statistics.median(patches), "ms", goal="< 2 ms"),
        Row("heap after 2,000 changes and 240 frames of scrolling, growth", heap, "kB", goal="flat"),
    ]


def painted(shown: PanelPage, index: int, selector: str) -> float:
    """Milliseconds from the key that runs a cell until the page shows something new."""
    shown.cell(index).locator(".cm-content").click()
    shown.page.evaluate(PAINTED, selector)
    shown.page.keyboard.press("Control+Enter")
    took: float = shown.page.evaluate("painted")
    shown.wait_until_finished()
    return took


def keystrokes(page: Page) -> list[float]:
    """Milliseconds that the page works on each key of a search."""
    page.locator(".rl-search-input").focus()
    words = ("b", "bo", "box", "box-", "box-9", "box-98", "box-987", "")
    return [page.evaluate(KEYSTROKE, text) for text in words * 5]


def an_hour() -> list[Row]:
    """The polls of an hour in a minute, after some to get warm: a third of them with changes, the rest without."""
    with many_devboxes(200) as url:
        connect = f"import os, runloop_jupyter\nos.environ.update(RUNLOOP_BASE_URL={url!r}, RUNLOOP_API_KEY='key')"
        with notebook("hour.ipynb", [connect, HOUR, POLLED]) as shown:
            for index in range(2):
                shown.run(index)
                shown.wait_until_finished()
            shown.run(2)
            shown.wait_for_output(2, "warm")
            heap, nodes = page_memory(shown.page)
            changes = 0
            while "changes" not in shown.outputs()[2]:
                change(url, changes % 20, ("suspended", "running")[changes // 20 % 2])
                changes += 1
                shown.page.wait_for_timeout(100)
            shown.wait_for_output(2, "end")
            heap_after, nodes_after = page_memory(shown.page)
            (_, before), (changed, _), (quiet, _), (quiet_too, after) = map(numbers, shown.outputs()[2].splitlines())
    return [
        Row("an hour's 1,800 polls: sent, for each row that changed", changed / changes, "B", goal="< 1000 B"),
        Row("  sent in the 1,200 without changes, but for answers to beats", quiet + quiet_too, "B", goal="flat"),
        Row("  the page's heap, growth", heap_after - heap, "kB", goal="flat"),
        Row("  nodes in the page, growth", nodes_after - nodes, "", goal="flat"),
        Row("  the kernel's memory, growth", after - before, "kB", goal="flat"),
    ]


def numbers(text: str) -> list[int]:
    """Those in a text."""
    return [int(number) for number in re.findall(r"\d+", text)]


def change(url: str, number: int, status: str) -> None:
    """Change one devbox of the service."""
    with contextlib.suppress(urllib.error.HTTPError):  # it changes, and has no page about it
        urllib.request.urlopen(f"{url}/change/{number}/{status}", timeout=5)


def page_memory(page: Page) -> tuple[float, int]:
    """Kilobytes of the page's heap, and its nodes, after the garbage was collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1000
    nodes = int(session.send("Memory.getDOMCounters")["nodes"])
    session.detach()
    return used, nodes


PATCHES = """(count) => {
    const panel = document.querySelector('.rl-main').closest('.rl-panel').runloop;
    const { store } = panel;
    const rows = [...store.table('devbox').rows.values()];
    const times = [];
    for (let n = 0; n < count; n++) {
        const row = [...rows[(n * 7919) % rows.length]];
        row[2] = n % 2 ? 'running' : 'suspended';
        const start = performance.now();
        panel.rowsChanged('devbox', store.changeRows({ op: 'rows_changed', kind: 'devbox', rows: [row], gone: [] }));
        cancelAnimationFrame(panel.frame);
        panel.paint(); // now, rather than in the next frame
        void panel.element.offsetHeight;
        times.push(performance.now() - start);
    }
    return times;
}"""


def patch_costs(page: Page) -> list[float]:
    """Milliseconds from a change's arrival to the page that shows it."""
    found: list[float] = page.evaluate(PATCHES, 200)
    return found


def heap_growth(page: Page) -> float:
    """Kilobytes that the page's heap has grown by after many changes."""
    page.evaluate(PATCHES, 500)
    before, _ = page_memory(page)
    page.evaluate(PATCHES, 2000)
    page.evaluate(SCROLL)
    return page_memory(page)[0] - before


def beside_a_stream() -> list[Row]:
    """Clicks while a cell streams a megabyte a second."""
    cells = [
        "%load_ext runloop_jupyter\n%devbox create --name here\n%devbox create --name there",
        "%runloop panel",
        FLOOD,
    ]
    with notebook("stream.ipynb", cells) as shown:
        shown.run(0)
        shown.wait_until_finished()
        shown.run(1)
        shown.shows("there", "running")
        shown.run(2)
        shown.page.wait_for_timeout(3000)
        clicks = []
        for name in ("here", "there") * 5:
            clicks.append(shown.page.evaluate(CLICK, name))
            shown.panel.locator(".rl-side").get_by_role("button", name="Close").click()
        shown.menu("Kernel", "Interrupt Kernel")
        shown.wait_until_finished()
    return [
        Row("click to details while a cell streams 1 MB/s: median", statistics.median(clicks), "ms", goal="< 100 ms"),
        Row("  slowest of 10", max(clicks), "ms"),
    ]
