"""How devboxes and results look, as text and as HTML."""

from __future__ import annotations

import time

import pytest

from runloop_jupyter.devboxes import DevboxInfo
from runloop_jupyter.rendering import DevboxCard, DevboxTable, Outcome, Overview, printable
from runloop_jupyter.results import DevboxResult
from runloop_jupyter.transcript import Transcript

MARKUP = "<script>alert(1)</script>"


def box(name: str = "web", **fields) -> DevboxInfo:
    given = {"id": "dbx_1", "status": "running", "created_ms": (time.time() - 125) * 1000, **fields}
    return DevboxInfo(name=name, **given)


def test_a_table_marks_the_current_devbox_and_shows_its_age() -> None:
    lines = repr(DevboxTable([box(), box("other", id="dbx_2", status="suspended")], current="dbx_1")).splitlines()
    assert lines[1].split() == ["→", "web", "dbx_1", "●", "running", "2", "min", "5", "s", "ago"]
    assert lines[2].split()[:4] == ["other", "dbx_2", "◐", "suspended"]
    assert "runloop-current" in DevboxTable([box()], current="dbx_1")._repr_html_()


def test_an_empty_table_says_what_to_type() -> None:
    assert "%devbox create" in repr(DevboxTable([]))
    assert "%devbox create" in DevboxTable([])._repr_html_()


@pytest.mark.parametrize(
    "view",
    [
        DevboxTable([box(MARKUP, status=MARKUP, reason=MARKUP, id=MARKUP)], note=MARKUP),
        DevboxCard(box(MARKUP, metadata=((MARKUP, MARKUP),), source=MARKUP, size=MARKUP), (MARKUP,)),
        Overview((MARKUP,), DevboxTable([box(MARKUP)]), ((MARKUP, MARKUP),)),
    ],
    ids=["table", "card", "overview"],
)
def test_no_markup_from_the_wire_reaches_the_page(view) -> None:
    assert "<script" not in view._repr_html_()
    assert "&lt;script" in view._repr_html_()


def test_control_characters_from_the_wire_do_not_reach_a_terminal() -> None:
    nasty = box("a\x1b[2Jb\rc\nd")
    for view in (DevboxTable([nasty]), DevboxCard(nasty), Outcome(f"Created {nasty.name}", nasty)):
        assert "\x1b" not in repr(view)
        assert "\r" not in repr(view)
    assert printable("a\nb") == "a\N{REPLACEMENT CHARACTER}b"


def test_a_table_of_a_thousand_is_quick() -> None:
    table = DevboxTable([box(f"box-{i}", id=f"dbx_{i}") for i in range(1000)])
    started = time.perf_counter()
    assert repr(table).count("\n") == 1000
    assert table._repr_html_().count("<tr") == 1001
    assert time.perf_counter() - started < 0.25
    assert len(table) == 1000
    assert table[3].name == "box-3"


def test_a_card_leaves_out_what_is_not_known() -> None:
    text = repr(DevboxCard(box(keep_alive=3600, history=(("running", 0),))))
    assert "keep-alive  1 h" in text
    assert "metadata" not in text


def test_a_result_is_one_line_and_keeps_everything() -> None:
    transcript = Transcript()
    transcript.append("stdout", "out\n")
    transcript.append("stderr", "err\n")
    result = DevboxResult(3, transcript, duration=0.5, execution_id="exec_1", devbox_id="dbx_1")
    assert repr(result) == "✗ exit code 3 · 0.50 s · 8 characters of output"
    assert (result.stdout, result.stderr, result.output) == ("out\n", "err\n", "out\nerr\n")
    assert not result.success
    assert "exit code 3" in result._repr_html_()
