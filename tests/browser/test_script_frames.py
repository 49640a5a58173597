"""Frames for output with scripts, in a real browser: they draw, and load nothing from anywhere."""

import base64
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from runloop_jupyter.output.untrusted import sanitize
from tests.browser.lab import Notebook
from tests.waiting import wait_until

# URL and WS are addresses that nobody may ask, HOST is their host and port.
ATTEMPTS = {
    "fetch": "<script>fetch('URL')</script>",
    "request": "<script>x = new XMLHttpRequest; x.open('GET', 'URL'); x.send()</script>",
    "picture": "<script>1</script><img src='URL'>",
    "picture from a script": "<script>new Image().src = 'URL'</script>",
    "style": "<script>1</script><style>body {background: url(URL)}</style>",
    "style sheet": "<link rel=stylesheet href='URL'><script>1</script>",
    "script": "<script src='URL'></script>",
    "module": "<script>import('URL')</script>",
    "module ahead": "<link rel=modulepreload href='URL'><script>1</script>",
    "font": "<script>new FontFace('x', 'url(URL)').load()</script>",
    "film": "<script>1</script><video src='URL' autoplay></video>",
    "websocket": "<script>new WebSocket('WS')</script>",
    "events": "<script>new EventSource('URL')</script>",
    "beacon": "<script>navigator.sendBeacon('URL')</script>",
    "ping": "<a id=a ping='URL' href='#x'>x</a><script>a.click()</script>",
    "link": "<a id=a href='URL'>x</a><script>a.click()</script>",
    "going there": "<script>location = 'URL'</script>",
    "going there from a new document": (
        "<script>document.open(); document.write('<script>location.href = \"URL\"</' + 'script>'); "
        "document.close()</script>"
    ),
    "refresh": "<script>1</script><meta http-equiv=refresh content='0; url=URL'>",
    "ahead": "<link rel=prefetch href='URL'><script>1</script>",
    "soon": "<link rel=preload as=script href='URL'><script>1</script>",
    "frame": "<script>1</script><iframe src='URL'></iframe>",
    "object": "<script>1</script><object data='URL'></object>",
    "worker": "<script>new Worker(URL.createObjectURL(new Blob([\"importScripts('URL')\"])))</script>",
    "fetch of a worker": "<script>new Worker(URL.createObjectURL(new Blob([\"fetch('URL')\"])))</script>",
    "blob": (
        '<script>location = URL.createObjectURL(new Blob(["<script>fetch(\'URL\')</" + "script>"], '
        "{type: 'text/html'}))</script>"
    ),
    "data": "<script>location = 'data:text/html,<script>fetch(\"URL\")</' + 'script>'</script>",
    "an own policy": (
        "<meta http-equiv=Content-Security-Policy content='default-src * data: blob: \"unsafe-inline\"'>"
        "<script>1</script><img src='URL'>"
    ),
    "an end of the frame": "</iframe></html><script>1</script></body>\"'><img src='URL'>",
}
PLOT = """<div id="plot"></div><script type="text/javascript">%s</script><script>
const canvas = document.createElement("canvas"); document.getElementById("plot").append(canvas);
const pen = canvas.getContext("2d"); pen.fillStyle = "teal";
[3, 7, 5, 9].forEach((n, i) => pen.fillRect(i * 60, 150 - n * 14, 50, n * 14));
const image = new Image(); image.onload = () => document.body.append(` drawn ${eval("1 + 1")} ${library.length}`);
image.src = canvas.toDataURL(); document.body.append(image);
</script>"""


class Listener:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        seen: set[str] = set()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.add(self.path)
                self.send_error(404)

            do_POST = do_GET  # noqa: N815 -- the names that http.server asks for

            def log_message(self, *_: object) -> None:
                pass

        self.seen = seen
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def aimed(self, markup: str, path: str) -> str:
        """The markup, made to ask for a path."""
        markup = re.sub(r"\bURL(?!\.)", f"http://{self.host}{path}", markup)
        return markup.replace("WS", f"ws://{self.host}{path}")


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.shutdown()
    found.server.server_close()


def shown(markup: str, *, network: bool = False) -> str:
    return sanitize({"text/html": markup}, frame_network=network)["text/html"]


def test_nothing_is_asked_for_unless_the_user_allows_it(page: Page, browser: Browser, listener: Listener) -> None:
    paths = {name: f"/{number}" for number, name in enumerate(ATTEMPTS)}
    frames = [shown(listener.aimed(markup, f"/closed{paths[name]}")) for name, markup in ATTEMPTS.items()]
    assert all(frame.startswith("<iframe") for frame in frames)
    page.set_content("<body>" + "".join(frames))
    other = browser.new_page()
    # The same with a network, one for each page as it is waited for: all of them ask.
    for name, markup in ATTEMPTS.items():
        other.set_content("<body>" + shown(listener.aimed(markup, paths[name]), network=True))
        wait_until(lambda path=paths[name]: path in listener.seen, lambda name=name: f"{name} to ask")
    other.close()
    assert sorted(path for path in listener.seen if path.startswith("/closed")) == []


