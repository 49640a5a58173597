"""The store: lists by an index, cursors of what was deleted, records of other versions, and true causes."""

import asyncio
import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runloop_local.engine import axon_sql
from runloop_local.engine.build.image import Image
from runloop_local.engine.devbox import state
from runloop_local.engine.devbox.execution import ExecutionRecord
from runloop_local.engine.devbox.lifecycle import DevboxRecord, Transition
from runloop_local.engine.engine import Engine
from runloop_local.engine.errors import (
    DiskFullError,
    EngineError,
    ExhaustedError,
    NotFoundError,
    StorageError,
    UnreadableError,
    of_machine,
)
from runloop_local.engine.storage import database, migrations, snapshots
from runloop_local.engine.storage.database import Database, engine_error
from runloop_local.engine.storage.keys import OWNER
from runloop_local.engine.storage.notes import Notes
from runloop_local.engine.storage.records import Record, body_of, loader, shown
from runloop_local.engine.storage.reserve import BYTES, STEP, Reserve
from runloop_local.engine.storage.snapshots import SnapshotRecord
from runloop_local.engine.storage.store import Document, Page, Query, Store, selection
from runloop_local.engine.tunnel.tunnel import Tunnel
from runloop_local.routes import all_routes


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The file of a store that is closed."""
    connection = sqlite3.connect(file)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "service.db"


def thing(number: int, **options: Any) -> Document:
    name = f"thing-{number}"
    return Document("thing", f"t{number}", {"id": f"t{number}"}, name=name, view=json.dumps(name), **options)


def names(page: Page) -> list[str]:
    return [json.loads(view) for view in page.views]


# --- lists -----------------------------------------------------------------------------------------------------------


async def asked(path: str) -> Query:
    """What the route behind `path` asks the store for."""
    queries: list[Query] = []

    async def page(query: Query, **_: object) -> Page:
        queries.append(query)
        return Page((), has_more=False, total_count=0)

    parts = ("devboxes", "snapshots", "blueprints", "objects", "secrets", "axons")
    settings = ("network_policies", "gateway_configs", "mcp_configs")
    app = Starlette(routes=all_routes())
    app.state.engine = SimpleNamespace(**dict.fromkeys((*parts, *settings), SimpleNamespace(page=page)))

    async def of_owner(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "key": OWNER}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(of_owner), base_url="http://service") as client:
        assert (await client.get(path)).status_code == 200
    return queries[0]


LISTS = {
    "/v1/devboxes": "listed",
    "/v1/devboxes?search=x": "listed",
    "/v1/devboxes?status=running": "by_status",
    "/v1/devboxes?status=running&search=x": "by_status",
    "/v1/devboxes/disk_snapshots": "listed",
    "/v1/devboxes/disk_snapshots?devbox_id=dbx_1": "listed_by_parent",
    "/v1/devboxes/disk_snapshots?devbox_id=dbx_1&metadata[a]=b": "listed_by_parent",
    "/v1/devboxes/disk_snapshots?source_blueprint_id=bpt_1": "listed",
    "/v1/blueprints": "listed",
    "/v1/blueprints?status=failed": "by_status",
    "/v1/blueprints?name=base": "listed_by_name",
    "/v1/blueprints?name=base&status=failed": "listed_by_name",
    "/v1/objects": "listed",
    "/v1/objects?state=DELETED": "by_status",
    "/v1/objects?name=part&content_type=text": "listed",
    "/v1/secrets": "listed",
    "/v1/secrets?search=x": "listed",
    "/v1/network-policies": "listed",
    "/v1/network-policies?id=npol_1": "sqlite_autoindex_documents_1",
    "/v1/gateway-configs?name=part": "listed",
    "/v1/mcp-configs": "listed",
    "/v1/axons": "listed",
    "/v1/axons?id=axn_1&metadata[a][in]=b,c": "sqlite_autoindex_documents_1",
}


@pytest.mark.parametrize("path", LISTS)
async def test_every_list_lies_ready_in_an_index(file: Path, path: str) -> None:
    await Store.open(file).aclose()
    source, values = selection(await asked(path), ["unreadable"])
    with opened(file) as connection:
        for statement, more in (
            (f"SELECT view {source} AND position < ? ORDER BY position DESC LIMIT ?", (100, 20)),
            (f"SELECT count(*) {source}", ()),
        ):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", (*values, *more))]
            assert "B-TREE" not in " ".join(plan)
            (found,) = [step for step in plan if " documents " in step]
            assert found.startswith("SEARCH ")
            assert f" INDEX {LISTS[path]} (" in found


async def test_a_count_without_a_search_reads_the_index_alone(file: Path) -> None:
    await Store.open(file).aclose()
    with opened(file) as connection:
        for query in (Query("devbox"), Query("devbox", status="running"), Query("snapshot", parent="dbx_1")):
            source, values = selection(query)
            plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT count(*) {source}", values).fetchall()
            assert "COVERING INDEX" in plan[0][3]


@dataclass
class Steps:
    """How much SQLite has worked: instructions of its machine, in tens."""

    count: int = 0

    def one_more(self) -> int:
        self.count += 1
        return 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Counts the work on all databases that are opened from here on."""
    steps, connect = Steps(), sqlite3.connect

    def counted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_progress_handler(steps.one_more, 10)
        return connection

    monkeypatch.setattr(sqlite3, "connect", counted)
    return steps


