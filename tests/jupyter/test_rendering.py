"""How devboxes and results look, as text and as HTML."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runloop_jupyter.errors import UsageError
from runloop_jupyter.output.transcript import Transcript
from runloop_jupyter.rendering import Details, Done, Listing, Overview, devbox_details, devbox_listing, printable
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.results import DevboxResult
from runloop_sdk.models.objects import ObjectView

MARKUP = "<script>alert(1)</script>"
UPLOADING = ObjectView(
    id="obj_1",
    name="data.csv",
    content_type="text",
    state="UPLOADING",
    create_time_ms=0,
    upload_url="https://storage.example/?signature=1",
)


def box(name: str = "web", **fields: Any) -> DevboxInfo:
    given = {"id": "dbx_1", "status": "running", "created_ms": (time.time() - 125) * 1000, **fields}
    return DevboxInfo(name=name, **given)


def test_a_table_marks_the_current_devbox_and_shows_its_age() -> None:
    lines = repr(devbox_listing([box(), box("other", id="dbx_2", status="suspended")], current="dbx_1")).splitlines()
    assert lines[1].split() == ["→", "web", "dbx_1", "●", "running", "2", "min", "5", "s", "ago"]
    assert lines[2].split()[:4] == ["other", "dbx_2", "◐", "suspended"]
    assert "runloop-current" in devbox_listing([box()], current="dbx_1")._repr_html_()


def test_an_empty_table_says_what_to_type() -> None:
    assert "%devbox create" in repr(devbox_listing([]))
    assert "%devbox create" in devbox_listing([])._repr_html_()


@pytest.mark.parametrize(
    "view",
    [
        devbox_listing([box(MARKUP, status=MARKUP, reason=MARKUP, id=MARKUP, owner=MARKUP, ends=MARKUP)], note=MARKUP),
        devbox_details(box(MARKUP, metadata=((MARKUP, MARKUP),), source=MARKUP, size=MARKUP, owner=MARKUP)),
        Overview((MARKUP,), devbox_listing([box(MARKUP)]), ((MARKUP, MARKUP),)),
    ],
    ids=["table", "card", "overview"],
)
def test_no_markup_from_the_wire_reaches_the_page(view: Details[DevboxInfo] | Listing[DevboxInfo] | Overview) -> None:
    assert "<script" not in view._repr_html_()
    assert "&lt;script" in view._repr_html_()


NASTY = "a\x1b[2Jb\rc\nd"


@pytest.mark.parametrize(
    "view",
    [
        devbox_listing([box(NASTY, id=NASTY, status=NASTY)]),
        devbox_details(box(NASTY, id=NASTY, history=((NASTY, 0),))),
        Done(f"Created {NASTY}", box(NASTY)),
        Listing([NASTY], {"id": str, "status": str, "name": str}, none=""),
        Details(NASTY, [("id", NASTY), ("name", NASTY)]),
    ],
    ids=["devboxes", "devbox", "done", "table", "card"],
)
def test_control_characters_from_the_wire_reach_neither_a_terminal_nor_a_page(
    view: object,
) -> None:
    for shown in (repr(view), getattr(view, "_repr_html_", view.__repr__)()):
        assert "\x1b" not in shown
        assert "\r" not in shown
        assert "b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}d" in shown


def test_a_line_that_breaks_is_no_line_of_ours() -> None:
    assert printable("a\nb") == "a\N{REPLACEMENT CHARACTER}b"


def test_titles_are_headers_of_columns_and_of_rows() -> None:
    assert '<th scope="col">status</th>' in devbox_listing([box()])._repr_html_()
    assert '<th scope="row">status</th>' in devbox_details(box())._repr_html_()


def test_long_names_go_on_below_and_wrap_in_a_page() -> None:
    words = "word " * 30
    lines = repr(devbox_listing([box(words), box("short", id="dbx_2")])).splitlines()
    assert len(lines) == 5
    assert lines[1].rstrip().endswith("ago")
    assert max(map(len, lines)) < 120
    assert repr(devbox_listing([box("z" * 150)])).count("z") == 150
    assert f'<td class="runloop-long">{words}</td>' in devbox_listing([box(words)])._repr_html_()


@pytest.mark.parametrize(
    ("things", "columns", "rows"),
    [
        (devbox_listing([box(), box("other", id="dbx_2")]), {"id", "name", "status"}, 2),
        (devbox_listing([]), set(), 0),
        (devbox_details(box()), {"id", "name", "status"}, 1),
        (Done("Created web.", box()), {"id", "name", "status"}, 1),
        (Done("Deleted 2.", (box(), box())), {"id", "name", "status"}, 2),
        (Done("Saved.", Path("file.txt")), {"value"}, 1),
        (Overview((), devbox_listing([box()]), ()), {"id"}, 1),
        (Listing([("keep", "off")], {"setting": lambda row: row[0]}, none=""), {"setting"}, 1),
        (Listing([UPLOADING], {"name": lambda view: view.name}, none=""), {"id", "name", "size_bytes"}, 1),
    ],
    ids=["devboxes", "none", "devbox", "done", "several done", "path", "overview", "settings", "views"],
)
def test_everything_becomes_a_data_frame(
    things: Details[Any] | Done[Any] | Listing[Any] | Overview, columns: set[str], rows: int
) -> None:
    frame = things.to_dataframe()
    assert columns <= set(frame.columns)
    assert len(frame) == rows
    assert "signature" not in frame.to_csv()


def test_without_pandas_a_data_frame_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="%pip install pandas"):
        devbox_listing([box()]).to_dataframe()


def test_a_card_has_the_attributes_of_what_it_shows() -> None:
    card = devbox_details(box())
    assert (card.id, card.name, card.status) == ("dbx_1", "web", "running")
    assert {"id", "name", "to_dataframe"} <= set(dir(card))
    assert not hasattr(card, "colour")


def test_a_bar_shows_how_long_each_state_lasted() -> None:
    history = (
        ("provisioning", 1_000),
        ("running", 3_000),
        ("suspended", 63_000),
        ("running", 70_000),
        ("shutdown", 71_000),
    )
    page = devbox_details(box(status="shutdown", history=history, ended_ms=71_000))._repr_html_()
    assert "provisioning 2.0 s, running 1 min, suspended 7.0 s, running 1.0 s" in page
    assert page.count("<span") == 4
    assert "flex-grow: 60000" in page
    assert "<span" not in devbox_details(box())._repr_html_(), "no history, no bar"


def test_a_table_is_a_sequence_of_what_it_shows() -> None:
    table = devbox_listing([box(f"box-{i}", id=f"dbx_{i}") for i in range(1000)])
    assert repr(table).count("\n") == 1000
    assert table._repr_html_().count("<tr") == 1001
    assert len(table) == 1000
    assert table[3].name == "box-3"


def test_a_card_leaves_out_what_is_not_known() -> None:
    text = repr(devbox_details(box(keep_alive=3600, history=(("running", 0),))))
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
    assert "exit code 3" in result._repr_mimebundle_()["text/html"]


def test_a_column_without_any_text_is_left_out() -> None:
    table = Listing(["a", "b"], {"name": str, "message": lambda _: ""}, none="")
    assert repr(table).split() == ["name", "a", "b"]
    assert "message" not in table._repr_html_()


def test_a_slice_of_a_table_is_a_table() -> None:
    table = devbox_listing([box(f"box-{i}", id=f"dbx_{i}") for i in range(5)])
    assert [each.name for each in table[1:3]] == ["box-1", "box-2"]
    assert "box-1" in table[1:3]._repr_html_()


def test_a_table_of_things_without_any_text_still_has_a_row_for_each() -> None:
    table = Listing(["a", "b"], {"message": lambda _: ""}, none="")
    assert repr(table) == "message\n\n"
    assert table._repr_html_().count("<tr") == 3


def test_an_empty_slice_does_not_say_that_there_is_nothing() -> None:
    table = devbox_listing([box()])
    assert repr(table[1:]) == "Nothing in this part of the list."
    assert "No devboxes" not in table[1:]._repr_html_()
    assert "%devbox create" in repr(devbox_listing([])[:1])