def test_no_peer_is_looked_for(page: Page) -> None:
    markup = "<p id=p>?</p><script>p.textContent = typeof RTCPeerConnection</script>"
    page.set_content(shown(markup))
    expect(page.frame_locator("iframe").frame_locator("iframe").locator("#p")).to_have_text("undefined")
    page.set_content(shown(markup, network=True))
    expect(page.frame_locator("iframe").locator("#p")).to_have_text("function")


def test_a_plot_with_its_library_inside_is_drawn(page: Page) -> None:
    library = f"const library = {'x' * 4_000_000!r};"
    page.set_content(f"<body style='background: white'>{shown(PLOT % library)}")
    inner = page.frame_locator("iframe").frame_locator("iframe")
    expect(inner.locator("body")).to_contain_text("drawn 2 4000000")
    size = inner.locator("html").evaluate("() => [innerWidth, innerHeight]")
    assert size[0] > 1000
    assert 300 < size[1] == inner.locator("html").evaluate("root => root.scrollHeight")
    if "SCREENSHOT" in os.environ:
        page.screenshot(path=os.environ["SCREENSHOT"])


def test_a_plot_whose_library_is_elsewhere_says_what_to_set(page: Page, listener: Listener) -> None:
    markup = listener.aimed("<script src='URL'></script><p>the plot</p>", "/library.js")
    page.set_content(shown(markup))
    inner = page.frame_locator("iframe").frame_locator("iframe")
    expect(inner.locator("body")).to_contain_text(f"no network: {listener.host}.")
    expect(inner.locator("body")).to_contain_text("%config RunloopMagics.frame_network = True")


def test_the_page_around_is_out_of_reach(page: Page) -> None:
    tries = ["parent.hacked", "parent.parent.hacked", "top.hacked", "frameElement.hacked"]
    script = "".join(f"try {{ {each} = true }} catch (error) {{ said.push(error.name) }}\n" for each in tries)
    page.set_content(shown(f"<p id=p></p><script>const said = []; {script} p.textContent = said.join()</script>"))
    inner = page.frame_locator("iframe").frame_locator("iframe")
    expect(inner.locator("#p")).to_have_text(re.compile("SecurityError"))
    assert page.evaluate("window.hacked") is None


CONTENTS = {
    # markup, and how high it is
    "less than the frame was": ("<style>body {margin: 0}</style><div style='height: 120px'></div>", 120),
    "more than the frame was": ("<style>body {margin: 0}</style><div style='height: 900px'></div>", 900),
    "with its margins": ("<style>body {margin: 8px}</style><div style='height: 100px'></div>", 116),
    "a part of a pixel": ("<style>body {margin: 0}</style><div style='height: 99.3px'></div>", 100),
    "out of its place": (
        "<style>body {margin: 0} p {position: absolute; top: 600px; height: 50px; margin: 0}</style><p>x</p>",
        650,
    ),
    "as high as it may be": ("<style>body {margin: 0}</style><div style='height: 20000px'></div>", 10_000),
    "less than its window, of which it takes all": (
        "<style>html, body {height: 100%; margin: 0; display: flow-root}</style><div style='height: 150px'></div>",
        150,
    ),
    "as high as the frame": ("<style>html, body, div {height: 100%; margin: 0}</style><div></div>", 420),
}


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("case", CONTENTS)
def test_the_frame_is_as_high_as_what_it_shows(page: Page, case: str, network: bool) -> None:
    markup, height = CONTENTS[case]
    page.set_content(shown(markup, network=network))
    expect(page.locator("iframe")).to_have_css("height", f"{height}px")
    assert page.locator("iframe").evaluate("frame => frame.scrollHeight === frame.clientHeight")


def test_a_wide_table_has_its_scrollbar_below_it(page: Page) -> None:
    page.set_content(shown("<style>body {margin: 0}</style><div style='height: 100px; width: 9000px'></div>"))
    inner = page.frame_locator("iframe").frame_locator("iframe")
    expect(page.locator("iframe")).not_to_have_css("height", "420px")
    assert inner.locator("html").evaluate("root => root.scrollHeight === root.clientHeight")


def test_what_is_opened_and_closed_later_makes_the_frame_grow_and_shrink(page: Page) -> None:
    details = "<details><summary>more</summary><div style='height: 500px'></div></details>"
    page.set_content(shown(f"<style>body {{margin: 0}} summary {{height: 30px}}</style>{details}"))
    inner = page.frame_locator("iframe").frame_locator("iframe")
    for height in (30, 530, 30):
        expect(page.locator("iframe")).to_have_css("height", f"{height}px")
        inner.locator("summary").click()


