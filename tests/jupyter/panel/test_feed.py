"""Looking: what is asked for, how often, and what becomes of it when the service does not do as it should."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest

from runloop_jupyter.resource_panel import forms, row_observer, service_reader
from runloop_jupyter.resource_panel.feed import feed_of
from runloop_jupyter.resource_panel.panel import NEWEST, static_panel
from runloop_jupyter.resource_panel.table import Change, Table
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.session import Session
from runloop_jupyter.widgets.poll_interval import delay, delay_after_failures
from tests.jupyter.panel.faulty_service import FaultyService, devbox, faulty_service
from tests.jupyter.panel.page import MakePage, Page
from tests.waiting import PATIENCE


@pytest.fixture
async def faulty(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultyService]:
    monkeypatch.setattr("runloop_jupyter.widgets.poll_interval.EVERY", 0.05)
    async with faulty_service() as service:
        yield service


@pytest.fixture
async def session(faulty: FaultyService) -> AsyncIterator[Session]:
    made = Session({"RUNLOOP_API_KEY": "key", "RUNLOOP_BASE_URL": faulty.base_url}, say=lambda text: None)
    yield made
    await made.disconnect()


@pytest.fixture
async def page(session: Session, pages: MakePage) -> Page:
    shown = pages(session)
    shown.open()
    return shown


def health(page: Page, kind: str = "devbox") -> dict[str, Any]:
    """The latest word on how looking goes."""
    return next((h["health"] for h in reversed(page.told("health_changed")) if h["kind"] == kind), {})


async def lost(page: Page, text: str) -> None:
    await page.until(lambda: text in str(health(page).get("error", "")), text)


async def recovers(page: Page) -> None:
    await page.until(lambda: health(page).get("error") == "", "the recovery")


MOODS = {
    "401": (401, "", "does not accept the API key (401)"),
    "403": (403, "", "answered 403: in a mood"),
    "429": (429, "retry-after: 0\r\n", "asks for fewer requests (429)"),
    "500": (500, "", "answered 500: in a mood"),
    "503": (503, "", "answered 503: in a mood"),
}


@pytest.mark.parametrize("mood", MOODS.values(), ids=MOODS)
async def test_a_refusal_is_told_rows_stay_and_it_recovers_by_itself(
    faulty: FaultyService, page: Page, mood: tuple[int, str, str]
) -> None:
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    faulty.status, faulty.headers, words = mood
    await lost(page, words)
    assert health(page)["retry"] > time.time() * 1000 - 1000
    assert page.rows()
    faulty.status, faulty.headers, faulty.devboxes = 200, "", [devbox(2), devbox(1)]
    await recovers(page)
    await page.until(lambda: len(page.rows()) == 2, "the new row")


async def test_a_service_that_hangs_is_told_and_it_recovers(
    faulty: FaultyService, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    monkeypatch.setattr(service_reader, "_PATIENCE", 0.2)
    faulty.hangs = True
    await lost(page, "does not answer")
    faulty.hangs = False
    await recovers(page)


async def test_an_action_says_after_a_while_that_the_service_does_not_answer(
    faulty: FaultyService, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    monkeypatch.setattr(row_observer, "_ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(forms, "_GLANCE", 0.1)
    faulty.hangs = True
    page.send("act", kind="devbox", action="keep_alive", ids=["dbx_00001"])
    _, error = (await page.until(lambda: page.failures, "the failure"))[-1]
    assert error.startswith("Not confirmed within 0 s: The service does not answer.")
    page.send("open_form", kind="devbox")
    await page.until(lambda: page.told("form_opened"), "the form, all the same")
    faulty.hangs = False
    page.send("dismiss", kind="devbox", id="dbx_00001")


async def test_a_wait_that_the_service_asks_for_is_kept_unless_the_user_tries_now(
    faulty: FaultyService, page: Page
) -> None:
    await page.until(lambda: health(page).get("loading") is False, "the first look")
    faulty.status, faulty.headers = 429, "retry-after: 120\r\n"
    await lost(page, "asks for fewer requests (429)")
    assert 100_000 < health(page)["retry"] - time.time() * 1000 < 125_000
    faulty.status, faulty.headers = 200, ""
    page.send("retry")
    await recovers(page)


async def test_hundreds_at_once_travel_in_few_messages(faulty: FaultyService, page: Page) -> None:
    faulty.devboxes = [devbox(number) for number in range(300)]
    await page.until(lambda: len(page.rows()) == 300, "the rows")
    page.send("act", kind="devbox", action="keep_alive", ids=list(page.rows()))
    await page.until(lambda: page.told("notice"), "the end")
    assert page.told("notice")[-1]["text"] == "Keep alive: done for 300."
    assert len(page.told("marks_changed")[0]["marks"]) == 300
    assert [mark for _, mark in page.marks[300:]] == [{}] * 300


async def test_a_form_offers_the_snapshot_that_it_is_about_however_old_it_is(
    faulty: FaultyService, page: Page, session: Session
) -> None:
    taken = [{"id": f"snp_{number}", "name": f"s{number}", "create_time_ms": number} for number in range(205)]
    faulty.others["snapshots"] = taken[::-1]
    await page.until(lambda: len(feed_of(session).tables["snapshot"].rows) == 205, "all snapshots")
    page.send("act", kind="snapshot", action="create_devbox", ids=["snp_1"])
    form = (await page.until(lambda: page.told("form_opened"), "the form"))[-1]
    source = next(field for field in form["fields"] if field["name"] == "source")
    assert source["value"] == "snapshot:snp_1"
    assert len(source["options"]) == 202


async def test_choices_of_one_name_have_their_ids_beside_it(faulty: FaultyService, page: Page) -> None:
    ids = ("bpt_0", "bpt_1")
    faulty.others["blueprints"] = [{"id": each, "name": "tools", "status": "build_complete"} for each in ids]
    page.send("open_form", kind="devbox")
    form = (await page.until(lambda: page.told("form_opened"), "the form"))[-1]
    source = next(field for field in form["fields"] if field["name"] == "source")
    assert [label for _, label in source["options"][1:]] == ["Blueprint tools (bpt_0)", "Blueprint tools (bpt_1)"]


async def test_a_form_that_is_refused_stays_open_and_says_why(
    faulty: FaultyService, page: Page, session: Session
) -> None:
    await page.until(lambda: health(page).get("loading") is False, "the first look")
    page.send("open_form", kind="devbox")
    await page.until(lambda: page.told("form_opened"), "the form")
    faulty.status = 403
    page.send("submit_form", name="devbox", values={"name": "x"})
    refused = (await page.until(lambda: page.told("form_refused"), "the refusal"))[-1]
    assert "in a mood (403" in refused["text"]
    assert page.told("form_accepted") == []


async def test_details_that_fail_are_tried_again(faulty: FaultyService, page: Page) -> None:
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    faulty.status = 403
    page.send("follow", kind="devbox", id="dbx_00001")
    await page.until(
        lambda: page.told("details_failed") and "in a mood" in page.told("details_failed")[-1]["error"], "the failure"
    )
    faulty.status = 200
    await page.until(lambda: page.told("details") and page.told("details")[-1]["facts"], "the details")


async def test_times_are_told_by_the_clock_of_the_service(faulty: FaultyService, page: Page) -> None:
    await page.until(lambda: health(page).get("loading") is False, "the first look")
    assert abs(page.told("snapshot")[-1]["now"] / 1000 - time.time()) < 60
    faulty.headers = f"date: {formatdate(time.time() + 3600, usegmt=True)}\r\n"
    clock = (await page.until(lambda: page.told("clock_changed"), "the clock"))[-1]
    assert abs(clock["now"] / 1000 - time.time() - 3600) < 60
    faulty.status = 500
    await lost(page, "answered 500")
    assert abs(health(page)["retry"] / 1000 - time.time() - 3600) < 120


async def test_the_time_left_begins_again_with_keep_alive(faulty: FaultyService, page: Page) -> None:
    hour_ago = round(time.time() - 3600) * 1000
    launch = {"keep_alive_time_seconds": 7200}
    faulty.devboxes = [devbox(1, create_time_ms=hour_ago, launch_parameters=launch)]
    await page.until(lambda: page.rows(), "the row")

    def left() -> float:
        until: float = KINDS["devbox"].value(page.rows()["dbx_00001"], "until")
        return until / 1000 - time.time()

    assert 3500 < left() < 3700
    page.send("act", kind="devbox", action="keep_alive", ids=["dbx_00001"])
    await page.until(lambda: 7100 < left() < 7300, "the renewal")


async def test_marks_go_with_their_rows(faulty: FaultyService, page: Page) -> None:
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    faulty.refused = "/v1/devboxes/dbx_00001/keep_alive"
    page.send("act", kind="devbox", action="keep_alive", ids=["dbx_00001"])
    await page.until(lambda: page.failures, "the failure")
    faulty.devboxes = []
    await page.until(lambda: not page.rows(), "the end of the row")
    page.open("v2")
    await page.until(lambda: len(page.told("snapshot")) > 1, "another snapshot")
    assert page.told("snapshot")[-1]["marks"] == []


async def test_a_service_that_is_not_there_is_told(faulty: FaultyService, session: Session, pages: MakePage) -> None:
    async with faulty_service() as gone:
        session.client.environ = {**session.client.environ, "RUNLOOP_BASE_URL": gone.base_url}
        page = pages(session)
    page.open()
    await lost(page, "is out of reach")


async def test_nothing_travels_while_nothing_changes(faulty: FaultyService, page: Page) -> None:
    faulty.devboxes = [devbox(number) for number in range(50)]
    await page.until(lambda: len(page.rows()) == 50, "the rows")
    await page.until(lambda: health(page).get("loading") is False, "the first look")
    before, asked = len(page.raw), len(faulty.asked)
    await page.until(lambda: len(faulty.asked) > asked + 20, "more looks")
    assert page.raw[before:] == []
    faulty.devboxes[7] = devbox(7, status="suspending")
    await page.until(lambda: page.status("box-7") == "suspending", "the change")
    assert [c["rows"][0][0] for c, _ in page.raw[before:]] == ["dbx_00007"]


async def test_thousands_are_seen_page_by_page_and_each_look_stays_small(faulty: FaultyService, page: Page) -> None:
    faulty.devboxes = [devbox(number) for number in range(3500)]
    await page.until(lambda: len(page.rows()) == 3500, "all rows")
    faulty.devboxes[3400] = devbox(3400, status="suspended")
    await page.until(lambda: page.status("box-3400") == "suspended", "a change far down")
    del faulty.devboxes[3000]
    await page.until(lambda: "dbx_03000" not in page.rows(), "one that is gone")
    asked = len(faulty.asked)
    await page.until(lambda: len(faulty.asked) > asked + 8, "more looks")
    assert max(int(each.split("limit=")[1].split("&")[0]) for each in faulty.asked) <= 1000


async def test_it_loads_until_all_were_seen(faulty: FaultyService, page: Page) -> None:
    faulty.devboxes = [devbox(number) for number in range(3500)]
    await page.until(lambda: health(page).get("loading") is False, "the end of loading")
    assert len(page.rows()) == 3500


async def first_look(page: Page) -> None:
    """What a cell does before it shows the panel."""
    await page.panel._feed.try_to_look_at_newest("devbox", NEWEST, within=PATIENCE)


async def test_a_cell_asks_for_the_newest_alone_and_a_view_has_them_before_it_says_hello(
    faulty: FaultyService, session: Session, pages: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.resource_panel.panel.is_live", lambda: True)
    faulty.devboxes = [devbox(number, create_time_ms=5_000_000 - number) for number in range(3000)]
    page = pages(session)
    await first_look(page)
    assert len(faulty.asked) == 1
    assert page.raw == []
    text = page.panel._repr_mimebundle_()["text/plain"]
    assert text.endswith("There may be older ones: %devbox list shows them all.")
    assert list(page.rows()) == [f"dbx_{number:05}" for number in range(100)]
    assert (page.told("table")[-1]["first"], page.told("table")[-1]["last"]) == (True, False)
    assert "box-" not in page.saved
    page.open()
    await page.until(lambda: len(page.rows()) == 3000, "the others")
    told = len(page.told("snapshot"))
    page.panel._repr_mimebundle_()
    assert len(page.told("snapshot")) == told, "the view that is open knows all"


async def test_of_a_short_list_a_view_has_all_before_it_says_hello(
    faulty: FaultyService, session: Session, pages: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.resource_panel.panel.is_live", lambda: True)
    faulty.devboxes = [devbox(1), devbox(2, status="shutdown")]
    page = pages(session)
    await first_look(page)
    assert "older" not in page.panel._repr_mimebundle_()["text/plain"]
    assert (len(page.rows()), page.told("table")[-1]["last"]) == (2, True)
    assert page.told("snapshot")[-1]["health"]["devbox"] == {"loading": False, "error": "", "retry": None}


async def test_what_was_seen_when_somebody_looked_last_is_not_told_as_true(
    faulty: FaultyService, session: Session, pages: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.widgets.channel.GRACE", 0.05)
    faulty.devboxes = [devbox(number) for number in range(1500)]
    page = pages(session)
    page.open()
    await page.until(lambda: page.panel._feed.tables["devbox"].complete, "the whole list")
    page.send("bye")
    await page.until(lambda: not feed_of(session).running, "the end of the feed")
    faulty.devboxes = [devbox(2000)]
    page.open("v2")
    assert (await page.until(lambda: page.told("snapshot")[1:], "the answer"))[0]["health"]["devbox"]["loading"]
    await page.until(lambda: len(page.rows()) == 1, "what is there now")
    page.send("bye", view="v2")
    await page.until(lambda: not feed_of(session).running, "the end of the feed")
    faulty.devboxes = [devbox(3000)]
    await first_look(page)
    assert [box.name for box in static_panel(page.panel._feed.tables)] == ["box-3000"]


@pytest.mark.parametrize(
    ("place", "says"), [(300, "box-300 "), (1400, "No devbox was found so far: %devbox list looks at all of them.")]
)
async def test_a_cell_looks_on_where_the_newest_have_ended_but_not_for_long(
    faulty: FaultyService, session: Session, pages: MakePage, place: int, says: str
) -> None:
    faulty.devboxes = [devbox(number, status="shutdown") for number in range(1500)]
    faulty.devboxes[place] = devbox(place)
    page = pages(session)
    await first_look(page)
    assert says in repr(static_panel(page.panel._feed.tables))
    assert len(faulty.asked) == 2


ODD = {
    "no fields": {"id": "dbx_odd"},
    "wrong types": {"id": "dbx_odd", "name": 7, "status": None, "create_time_ms": "soon", "launch_parameters": []},
    "unknown state": devbox(0, id="dbx_odd", status="hibernating"),
    "markup": devbox(0, id="dbx_odd", name="<img src=x onerror=alert(1)>", status="<b>running"),
    "long name": devbox(0, id="dbx_odd", name="n" * 1000),
    "odd states": devbox(0, id="dbx_odd", state_transitions=[7, {"status": "running"}, {}], tunnel="yes"),
    "from tomorrow": devbox(0, id="dbx_odd", create_time_ms=4_000_000_000_000),
}


@pytest.mark.parametrize("entry", ODD.values(), ids=ODD)
async def test_an_odd_entry_is_shown_beside_the_others(
    faulty: FaultyService, page: Page, entry: dict[str, Any]
) -> None:
    faulty.devboxes = [devbox(1), entry, {"name": "without an id"}, 7]  # type: ignore[list-item]  # hostile
    await page.until(lambda: len(page.rows()) == 2, "both rows")
    assert page.rows().keys() == {"dbx_00001", "dbx_odd"}
    assert page.panel._repr_mimebundle_()["text/html"].count("<img") == 0


async def test_kinds_that_are_not_served_have_no_tab_and_trouble_no_other(
    faulty: FaultyService, page: Page, session: Session
) -> None:
    await page.until(lambda: health(page).get("loading") is False, "the first look")
    assert page.told("snapshot")[-1]["kinds"] == ("devbox", "blueprint", "snapshot", "object")
    assert feed_of(session).tables.kinds == ("devbox", "blueprint", "snapshot", "object")
    await page.until(lambda: len([each for each in faulty.asked if each.startswith("/v1/objects")]) > 1, "a round")
    assert len([each for each in faulty.asked if each.startswith("/v1/secrets")]) == 1
    assert health(page)["error"] == ""


async def test_a_kind_that_is_refused_troubles_no_other(faulty: FaultyService, page: Page) -> None:
    await page.until(lambda: health(page).get("loading") is False, "the first look")
    faulty.refused = "/v1/objects"
    await lost_kind(page, "object", "answered 403")
    assert health(page)["error"] == ""
    asked = len(faulty.asked)
    await page.until(lambda: len(faulty.asked) > asked + 10, "more looks at the usual pace")


async def lost_kind(page: Page, kind: str, text: str) -> None:
    await page.until(lambda: text in str(health(page, kind).get("error", "")), text)


async def test_another_service_empties_the_tables(faulty: FaultyService, page: Page, session: Session) -> None:
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    async with faulty_service() as other:
        other.devboxes = [devbox(2)]
        session.client.environ = {**session.client.environ, "RUNLOOP_BASE_URL": other.base_url}
        await page.until(lambda: page.rows().keys() == {"dbx_00002"}, "the other service's row")


async def test_a_panel_that_comes_into_sight_again_is_brought_up_to_date_at_once(
    faulty: FaultyService, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.widgets.poll_interval._HIDDEN_EVERY", 3600.0)
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows(), "the row")
    page.send("alive", visible=False)
    looks = page.panel._feed._looks
    await page.until(lambda: page.panel._feed._looks > looks, "the last look before the long pause")
    await asyncio.sleep(0.1)
    faulty.devboxes = [devbox(1), devbox(2)]
    await asyncio.sleep(0.3)
    assert len(page.rows()) == 1
    page.send("alive", visible=True)
    await page.until(lambda: len(page.rows()) == 2, "the row that came meanwhile")


async def test_two_panels_ask_once(faulty: FaultyService, page: Page, session: Session, pages: MakePage) -> None:
    second = pages(session)
    second.open("v2")
    faulty.devboxes = [devbox(1)]
    await page.until(lambda: page.rows() and second.rows(), "the row in both")
    tasks = [task for task in asyncio.all_tasks() if "Feed._run" in repr(task)]
    assert len(tasks) == 1


# What decides


def test_a_table_tells_its_changes_and_knows_what_is_newer() -> None:
    table = Table()
    assert table.take([["a", 1], ["b", 1]], asked_at=1) == Change((["a", 1], ["b", 1]))
    assert table.take([["a", 1], ["b", 1]], asked_at=2) is None
    assert table.put(["a", 2], now=5) == Change((["a", 2],))
    assert table.take([["a", 1]], asked_at=4) is None, "an answer that was asked for before is older"
    assert table.finish(began_at=4) == Change((), ("b",))
    assert table.drop("a") == Change((), ("a",))
    assert table.drop("a") is None


@pytest.mark.parametrize(
    ("looking", "seconds"),
    [
        ({"visible": True, "idle": 0, "spent": 0.1}, 2),
        ({"visible": True, "idle": 0, "spent": 1.0}, 5),
        ({"visible": True, "idle": 3600, "spent": 0.1}, 10),
        ({"visible": False, "idle": 0, "spent": 0.1}, 30),
    ],
    ids=["watched", "slow service", "idle", "hidden"],
)
def test_the_pace_follows_who_looks(looking: dict[str, Any], seconds: float) -> None:
    assert delay(**looking) == seconds


def test_failures_make_it_patient_but_never_stop_it() -> None:
    waits = [delay_after_failures(failures) for failures in range(1, 200)]
    assert 1.5 <= waits[0] <= 2
    assert all(48 <= wait <= 60 for wait in waits[6:])
    assert delay_after_failures(1, told=30) == 30
    assert delay_after_failures(1, told=300) == 300
    assert delay_after_failures(1, told=3000) == 600