async def test_a_page_costs_the_same_however_long_the_list_and_however_much_was_deleted(
    file: Path, steps: Steps
) -> None:
    store = Store.open(file)
    query = Query("thing", limit=20, count=False)
    await store.put(*[thing(number) for number in range(30)])
    steps.count = 0
    few = names(await store.page(query))
    cost_of_few = steps.count
    await store.put(*[thing(number, listed=False, status="deleted") for number in range(30, 5000)])
    steps.count = 0
    assert names(await store.page(query)) == few
    assert steps.count <= cost_of_few * 1.2 + 10
    await store.aclose()


@pytest.mark.parametrize(
    "query",
    [
        Query("thing"),
        Query("thing", status="running"),
        Query("thing", starting_after="t15", limit=10),
        Query("thing", status="running", starting_after="t15", limit=10),
    ],
)
async def test_how_many_there_are_costs_the_same_however_many_there_are(file: Path, steps: Steps, query: Query) -> None:
    store = Store.open(file)
    await store.put(*[thing(number, status="running") for number in range(30)])
    steps.count = 0
    assert (await store.page(query)).total_count == 30
    cost_of_few = steps.count
    await store.put(*[thing(number, status="running") for number in range(30, 5000)])
    steps.count = 0
    assert (await store.page(query)).total_count == 5000
    assert steps.count <= cost_of_few * 1.2 + 10
    await store.aclose()