def test_what_is_higher_than_any_frame_does_not_grow_for_ever(page: Page) -> None:
    page.set_content(shown("<style>body {margin: 0} div {height: calc(100vh + 16px)}</style><div></div>"))
    page.wait_for_function("document.querySelector('iframe').style.height !== '420px'")
    heights = page.evaluate(
        """async () => {
          const frame = document.querySelector("iframe"), seen = [];
          for (let count = 0; count < 60; count++) {
            await new Promise(requestAnimationFrame);
            seen.push(frame.offsetHeight);
          }
          return seen;
        }"""
    )
    assert heights[-1] == heights[-20] < 600


HEIGHTS = [
    "{height: -5}",
    "{height: 'a'}",
    "{height: {valueOf: 1}}",
    "{height: NaN}",
    "null",
    "5",
    "{height: Infinity}",
]


def test_only_heights_are_taken_and_only_from_the_frame(page: Page) -> None:
    said = "".join(f"parent.postMessage({each}, '*'); " for each in HEIGHTS[:-1])
    script = f"<script>document.body.onclick = () => {{ {said} }}</script>"
    page.set_content(shown(f"<style>body {{margin: 0}}</style><body><p style='height: 70px; margin: 0'>x</p>{script}"))
    expect(page.locator("iframe")).to_have_css("height", "70px")
    page.frame_locator("iframe").frame_locator("iframe").locator("p").click()
    page.evaluate("postMessage({height: 600}, '*')")
    page.evaluate("new Promise(done => setTimeout(done, 100))")
    expect(page.locator("iframe")).to_have_css("height", "70px")


ESTIMATOR = """<style>#e {color: black; padding: 10px}
@media (prefers-color-scheme: dark) {#e {color: white}}</style>
<div id="e"><details><summary>LogisticRegression</summary><pre style="height: 200px">LogisticRegression()</pre>
</details></div>"""
CELL = f"""from IPython.display import display
from runloop_jupyter.output.untrusted import sanitize
display(sanitize({{"text/html": {ESTIMATOR!r}}}), raw=True)"""


def is_readable(page: Page) -> bool:
    """Whether the estimator's text is light on dark or dark on light, as the picture of the page has it."""
    frame = page.locator("iframe")
    png = base64.b64encode(frame.screenshot()).decode()
    corner = page.evaluate(
        """async (png) => {
          const image = new Image();
          image.src = `data:image/png;base64,${png}`;
          await image.decode();
          const pen = new OffscreenCanvas(image.width, image.height).getContext("2d");
          pen.drawImage(image, 0, 0);
          return pen.getImageData(image.width - 40, 4, 1, 1).data[0];
        }""",
        png,
    )
    text = frame.content_frame.frame_locator("iframe").locator("#e").evaluate("e => getComputedStyle(e).color")
    return abs(int(re.findall(r"\d+", text)[0]) - corner) > 200


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("system", ["light", "dark"])
def test_what_a_frame_shows_can_be_read_whatever_the_colours_around(browser: Browser, system: str, theme: str) -> None:
    page = browser.new_page(color_scheme=system)
    is_light, colour = ("true", "#fff") if theme == "light" else ("false", "#111")
    page.set_content(f"<body data-jp-theme-light={is_light} style='background: {colour}'>{shown(ESTIMATOR)}")
    expect(page.locator("iframe")).not_to_have_css("height", "420px")
    expect(page.locator("iframe")).to_have_css("color-scheme", theme)
    wait_until(lambda: is_readable(page), "text that can be read")
    page.close()


def test_in_jupyterlab_an_estimator_fits_and_can_be_read_light_and_dark(page: Page, lab: str, lab_folder: Path) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)], metadata=kernel)
    (lab_folder / "estimator.ipynb").write_text(nbformat.writes(notebook))
    opened = Notebook(page, lab, "estimator.ipynb")
    opened.run_all()
    frame = page.locator(".jp-OutputArea iframe")
    inner = frame.content_frame.frame_locator("iframe")
    try:
        for theme in ("Light", "Dark", "Light"):
            opened.menu("Settings", "Theme", f"JupyterLab {theme}")
            expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "Light").lower())
            expect(frame).to_have_css("color-scheme", theme.lower())
            wait_until(lambda: is_readable(page), f"text that can be read in {theme}")
            for _ in range(2):
                before = frame.bounding_box()["height"]
                inner.locator("summary").click()
                wait_until(lambda before=before: frame.bounding_box()["height"] != before, "another height")
                assert inner.locator("html").evaluate("root => root.scrollHeight === root.clientHeight")
                assert abs(frame.bounding_box()["height"] - inner.locator("html").bounding_box()["height"]) <= 1
    finally:
        opened.end_kernels()
