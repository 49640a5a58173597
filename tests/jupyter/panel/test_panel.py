"""The panel's state, driven as its page drives it, on a real service."""

import asyncio
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from runloop_jupyter.operations.lifecycle import create
from runloop_jupyter.resource_panel.feed import feed_of
from runloop_jupyter.resource_panel.tool_tabs import ToolTabs
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.session import Session
from tests.jupyter.panel.faulty_service import devbox
from tests.jupyter.panel.page import MakePage, Page


def only(page: Page, name: str, kind: str = "devbox") -> str:
    return next(str(row[0]) for row in page.rows(kind).values() if row[1] == name)


async def made(session: Session, page: Page, name: str, **parameters: Any) -> str:
    """A devbox that the page shows."""
    box = await create(session, {"name": name, **parameters}, keep_alive=600)
    page.send("want", kinds=["devbox"])
    await page.until(lambda: page.status(name) == "running", f"{name} to be shown")
    return box.id


async def opened(session: Session, pages: MakePage) -> Page:
    page = pages(session)
    page.open()
    await page.until(lambda: page.told("snapshot") and page.told("table"), "the welcome")
    return page


async def test_a_page_gets_what_there_is_and_then_only_changes(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    identity = await made(session, page, "first")
    before = len(page.raw)
    await session.client.sdk()
    page.send("act", kind="devbox", action="suspend", ids=[identity])
    await page.until(lambda: page.status("first") == "suspended", "the suspension")
    ops = {content["op"] for content, _ in page.raw[before:]}
    assert "table" not in ops
    patches = [c for c, _ in page.raw[before:] if c["op"] == "rows_changed" and c["kind"] == "devbox"]
    assert all(len(json.dumps(patch)) < 1000 for patch in patches)
    await page.until(lambda: page.told("notice"), "a word about it")
    assert page.told("notice")[-1]["text"] == "Suspended first."


def _has_status(page: Page, status: str) -> bool:
    return page.status("acted-on") == status


async def test_each_action_does_what_it_says_and_its_row_follows(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    identity = await made(session, page, "acted-on")
    for action, status in (("suspend", "suspended"), ("resume", "running")):
        page.send("act", kind="devbox", action=action, ids=[identity])
        await page.until(partial(_has_status, page, status), action)
        await page.until(lambda: not page.panel._marks, "the end of its mark")
    page.send("act", kind="devbox", action="keep_alive", ids=[identity])
    await page.until(lambda: "starts again" in page.told("notice")[-1]["text"], "keep-alive")
    page.send("act", kind="devbox", action="snapshot", ids=[identity, identity])
    await page.until(lambda: page.rows("snapshot"), "the snapshot")
    session.current = None
    page.send("act", kind="devbox", action="use", ids=[identity])
    await page.until(lambda: session.current and session.current.id == identity, "use")
    await page.until(lambda: page.told("current_changed")[-1]["id"] == identity, "the page's word of it")


async def test_what_cannot_be_undone_is_asked_about_and_no_means_no(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    one, two = await made(session, page, "doomed-1"), await made(session, page, "doomed-2")
    page.send("act", kind="devbox", action="shutdown", ids=[one, two])
    question = (await page.until(lambda: page.told("confirm"), "the question"))[-1]
    assert question["title"] == "Shut down 2 devboxes?"
    assert [item[:2] for item in question["items"]] == [("doomed-1", one), ("doomed-2", two)]
    page.send("answer", token=question["token"], yes=False)
    page.send("answer", token=question["token"], yes=True)  # answered before: it is no question any more
    await asyncio.sleep(0.3)
    assert page.status("doomed-1") == page.status("doomed-2") == "running"
    page.send("act", kind="devbox", action="shutdown", ids=[one, two])
    question = (await page.until(lambda: len(page.told("confirm")) > 1 and page.told("confirm"), "again"))[-1]
    page.send("answer", token=question["token"], yes=True)
    await page.until(lambda: page.status("doomed-1") == page.status("doomed-2") == "shutdown", "their end")


async def test_a_failure_stands_on_the_row_until_it_is_dismissed(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    identity = await made(session, page, "refused")
    sdk = await session.client.sdk()
    await sdk.devbox.from_id(identity).shutdown()  # the panel has not seen it yet
    page.send("act", kind="devbox", action="suspend", ids=[identity])
    marked, error = (await page.until(lambda: page.failures, "the failure"))[-1]
    assert marked == identity
    assert "(400 for POST" in error or "It is shutdown now" in error
    page.send("dismiss", kind="devbox", id=identity)
    await page.until(lambda: page.marks[-1] == (identity, {}), "its end")


async def test_an_action_on_something_gone_says_so(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    page.send("act", kind="devbox", action="suspend", ids=["dbx_that_never_was"])
    assert (await page.until(lambda: page.failures, "the failure"))[-1][1] == "This devbox is gone."


async def test_a_second_page_and_a_reload_start_with_what_is_shown(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    await made(session, page, "seen-by-two")
    other = pages(session)
    other.open("v2")
    await other.until(lambda: other.status("seen-by-two") == "running", "the second page")
    assert other.panel._feed is page.panel._feed
    before = len(page.raw)
    page.open("v1-reloaded")
    await page.until(lambda: any(c["op"] == "table" for c, _ in page.raw[before:]), "the snapshot")
    assert page.rows() == other.rows()


async def test_closing_the_last_view_ends_the_tasks_and_a_view_that_comes_back_starts_them(
    session: Session, pages: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_jupyter.widgets.channel.GRACE", 0.05)
    page = await opened(session, pages)
    assert feed_of(session).running
    page.send("bye", view="v1")
    await page.until(lambda: not feed_of(session).running, "the end of the feed")
    assert not page.panel.running
    page.open("v2")
    await page.until(lambda: feed_of(session).running, "the feed")


async def test_the_form_says_what_is_wrong_at_the_field_and_makes_a_devbox(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    page.send("open_form", kind="devbox")
    form = (await page.until(lambda: page.told("form_opened"), "the form"))[-1]
    assert {field["name"] for field in form["fields"]} >= {
        "name", "source", "size", "env", "secrets", "mounts", "keep_alive", "tunnel", "metadata",
    }  # fmt: skip
    wrong = {"name": "x" * 1001, "env": "A=1\n2B=2", "keep_alive": "99h", "mounts": "no", "metadata": "team"}
    page.send("submit_form", name="devbox", values=wrong)
    await page.until(lambda: page.told("form_refused"), "the refusal")
    problems = page.told("form_checked")[-1]["problems"]
    assert problems.keys() == wrong.keys()
    assert "'2B=2'" in problems["env"]
    good = {
        "name": "by-form",
        "env": "A=1",
        "metadata": "team=blue",
        "keep_alive": "10m",
        "use": "yes",
        "tunnel": "open",
    }
    page.send("submit_form", name="devbox", values=good)
    await page.until(lambda: page.status("by-form") == "running", "the devbox")
    await page.until(lambda: page.told("form_accepted"), "the form's end")
    magic = page.told("form_checked")[-1]["magic"]
    assert magic == "%devbox create --name by-form --env A=1 --tunnel open --metadata team=blue --keep-alive 10m"
    await page.until(lambda: page.panel._session.current, "the current devbox")
    sdk = await session.client.sdk()
    result = await sdk.devbox.from_id(only(page, "by-form")).cmd.exec("echo $A")
    assert await result.stdout() == "1\n"
    page.send("act", kind="devbox", action="tunnel", ids=[only(page, "by-form")])
    await page.until(lambda: page.told("form_opened")[-1]["name"] == "tunnel", "the tunnel's form")
    page.send("submit_form", name="tunnel", values={"port": "8000", "auth": "open"})
    link = (await page.until(lambda: page.told("link_ready"), "the link"))[-1]
    assert link["url"].startswith("http://8000-")


async def test_a_blueprint_is_built_with_its_log_and_starts_a_devbox_and_goes(
    session: Session, pages: MakePage
) -> None:
    page = await opened(session, pages)
    page.send("open_form", kind="blueprint")
    await page.until(lambda: page.told("form_opened"), "the form")
    values = {"name": "by-panel", "commands": "echo a step of the build"}
    page.send("submit_form", name="blueprint", values=values)
    look = (await page.until(lambda: page.told("details_wanted"), "where to look"))[-1]
    page.send("want", kinds=["blueprint"])
    page.send("follow", kind="blueprint", id=look["id"])
    await page.until(lambda: page.status("by-panel", "blueprint") == "build_complete", "the build")
    lines = await page.until(
        lambda: [line[1] for log in page.told("log_added") for line in log["lines"]], "the log of the build"
    )
    await page.until(
        lambda: "a step of the build" in "".join(t for g in page.told("log_added") for _, t in g["lines"]), lines
    )
    page.send("act", kind="blueprint", action="create_devbox", ids=[look["id"]])
    await page.until(lambda: page.told("form_opened")[-1]["name"] == "devbox", "the devbox's form")
    source = next(field for field in page.told("form_opened")[-1]["fields"] if field["name"] == "source")
    assert source["value"] == f"blueprint:{look['id']}"
    page.send("submit_form", name="devbox", values={"name": "from-blueprint", "source": source["value"]})
    await page.until(lambda: page.status("from-blueprint") == "running", "the devbox")
    page.send("act", kind="blueprint", action="delete", ids=[look["id"]])
    question = (await page.until(lambda: page.told("confirm"), "the question"))[-1]
    page.send("answer", token=question["token"], yes=True)
    await page.until(lambda: not page.status("by-panel", "blueprint"), "its end")


async def test_a_file_goes_up_in_pieces_and_comes_down_beside_the_notebook(
    session: Session, pages: MakePage, tmp_path: Path
) -> None:
    page = await opened(session, pages)
    page.open(kinds=("object",))
    page.send("upload", key="k", name="data.bin")
    pieces = [bytes([number]) * 300_000 for number in range(5)]
    for piece in pieces:
        page.send("upload_part", piece, key="k")
    page.send("upload_end", key="k", whole=True)
    await page.until(lambda: page.status("data.bin", "object") == "read_only", "the object")
    identity = only(page, "data.bin", "object")
    (tmp_path / "data.bin").write_text("somebody's own")
    page.send("act", kind="object", action="download", ids=[identity])
    await page.until(
        lambda: (tmp_path / "data (1).bin").exists() and page.told("notice")[-1]["text"].startswith("Saved")
    )
    assert (tmp_path / "data (1).bin").read_bytes() == b"".join(pieces)
    assert (tmp_path / "data.bin").read_text() == "somebody's own"


async def test_secrets_are_saved_and_their_values_are_nowhere_in_what_a_notebook_keeps(
    session: Session, pages: MakePage
) -> None:
    page = await opened(session, pages)
    page.send("open_form", kind="secret")
    await page.until(lambda: page.told("form_opened"), "the form")
    page.send("submit_form", name="secret", values={"name": "PANEL_TOKEN", "value": "hunter2-hunter2"})
    await page.until(lambda: page.told("notice"), "the secret")
    page.send("follow", kind="secret", id=only(page, "PANEL_TOKEN", "secret"))
    await page.until(lambda: page.told("details"), "its details")
    assert "hunter2" not in page.saved
    assert all("hunter2" not in json.dumps(content) for content, _ in page.raw)
    page.send("act", kind="secret", action="delete", ids=[only(page, "PANEL_TOKEN", "secret")])
    question = (await page.until(lambda: page.told("confirm"), "the question"))[-1]
    page.send("answer", token=question["token"], yes=True)
    await page.until(lambda: not page.rows("secret"), "its end")


async def test_a_network_policy_is_made_and_deleted(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    page.send("open_form", kind="policy")
    await page.until(lambda: page.told("form_opened"), "the form")
    page.send("submit_form", name="policy", values={"name": "some-hosts", "hosts": "example.com\nnot a host"})
    await page.until(lambda: page.told("form_refused"), "the refusal")
    assert "'not a host'" in page.told("form_checked")[-1]["problems"]["hosts"]
    page.send("submit_form", name="policy", values={"name": "some-hosts", "hosts": "example.com\n*.example.org"})
    await page.until(lambda: page.rows("policy"), "the policy")
    (row,) = page.rows("policy").values()
    assert KINDS["policy"].value(row, "allows") == "example.com, *.example.org"
    page.send("act", kind="policy", action="delete", ids=[row[0]])
    question = (await page.until(lambda: page.told("confirm"), "the question"))[-1]
    page.send("answer", token=question["token"], yes=True)
    await page.until(lambda: not page.rows("policy"), "its end")


class Tool(ipywidgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """One that only notes that it was closed."""

    close_message = "it runs on"

    def __init__(self, session: Session, devbox: DevboxInfo) -> None:
        super().__init__(devbox.id)
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()


async def test_tools_open_below_the_table_one_is_shown_and_they_end_with_the_panel(session: Session) -> None:
    changes = []
    tool_tabs = ToolTabs(session, lambda: changes.append(tool_tabs.active), load=lambda action: Tool)
    one, two = (DevboxInfo(identity, name, "running", 0) for identity, name in (("dbx_1", "one"), ("dbx_2", "two")))
    tool_tabs.open("console", one)
    tool_tabs.open("logs", two)
    tool_tabs.open("console", one)
    assert tool_tabs.open_tools == [("console:dbx_1", "Console · one"), ("logs:dbx_2", "Logs · two")]
    console, logs = (tool.widget for tool in tool_tabs.tools)
    assert (console.layout.display, logs.layout.display) == ("", "none")
    assert tool_tabs.close("console:dbx_1") == "it runs on"
    assert console.is_closed
    assert tool_tabs.active == "logs:dbx_2"
    tool_tabs.close_all()
    assert logs.is_closed
    assert changes == ["console:dbx_1", "logs:dbx_2", "console:dbx_1", "logs:dbx_2"]
    tool_tabs.open("terminal", one)
    tool_tabs.open("terminal", one)
    assert [title for _, title in tool_tabs.open_tools] == ["Terminal · one", "Terminal 2 · one"]


async def test_details_have_history_metadata_cells_and_raw_json_without_secrets(
    session: Session, pages: MakePage
) -> None:
    page = await opened(session, pages)
    identity = await made(session, page, "detailed", metadata={"team": "blue"}, tunnel={"auth_mode": "authenticated"})
    page.send("follow", kind="devbox", id=identity)
    shown = (await page.until(lambda: page.told("details"), "the details"))[-1]
    assert shown["metadata"] == [("team", "blue")]
    assert [step[0] for step in shown["history"]][-1] == "running"
    assert ("Run a command", "%%devbox exec --on detailed\necho hello") in shown["cells"]
    raw = json.loads(shown["raw"])
    assert raw["tunnel"]["auth_token"] == raw["tunnel"]["tunnel_key"] == "(hidden)"
    assert raw["id"] == identity
    page.send("act", kind="devbox", action="suspend", ids=[identity])
    await page.until(lambda: page.told("details")[-1]["history"][-1][0] == "suspended", "the details to follow")


async def test_each_page_follows_its_own_details(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    one, two = await made(session, page, "followed-1"), await made(session, page, "followed-2")
    page.open("v2")
    page.send("follow", kind="devbox", id=one)
    page.send("follow", view="v2", kind="devbox", id=two)
    await page.until(lambda: len(page.told("details")) == 2, "both details")
    page.send("act", kind="devbox", action="suspend", ids=[one])
    await page.until(lambda: page.told("details")[-1]["history"][-1][0] == "suspended", "the first to follow")
    assert (page.told("details")[-1]["view"], page.told("details")[-1]["id"]) == ("v1", one)
    page.send("unfollow", view="v2")
    page.send("bye", view="v1")
    await page.until(lambda: not page.panel._followers, "the end of both")


async def test_pruning_lists_what_goes_and_keeps_the_newest(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    identity = await made(session, page, "pruned")
    sdk = await session.client.sdk()
    taken = [(await sdk.devbox.from_id(identity).snapshot_disk(name=f"s{n}")).id for n in range(3)]
    page.send("prune", kind="snapshot")
    question = (await page.until(lambda: page.told("confirm"), "the question"))[-1]
    listed = [item[1] for item in question["items"]]
    assert set(taken[:2]) <= set(listed)
    assert taken[2] not in listed
    page.send("answer", token=question["token"], yes=True)
    await page.until(lambda: not set(taken[:2]) & page.rows("snapshot").keys(), "their end")
    assert taken[2] in page.rows("snapshot")


async def test_what_a_page_of_another_version_asks_for_is_refused_in_words(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    page.send("levitate")
    told = (await page.until(lambda: page.told("notice"), "the refusal"))[-1]
    assert told["error"]
    assert "'levitate'" in told["text"]


async def test_where_there_are_no_widgets_the_panel_is_a_table(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    await made(session, page, "<b>plain</b>")
    bundle = page.panel._repr_mimebundle_()
    assert "<b>plain</b>" in bundle["text/plain"]
    assert "&lt;b&gt;plain&lt;/b&gt;" in bundle["text/html"]


async def test_where_there_are_no_widgets_the_newest_of_many_are_shown(session: Session, pages: MakePage) -> None:
    page = await opened(session, pages)
    await page.until(lambda: page.panel._feed.tables["devbox"].complete, "the whole list")
    for number in range(1000):
        page.panel._feed.put("devbox", devbox(number, create_time_ms=1_700_000_000_000 + number))
    text = page.panel._repr_mimebundle_()["text/plain"]
    assert "box-999 " in text
    assert "box-0 " not in text
    assert re.search(r"And \d+ older ones: %devbox list shows them all\.", text)
    assert len(text) < 20_000


def test_columns_fit_rows() -> None:
    for kind in KINDS.values():
        assert len(kind.row({"id": "x"}) or ()) == len(kind.columns), kind.name