async def test_how_many_there_are_follows_every_change_and_the_step_to_this_version(file: Path) -> None:
    old = await asyncio.to_thread(Database.open, file, migrations.STORE[:3])
    await old.run(
        lambda connection: connection.executemany(
            "INSERT INTO documents (kind, id, status, view, body) VALUES ('thing', ?, ?, 'x', '{}')",
            [(f"old{number}", ("running", "shutdown")[number % 2]) for number in range(9)],
        )
    )
    await old.aclose()
    store = Store.open(file)
    await store.put(*[thing(number, status=("running", "shutdown")[number % 3 == 0]) for number in range(20)])
    await store.put(thing(1, status="shutdown"), thing(2, status="deleted", listed=False), thing(4, status="running"))
    await store.delete("thing", "t5")
    await store.delete("thing", "missing")
    await store.delete_all("thing", ["t6", "t7", "t2", "old1"])
    with pytest.raises(ZeroDivisionError):
        await store.modify("thing", "t8", lambda body: body, lambda _: [thing(8, status="failed"), thing(1 // 0)])
    await store.put(Document("other", "t1", {}, status="running", view="x"))
    for status in (None, "running", "shutdown", "deleted", "failed"):
        # One by one, the last page tells how many there are without looking at a count.
        page = await store.page(Query("thing", status=status, limit=0))
        walked = await store.page(Query("thing", status=status, limit=100))
        assert page.total_count == walked.total_count == len(walked.views)
    await store.aclose()


async def test_a_search_reads_only_the_documents_that_it_finds(file: Path) -> None:
    await Store.open(file).aclose()
    with opened(file) as connection:
        for query in (Query("devbox", search="x"), Query("devbox", status="running", search="x")):
            source, values = selection(query)
            # SQLite's program for it: where the function has the text, nothing was read of the table itself yet.
            program = connection.execute(f"EXPLAIN SELECT view {source} ORDER BY position DESC", values).fetchall()
            operations = [(name, first) for _, name, first, *_ in program]
            (index,) = {first for name, first in operations if name.startswith("Seek")}
            columns = [first for name, first in operations[: operations.index(("Function", 2))] if name == "Column"]
            assert columns == [index]


async def test_a_search_looks_at_ids_and_names_in_any_case(file: Path) -> None:
    store = Store.open(file)
    await store.put(*[thing(number) for number in range(12)])
    for text, found in (("THING-1", 3), ("T11", 1), ("g-", 12), ("missing", 0), ("%", 0)):
        page = await store.page(Query("thing", search=text, limit=2))
        assert (page.total_count, len(page.views), page.has_more) == (found, min(found, 2), found > 2)
    assert (await store.page(Query("thing", name_part="T11"))).total_count == 0  # which is in its id only
    assert names(await store.page(Query("thing", name_part="ING-11"))) == ["thing-11"]
    await store.aclose()


async def test_a_list_goes_on_where_the_last_item_has_been_deleted_also_by_the_next_service(file: Path) -> None:
    store = Store.open(file)
    await store.put(*[thing(number) for number in range(9)])
    first = await store.page(Query("thing", limit=3))
    assert (names(first), first.has_more, first.total_count) == (["thing-8", "thing-7", "thing-6"], True, 9)
    for number in (8, 7, 6, 5):
        await store.delete("thing", f"t{number}")
    assert names(await store.page(Query("thing", limit=3, starting_after="t6"))) == ["thing-4", "thing-3", "thing-2"]
    await store.aclose()
    store = Store.open(file)
    assert names(await store.page(Query("thing", limit=1, starting_after="t6"))) == ["thing-4"]
    for unknown, kind in (("t9", "thing"), ("t6", "other")):
        with pytest.raises(NotFoundError, match="given as starting_after"):
            await store.page(Query(kind, starting_after=unknown))
    await store.aclose()


async def test_where_a_deleted_item_was_is_let_go_of_after_a_week(file: Path) -> None:
    store = Store.open(file)
    await store.put(*[thing(0), thing(1)])
    await store.delete("thing", "t0")
    await store.delete("thing", "t1")
    await store.aclose()
    with opened(file) as connection:
        connection.execute("UPDATE deleted SET time_s = time_s - 8 * 24 * 3600 WHERE id = 't0'")
    store = Store.open(file)
    await store.forget_positions()
    assert names(await store.page(Query("thing", starting_after="t1"))) == []
    with pytest.raises(NotFoundError):
        await store.page(Query("thing", starting_after="t0"))
    await store.aclose()


async def test_what_no_list_shows_leaves_nothing_when_it_is_deleted(file: Path) -> None:
    store = Store.open(file)
    await store.put(ExecutionRecord("e", "dbx_1", "true").document())
    await store.delete_children("execution", "dbx_1")
    await store.aclose()
    with opened(file) as connection:
        assert connection.execute("SELECT count(*) FROM deleted").fetchone() == (0,)


async def test_all_of_several_documents_are_kept_or_none(file: Path) -> None:
    store = Store.open(file)
    with pytest.raises(EngineError):
        await store.put(*[thing(0), replace(thing(1), status=object())])  # type: ignore[arg-type]
    assert names(await store.page(Query("thing"))) == []
    await store.aclose()


# --- records ---------------------------------------------------------------------------------------------------------

TRANSITIONS = [{"status": "queued", "time_ms": 1}]
DEVBOX = {"id": "dbx_1", "create_time_ms": 1, "transitions": TRANSITIONS}


@pytest.mark.parametrize(
    "body",
    [
        {**DEVBOX, "new": {"deep": [1]}},
        {**DEVBOX, "transitions": [{"status": "queued", "time_ms": 1, "new": 1}]},
        {**DEVBOX, "image": {"env": {"A": "b"}, "new": None}},
        {**DEVBOX, "tunnel": {"tunnel_key": "k", "auth_mode": "open", "create_time_ms": 1, "new": "x"}},
    ],
    ids=["record", "transition", "image", "tunnel"],
)
def test_what_another_version_has_stored_is_stored_again(body: dict[str, Any]) -> None:
    record = replace(state.loaded(body), name="changed")
    again = json.loads(json.dumps(body_of(record)))
    assert again["name"] == "changed"
    for name, value in body.items():
        kept = again[name][0] if name == "transitions" else again[name]
        wanted = value[0] if name == "transitions" else value
        assert wanted.items() <= kept.items() if isinstance(wanted, dict) else kept == wanted
    assert "new" not in json.dumps(shown(record))


def test_what_an_earlier_version_did_not_store_has_its_default() -> None:
    assert state.loaded(DEVBOX) == DevboxRecord("dbx_1", 1, transitions=(Transition("queued", 1),))
    body = {"id": "snp_1", "create_time_ms": 1, "source_devbox_id": "dbx_1"}
    assert snapshots.loaded(body) == SnapshotRecord("snp_1", 1, "dbx_1", image=Image())


def test_a_record_is_the_same_when_it_is_read_again() -> None:
    record = DevboxRecord(
        "dbx_1",
        1,
        metadata={"a": "b"},
        launch_parameters={"lifecycle": {"after_idle": {"idle_time_seconds": 1}}},
        code_mounts=({"owner": "o", "token": None},),
        transitions=(Transition("queued", 1), Transition("failure", 2, "why")),
        image=Image({"A": "b"}, "/", "root", ("x",), ("y",)),
        layers=("l1", "l2"),
        tunnel=Tunnel("k", "authenticated", 1, "t"),
    )
    assert state.loaded(json.loads(json.dumps(body_of(record)))) == record


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "object"),
        ({**DEVBOX, "id": 5}, "id: "),
        ({"id": "dbx_1", "transitions": TRANSITIONS}, "create_time_ms: Field required"),
        ({**DEVBOX, "transitions": []}, "transitions: there are none"),
        ({**DEVBOX, "transitions": None}, "transitions: "),
        ({**DEVBOX, "transitions": [{"status": "dreaming", "time_ms": 1}]}, r"transitions\.0\.status: "),
        ({**DEVBOX, "layers": "l1"}, "layers: "),
        ({**DEVBOX, "tunnel": {}}, r"tunnel\.tunnel_key: Field required"),
    ],
    ids=str,
)
def test_a_record_that_is_none_is_told_by_the_place_where_it_is_wrong(body: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        state.loaded(body)


@dataclass(frozen=True, slots=True)
class Thing(Record):
    id: str
    number: int = 0
    more: dict[str, str] = field(default_factory=dict)


BROKEN = {
    "no JSON": '{"id": "t1"',
    "not an object": "[]",
    "a wrong type": '{"id": "t1", "number": "many"}',
    "a field missing": "{}",
    "very deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_one_broken_record_is_named_and_kept_and_left_out(file: Path, text: str) -> None:
    store = Store.open(file)
    await store.put(*[thing(number, status="s") for number in range(3)])
    await store.aclose()
    with opened(file) as connection:
        connection.execute("UPDATE documents SET body = ? WHERE id = 't1'", (text,))
    store = Store.open(file)
    assert [record.id for record in await store.records("thing", loader(Thing), status="s")] == ["t0", "t2"]
    assert names(await store.page(Query("thing", starting_after="t2"))) == ["thing-0"]
    with pytest.raises(UnreadableError, match="record of thing t1 cannot be read, and is kept unchanged: "):
        await store.record("thing", "t1", loader(Thing))
    (note,) = store.notes.sentences()
    assert "thing t1" in note
    await store.aclose()
    with opened(file) as connection:
        assert connection.execute("SELECT body FROM documents WHERE id = 't1'").fetchone() == (text,)


@pytest.mark.parametrize("text", ["{", "{}", '{"layers": "l1"}', "[]"])
async def test_which_layers_are_needed_is_not_known_while_one_record_does_not_say(file: Path, text: str) -> None:
    store = Store.open(file)
    for number in range(3):
        await store.put(replace(thing(number), body={"layers": [f"l{number}", "l"]}))
    assert await store.values("thing", "layers") == {"l", "l0", "l1", "l2"}
    await store.aclose()
    with opened(file) as connection:
        connection.execute("UPDATE documents SET body = ? WHERE id = 't1'", (text,))
    store = Store.open(file)
    with pytest.raises(UnreadableError, match="thing t1"):
        await store.values("thing", "layers")
    await store.delete("thing", "t1")
    assert await store.values("thing", "layers") == {"l", "l0", "l2"}
    await store.aclose()


async def test_a_filter_passes_over_a_broken_record(file: Path) -> None:
    store = Store.open(file)
    await store.put(*[replace(thing(number), body={"a": "b", "metadata": {"k": "v"}}) for number in range(3)])
    await store.aclose()
    with opened(file) as connection:
        connection.execute("UPDATE documents SET body = '{' WHERE id = 't1'")
    store = Store.open(file)
    for query in (Query("thing", fields={"a": "b"}), Query("thing", metadata={"k": frozenset({"v"})})):
        assert names(await store.page(query)) == ["thing-2", "thing-0"]
    await store.aclose()


def test_of_very_many_notes_of_a_kind_some_are_shown() -> None:
    notes = Notes()
    for number in range(9):
        notes.add(f"note {number}", "many", str(number))
    notes.add("another", "one")
    assert notes.sentences()[-2:] == ("The service's log has 4 more notes like these.", "another")
    assert len(notes.sentences()) == 7
    notes.unowned([f"dbx_{number}" for number in range(9)], "disk", "in sandboxes/")
    assert notes.sentences()[-1].startswith(
        "9 disks in sandboxes/ that service.db does not know are kept: dbx_0, dbx_1"
    )
    notes.unowned([], "disk", "in sandboxes/")
    assert notes.sentences()[-1] == "another"


# --- the start -------------------------------------------------------------------------------------------------------


def ended(number: int) -> DevboxRecord:
    moves = ("queued", "provisioning", "initializing", "running", "shutdown")
    times = (Transition(status, 1 << 45) for status in moves)  # type: ignore[arg-type]
    return DevboxRecord(f"dbx_{number}", 1 << 45, transitions=tuple(times))


async def cost_of_a_start(data: Path, steps: Steps) -> int:
    steps.count = 0
    engine = await Engine.open(data, "process")
    cost = steps.count
    await engine.aclose()
    return cost


async def test_a_start_reads_what_is_live_not_what_has_ended(tmp_path: Path, steps: Steps) -> None:
    data = tmp_path / "data"
    await cost_of_a_start(data, steps)
    few = await cost_of_a_start(data, steps)
    store = Store.open(data / "service.db")
    await store.put(*[state.document(ended(number)) for number in range(3000)])
    executions = [ExecutionRecord(f"e{number}", "dbx_1", "true", status="completed") for number in range(3000)]
    await store.put(*[execution.document() for execution in executions])
    await store.aclose()
    assert await cost_of_a_start(data, steps) <= few * 1.2 + 20


# --- the file --------------------------------------------------------------------------------------------------------


async def test_a_step_to_another_version_is_taken_whole_or_not_at_all(file: Path) -> None:
    await Database.open(file, ("CREATE TABLE a (x);",)).aclose()
    steps = ("CREATE TABLE a (x);", "CREATE TABLE b (x);", "CREATE TABLE c (x); INSERT INTO missing VALUES (1);")
    with pytest.raises(EngineError, match="no such table: missing"):
        Database.open(file, steps)
    with opened(file) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_schema")] == ["a", "b"]


async def test_each_earlier_version_becomes_what_a_new_database_is(tmp_path: Path) -> None:
    def schema(name: str) -> list[tuple[str, str]]:
        with opened(tmp_path / name) as connection:
            return sorted(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql <> ''").fetchall())

    await Database.open(tmp_path / "new", migrations.STORE).aclose()
    for version in range(1, len(migrations.STORE)):
        await Database.open(tmp_path / str(version), migrations.STORE[:version]).aclose()
        await Database.open(tmp_path / str(version), migrations.STORE).aclose()
        assert schema(str(version)) == schema("new")


def refused(file: Path) -> EngineError:
    """Why a store in `file` cannot be opened."""
    with pytest.raises(EngineError) as caught:
        Store.open(file)
    return caught.value


def test_a_file_that_is_no_database_is_damaged(file: Path) -> None:
    file.write_bytes(b"not a database" * 100)
    error = refused(file)
    assert type(error) is StorageError
    assert f"{file} is damaged: file is not a database. Put back a copy" in str(error)
    assert file.read_bytes() == b"not a database" * 100


def tear(file: Path) -> None:
    """Leave nothing of a database but its first page."""
    size = file.stat().st_size
    with file.open("r+b") as torn:
        torn.seek(4096)
        torn.write(os.urandom(size - 4096))


async def test_torn_pages_are_damage_not_a_full_disk(file: Path) -> None:
    store = Store.open(file)
    await store.put(*[thing(number) for number in range(2000)])
    await store.aclose()
    tear(file)
    store = Store.open(file)
    with pytest.raises(StorageError, match="is damaged: database disk image is malformed"):
        await store.page(Query("thing"))
    await store.aclose()


async def test_a_file_that_another_program_has_locked_is_told_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await Store.open(file).aclose()
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options, timeout=0.01))
    with opened(file) as other:
        other.execute("BEGIN IMMEDIATE")
        error = refused(file)
    assert type(error) is StorageError
    assert "is locked by another program" in str(error)


def test_a_folder_in_its_place_is_told_in_the_systems_words(file: Path) -> None:
    file.mkdir()
    (file / "something").touch()
    assert str(refused(file)).startswith(f"{file} cannot be used: Is a directory")


def test_a_file_in_which_there_is_no_more_room_is_full(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA max_page_count = 2")
    connection.execute("CREATE TABLE t (a)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()
    error = engine_error(caught.value, file)
    assert type(error) is DiskFullError
    assert str(error).startswith(f"{file} cannot be used. The disk is full: shut devboxes down")


def test_an_error_that_the_disk_does_not_explain_has_no_made_up_cause(file: Path) -> None:
    file.touch()
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
    assert type(engine_error(error, file)) is StorageError
    assert "full" not in str(engine_error(error, file))
    assert "disk I/O error" in str(engine_error(error, file))


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_BUSY, StorageError, "locked by another program"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageError, "locked by another program"),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageError, "may not be written"),
        (sqlite3.SQLITE_CORRUPT_INDEX, StorageError, "damaged"),
        (sqlite3.SQLITE_NOMEM, ExhaustedError, "memory"),
        (sqlite3.SQLITE_FULL, DiskFullError, "The disk is full"),
        (sqlite3.SQLITE_ERROR, EngineError, "cannot be used: the words"),
    ],
)
def test_what_sqlite_says_is_told_by_its_cause(file: Path, code: int, kind: type[EngineError], words: str) -> None:
    error = sqlite3.OperationalError("the words")
    error.sqlite_errorcode = code
    assert type(engine_error(error, file)) is kind
    assert words in str(engine_error(error, file))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EROFS, StorageError),
        (errno.EMFILE, ExhaustedError),
        (errno.ENFILE, ExhaustedError),
        (errno.ENOMEM, ExhaustedError),
        (errno.EAGAIN, ExhaustedError),
        (errno.EIO, type(None)),
        (errno.EACCES, type(None)),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else "",
)
def test_what_the_system_says_of_this_machine(number: int, kind: type[object]) -> None:
    assert type(of_machine(OSError(number, os.strerror(number)))) is kind
    full = [errno.ENOSPC, errno.EDQUOT]
    assert ("full" in str(of_machine(OSError(number, ""))) or "quota" in str(of_machine(OSError(number, "")))) is (
        number in full
    )


