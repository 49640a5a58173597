"""How the SDK's own objects show as the last value of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runloop_jupyter.rendering.cards import card_of, table_of
from runloop_sdk import Page
from runloop_sdk.models.axons import AxonView
from runloop_sdk.models.devboxes import DevboxView
from runloop_sdk.models.executions import DevboxAsyncExecutionDetailView
from runloop_sdk.models.objects import ObjectView
from runloop_sdk.models.usage import DevboxResourceUsageView
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Cell, Kernel

MARKUP = "<script>alert(1)</script>"


def page_of(cell: Cell) -> str:
    """The HTML of its last value."""
    (result,) = (message for message in cell.check().messages if message.kind == "execute_result")
    return str(result.content["data"]["text/html"])


@pytest.fixture(scope="module")
def sdk(kernel: Kernel) -> Kernel:
    """A kernel whose `sdk` is the session's own."""
    kernel.run("from runloop_jupyter.magics import current_session").check()
    kernel.run("sdk = await current_session().client.sdk()\nbox = await sdk.devbox.create(name='shown')").check()
    kernel.run(f"from runloop_jupyter.output import displays; displays._TIMEOUT = {PATIENCE}").check()
    return kernel


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("box", ("shown", "● running", "runloop-bar")),
        ("await box.get_info()", ("shown", "● running")),
        ("await box.cmd.exec('echo hello; exit 3')", ("✗ exit code 3", "hello")),
        ("await box.cmd.exec_async('sleep 1000')", ("● running", "dbx_")),
        ("await sdk.api.devboxes.list()", ("shown", "main", '<th scope="col">status</th>')),
        ("await sdk.api.devboxes.retrieve_resource_usage(box.id)", ("processors", "vCPU")),
        ("await box.snapshot_disk(name='before')", ("before", "✓ complete", "%runloop snapshot restore before")),
        ("await sdk.storage_object.upload_from_text('hi', name='x.txt')", ("x.txt", "2 B", "✓ read only")),
        ("await sdk.secret.create(name='TOKEN', value='s3cret')", ("TOKEN", "--secret VARIABLE=TOKEN")),
        ("await sdk.network_policy.create(name='closed')", ("closed", "nothing")),
        ("await sdk.axon.create(name='events')", ("events", "created")),
    ],
    ids=["devbox", "view", "result", "command", "page", "usage", "snapshot", "object", "secret", "policy", "axon"],
)
def test_the_last_value_of_a_cell_is_a_card(sdk: Kernel, code: str, words: tuple[str, ...]) -> None:
    page = page_of(sdk.run(code))
    assert all(word in page for word in words), page
    assert "s3cret" not in page
    assert "signature" not in page


def test_a_card_tells_the_state_of_now(sdk: Kernel) -> None:
    sdk.run("gone = await sdk.devbox.create(name='gone')").check()
    assert "● running" in page_of(sdk.run("gone"))
    assert "○ shutdown" in page_of(sdk.run("await gone.shutdown()\ngone"))


def test_without_an_answer_the_name_is_shown(sdk: Kernel, home: Home) -> None:
    sdk.run("displays._TIMEOUT = 1.0").check()
    with home.silent():
        cell = sdk.run("box").check()  # ends while the service is still silent
        sdk.run(f"displays._TIMEOUT = {PATIENCE}").check()
    assert cell.results == [sdk.value("repr(box)")]


def test_unloading_gives_the_plain_text_back(sdk: Kernel) -> None:
    sdk.run("%unload_ext runloop_jupyter").check()
    (shown,) = (m for m in sdk.run("box").check().messages if m.kind == "execute_result")
    assert "text/html" not in shown.content["data"]
    sdk.run("%load_ext runloop_jupyter").check()


@pytest.mark.parametrize(
    "view",
    [
        DevboxView(id=MARKUP, name=MARKUP, status=MARKUP, create_time_ms=0, metadata={MARKUP: MARKUP}),
        ObjectView(id=MARKUP, name=MARKUP, content_type=MARKUP, state=MARKUP, create_time_ms=0),
        AxonView(id=MARKUP, name=MARKUP, created_at_ms=0, of_tomorrow={MARKUP: [MARKUP]}),  # type: ignore[call-arg]
    ],
    ids=["devbox", "object", "any other"],
)
def test_nothing_of_the_wire_is_markup(view: object) -> None:
    for page in (card_of(view)._repr_html_(), table_of(Page((view,)))._repr_html_()):
        assert "<script" not in page
        assert "&lt;script" in page


def test_a_signed_address_is_on_no_card() -> None:
    view = ObjectView(
        id="obj_1",
        name="x",
        content_type="text",
        state="UPLOADING",
        create_time_ms=0,
        upload_url="https://a?signature=1",
    )
    assert "signature" not in card_of(view)._repr_html_() + repr(card_of(view))


def test_a_field_that_is_very_long_is_cut() -> None:
    long = "x" * 1_000_000
    command = DevboxAsyncExecutionDetailView(devbox_id="dbx_1", execution_id="exec_1", status="running", stdout=long)
    of_tomorrow = AxonView(id="axn_1", name="events", created_at_ms=0, of_tomorrow=long)  # type: ignore[call-arg]
    for view in (command, of_tomorrow):
        assert len(card_of(view)._repr_html_()) < 10_000


def test_a_bar_shows_how_much_of_its_life_a_devbox_was_active() -> None:
    usage = DevboxResourceUsageView(
        id="dbx_1",
        status="running",
        start_time_ms=0,
        total_active_seconds=30,
        total_elapsed_seconds=120,
        vcpu_seconds=60,
        memory_gb_seconds=120,
        disk_gb_seconds=480,
    )
    assert "60 vCPU·s · 2 vCPU on average" in repr(card_of(usage))
    assert "active for 25% of its life" in card_of(usage)._repr_html_()
