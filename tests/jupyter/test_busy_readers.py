"""HTML and build logs that are made to keep their reader busy."""

from __future__ import annotations

import time

import nh3
import pytest

from runloop_jupyter.operations.builds import step_of
from runloop_jupyter.output.nesting import nests_deeper
from runloop_jupyter.output.untrusted import sanitize

MANY = 3000
ROW = (
    "<tr class='x y'><th>1</th><!-- a note > --><td align='right' title='->'>a &lt; b</td>"
    "<td><br><img src='data:image/png;base64,xx'/></td></tr>"
)


@pytest.mark.parametrize(
    ("markup", "is_deep"),
    [
        pytest.param("<div>" * 11, True, id="open"),
        pytest.param("<div>" * 10 + "</div>" * 10, False, id="as deep as may be"),
        pytest.param("<DIV>" * 11, True, id="capitals"),
        pytest.param("<div/>" * 11, True, id="closed at once, which HTML does not know"),
        pytest.param("<div a='1' b=2 c>" * 11, True, id="with attributes"),
        pytest.param(ROW * MANY, False, id="a long table"),
        pytest.param("<style scoped>x {}</style>" + ROW * MANY, False, id="pandas"),
        pytest.param("<div></span>" * 11, True, id="closes others"),
        pytest.param("<div><!-- </div> -->" * 11, True, id="closed in a comment"),
        pytest.param("<div a='</div>'>" * 11, True, id="closed in an attribute"),
        pytest.param("<div a='>' b='</div>'>" * 11, True, id="closed in a second attribute"),
        pytest.param("<div><title></div></title>" * 11, True, id="closed in a title"),
        pytest.param("<div><![CDATA[</div>]]>" * 11, True, id="closed in a section"),
        pytest.param("<svg>" + "<input>" * 11, True, id="in a picture"),
        pytest.param("1 < 2 " * 11, True, id="not clear"),
        pytest.param("<p>1 < 2", False, id="too little to be deep"),
    ],
)
def test_what_may_be_deep(markup: str, is_deep: bool) -> None:
    assert nests_deeper(markup, 10) is is_deep


@pytest.mark.parametrize(
    "part", ["<div>", "<ul><li>", "<b></div>", "<div a='", "<div a=b ", "<table><td>", "<", "</", "<!--", "<!---"]
)
def test_no_markup_takes_more_than_its_length(part: str) -> None:
    def cost(size: int) -> float:
        begun = time.process_time()
        sanitize({"text/html": part * (size // len(part))})
        return time.process_time() - begun

    small = min(cost(50_000) for _ in range(5))
    assert min(cost(400_000) for _ in range(2)) < 24 * small + 0.05  # it is 8 times as long, whose square is 64


def test_a_long_table_is_shown_in_the_page() -> None:
    shown = sanitize({"text/html": f"<table>{ROW * MANY}</table>"})["text/html"]
    assert shown.startswith("<table>")
    assert nh3.clean(shown).count("<tr>") == MANY


@pytest.mark.parametrize("line", ["[{}", "#1 [{}"])
def test_no_line_of_a_build_takes_more_than_its_length(line: str) -> None:
    def cost(size: int) -> float:
        begun = time.process_time()
        assert step_of(line.format("1" * size)) == ""
        return time.process_time() - begun

    small = min(cost(1_000) for _ in range(5))
    assert min(cost(8_000) for _ in range(2)) < 24 * small + 0.05
    assert step_of("#5 [stage-0 2/5] RUN make") == step_of("[2/5] RUN make") == "RUN make"