@pytest.mark.parametrize(
    ("code", "size", "free", "of_machine"),
    [
        (sqlite3.SQLITE_FULL, 0, 1 << 40, False),
        (sqlite3.SQLITE_FULL, 200 << 20, 100 << 20, False),
        (sqlite3.SQLITE_FULL, 100 << 20, 100 << 20, True),
        (sqlite3.SQLITE_FULL, 0, 0, True),
        (sqlite3.SQLITE_IOERR, 0, 1 << 40, True),
        (sqlite3.SQLITE_ERROR, 0, 0, False),
    ],
)
def test_whether_an_axons_statement_is_to_blame(code: int, size: int, free: int, of_machine: bool) -> None:
    assert axon_sql.is_machine_error(code, size, free) is of_machine


# --- the reserve -----------------------------------------------------------------------------------------------------


def test_room_is_set_aside_given_back_and_set_aside_again(tmp_path: Path) -> None:
    file = tmp_path / "reserve"
    Reserve(file).restore()
    assert file.stat().st_size == BYTES
    reserve = Reserve(file)
    for released in range(1, BYTES // STEP + 1):
        assert reserve.release()
        assert file.stat().st_size == BYTES - released * STEP
    assert not reserve.release()
    reserve.restore()
    assert file.stat().st_size == BYTES


async def test_what_is_urgent_is_done_once_more_with_the_room_that_was_set_aside(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = file.with_name("reserve")
    reserve = Reserve(reserved)
    reserve.restore()
    store = Store.open(file, reserve)
    sizes: list[int] = []

    def full_until_some_is_released(work: Callable[[], Any]) -> Any:
        sizes.append(reserved.stat().st_size)
        if sizes[-1] > BYTES - 2 * STEP:
            raise DiskFullError("full")
        return work()

    monkeypatch.setattr(database, "_converting_errors", lambda _file, work: full_until_some_is_released(work))
    with pytest.raises(DiskFullError):
        await store.put(thing(1))
    assert sizes == [BYTES, BYTES]  # once more after the log was restarted
    await store.put(thing(2), urgent=True)
    assert sizes[2:] == [BYTES, BYTES, BYTES - STEP, BYTES - 2 * STEP]
    assert reserved.stat().st_size == BYTES  # set aside again, once it is done
    monkeypatch.undo()
    assert names(await store.page(Query("thing"))) == ["thing-2"]
    await store.aclose()


async def test_a_document_is_added_once_and_what_is_there_stays(file: Path) -> None:
    store = Store.open(file)
    first, second = (Document("execution", "a", {"n": number}, parent="p") for number in (1, 2))
    assert [await store.add(first), await store.add(second)] == [True, False]
    assert await store.get("execution", "a") == {"n": 1}
    await store.aclose()
