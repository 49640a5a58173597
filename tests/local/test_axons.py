"""Axons: events in order, heard at once, and a database that keeps strangers in."""

import asyncio
import json
import sqlite3
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runloop_local.engine.axon_sql import AxonSql, Result, SqlError, Statement
from tests.local.api import Api, connect
from tests.local.serving import Service, serving

EVENT = {"event_type": "push", "origin": "USER_EVENT", "payload": '{"a": "grün"}', "source": "tests"}


@pytest.fixture
async def axon(api: Api) -> AsyncIterator[str]:
    axon_id = (await api.json("/v1/axons", {}))["id"]
    yield axon_id
    await api.delete(f"/v1/axons/{axon_id}")


async def publish(api: Api, axon: str, **changes: str) -> int:
    sequence: int = (await api.json(f"/v1/axons/{axon}/publish", {**EVENT, **changes}))["sequence"]
    return sequence


async def listen(api: Api, axon: str, query: str = "") -> AsyncGenerator[Any, None]:
    async with api.stream("GET", f"/v1/axons/{axon}/subscribe/sse{query}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


async def ask(api: Api, axon: str, sql: str, *params: Any, status: int = 200) -> Any:
    return await api.json(f"/v1/axons/{axon}/sql/query", {"sql": sql, "params": list(params)}, status=status)


async def test_life(api: Api) -> None:
    mark = uuid.uuid4().hex
    made = await api.json("/v1/axons", {"name": f"{mark} axon", "metadata": {"team": mark}})
    assert await api.json(f"/v1/axons/{made['id']}") == made
    for query in (f"name={mark}", f"id={made['id']}", f"search={mark}", f"metadata[team]={mark}"):
        assert (await api.json(f"/v1/axons?{query}"))["axons"] == [made]
    assert (await api.json(f"/v1/axons?name={mark}&metadata[team]=x"))["axons"] == []
    changed = await api.json(f"/v1/axons/{made['id']}", {"metadata": {"team": "other"}})
    assert changed == {**made, "metadata": {"team": "other"}}
    await publish(api, made["id"])
    await ask(api, made["id"], "CREATE TABLE t (a)")
    for _ in range(2):
        assert (await api.delete(f"/v1/axons/{made['id']}")).status_code == 200
    assert (await api.json(f"/v1/axons/{made['id']}"))["deleted_at_ms"] >= made["created_at_ms"]
    assert (await api.json(f"/v1/axons?name={mark}"))["total_count"] == 0
    for path, body in (("publish", EVENT), ("sql/query", {"sql": "SELECT 1"}), ("events", None), ("", {})):
        await api.json(f"/v1/axons/{made['id']}/{path}".rstrip("/"), body, status=404)


async def test_events_are_numbered_in_order_and_listed_newest_first(api: Api, axon: str) -> None:
    numbers = await asyncio.gather(*(publish(api, axon, payload=str(n)) for n in range(30)))
    assert sorted(numbers) == list(range(1, 31))
    page = await api.json(f"/v1/axons/{axon}/events?limit=2")
    assert [event["sequence"] for event in page["events"]] == [30, 29]
    assert (page["has_more"], page["total_count"]) == (True, 30)
    rest = await api.json(f"/v1/axons/{axon}/events?limit=5000&starting_after=29&include_total_count=false")
    assert [event["sequence"] for event in rest["events"]] == list(range(28, 0, -1))
    assert (rest["has_more"], rest.get("total_count")) == (False, None)
    newest = page["events"][0]
    assert {**EVENT, **newest} == {**newest, "event_type": "push", "origin": "USER_EVENT", "source": "tests"}
    assert newest["axon_id"] == axon


async def test_a_retried_event_is_published_once(api: Api, axon: str) -> None:
    headers = {"x-request-id": str(uuid.uuid4())}
    first = await api.json(f"/v1/axons/{axon}/publish", EVENT, headers=headers)
    assert await api.json(f"/v1/axons/{axon}/publish", EVENT, headers=headers) == first
    assert await publish(api, axon) == first["sequence"] + 1


async def test_subscribers_hear_what_was_and_what_comes(api: Api, axon: str) -> None:
    await publish(api, axon, payload="before")
    everything, later = listen(api, axon), listen(api, axon, "?after_sequence=1")
    assert (await anext(everything))["payload"] == "before"
    waiting = [asyncio.create_task(anext(stream)) for stream in (everything, later)]
    await asyncio.sleep(0.05)
    await publish(api, axon, payload="grün\nand\u2028more")
    heard = await asyncio.gather(*waiting)
    assert [(event["payload"], event["sequence"]) for event in heard] == [("grün\nand\u2028more", 2)] * 2
    await everything.aclose()
    await api.delete(f"/v1/axons/{axon}")
    with pytest.raises(StopAsyncIteration):
        await anext(later)


async def test_many_events_reach_many_subscribers_without_loss(api: Api, axon: str) -> None:
    async def heard() -> list[int]:
        found = []
        async for event in listen(api, axon):
            found.append(event["sequence"])
            if len(found) == 400:
                break
        return found

    listeners = [asyncio.create_task(heard()) for _ in range(4)]
    for _ in range(4):
        await asyncio.gather(*(publish(api, axon) for _ in range(100)))
    assert await asyncio.gather(*listeners) == [list(range(1, 401))] * 4


async def test_a_stopping_service_ends_streams(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            axon = (await api.json("/v1/axons", {}))["id"]
            await publish(api, axon)
            stream = listen(api, axon)
            await anext(stream)
            async with api.stream("GET", "/v1/devboxes/evictions/watch") as evictions:
                lines = evictions.aiter_lines()
                assert await anext(lines) == ": ping"
                service.process.terminate()
                assert [event async for event in stream] == []
                assert [line async for line in lines] == [""]
    assert service.process.returncode == 0


async def test_a_killed_service_keeps_events_and_databases(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            axon = (await api.json("/v1/axons", {"name": "kept"}))["id"]
            await publish(api, axon)
            await ask(api, axon, "CREATE TABLE t AS SELECT 42 AS n")
        first.kill()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            assert (await ask(api, axon, "SELECT n FROM t"))["rows"] == [[42]]
            assert await publish(api, axon) == 2


@pytest.mark.parametrize(
    "change",
    [{"origin": "SYSTEM_EVENT"}, {"origin": "X"}, {"event_type": ""}, {"payload": {"a": 1}}, {"source": None}],
    ids=json.dumps,
)
async def test_impossible_events_are_a_400(api: Api, axon: str, change: dict[str, Any]) -> None:
    await api.json(f"/v1/axons/{axon}/publish", {**EVENT, **change}, status=400)


@pytest.mark.parametrize("query", ["events?limit=5001", "events?starting_after=x", "subscribe/sse?after_sequence=-1"])
async def test_wrong_options_are_a_400(api: Api, axon: str, query: str) -> None:
    await api.json(f"/v1/axons/{axon}/{query}", status=400)


async def test_sql(api: Api, axon: str) -> None:
    await ask(api, axon, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, size REAL, raw BLOB)")
    made = await ask(
        api, axon, "INSERT INTO t (name, size, raw) VALUES (?, ?, x'00ff'), (?, 9e999, NULL)", "ü", 1.5, None
    )
    assert (made["columns"], made["rows"], made["meta"]["changes"]) == ([], [], 2)
    found = await ask(api, axon, "SELECT *, count(*) OVER () AS n FROM t WHERE id >= ?", True)
    assert [column["name"] for column in found["columns"]] == ["id", "name", "size", "raw", "n"]
    assert [column["type"] for column in found["columns"]] == ["INTEGER", "TEXT", "REAL", "BLOB", "INTEGER"]
    assert found["rows"] == [[1, "ü", 1.5, "AP8=", 2], [2, None, None, None, 2]]
    assert found["meta"]["rows_read_limit_reached"] is False
    assert (await ask(api, axon, "SELECT name FROM pragma_table_info('t')"))["rows"][0] == ["id"]


async def test_a_batch_is_all_or_nothing(api: Api, axon: str) -> None:
    path = f"/v1/axons/{axon}/sql/batch"
    good = [{"sql": "CREATE TABLE t (a UNIQUE)"}, {"sql": "INSERT INTO t VALUES (?)", "params": [1]}]
    done = await api.json(path, {"statements": [*good, {"sql": "SELECT a FROM t"}]})
    assert [step["success"]["rows"] for step in done["results"]] == [[], [], [[1]]]
    bad = [{"sql": "INSERT INTO t VALUES (2)"}, {"sql": "INSERT INTO t VALUES (1)"}, {"sql": "SELECT 1"}]
    failed = (await api.json(path, {"statements": bad}))["results"]
    assert [step["error"] is None for step in failed] == [True, False]
    assert "UNIQUE" in failed[1]["error"]["message"]
    assert (await ask(api, axon, "SELECT a FROM t"))["rows"] == [[1]]
    await api.json(path, {"statements": []}, status=400)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("ATTACH '/etc/passwd' AS other", "ATTACH"),
        ("ATTACH '../service.db' AS other", "ATTACH"),
        ("VACUUM INTO '/tmp/stolen'", "VACUUM"),
        ("PRAGMA journal_mode = OFF", "PRAGMA"),
        ("PRAGMA max_page_count = 1000000000", "PRAGMA"),
        ("PRAGMA temp_store_directory = '/'", "PRAGMA"),
        ("SELECT load_extension('/tmp/x.so')", "load_extension"),
        ("SELECT readfile('/etc/passwd')", "readfile"),
        ("CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')", "csv"),
        ("BEGIN", "BEGIN"),
        ("COMMIT", "BEGIN"),
        ("SAVEPOINT x", "SAVEPOINT"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELEKT 1", "SELEKT"),
        ("SELECT ?", "binding"),
        ("SELECT randomblob(100000000)", "too big"),
        ("", ""),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_a_database_does_not_do_is_a_400_that_says_what(api: Api, axon: str, sql: str, said: str) -> None:
    if sql == "":
        assert (await ask(api, axon, sql))["rows"] == []
        return
    assert said.lower() in (await ask(api, axon, sql, status=400))["message"].lower()
    assert (await ask(api, axon, "SELECT 1"))["rows"] == [[1]]


@pytest.mark.parametrize("value", [[1], {"a": 1}, 2**70], ids=str)
async def test_impossible_parameters_are_a_400(api: Api, axon: str, value: Any) -> None:
    await ask(api, axon, "SELECT ?", value, status=400)


async def test_a_result_without_end_is_cut(api: Api, axon: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    found = await ask(api, axon, endless)
    assert (len(found["rows"]), found["meta"]["rows_read_limit_reached"]) == (10_000, True)
    wide = await ask(api, axon, endless.replace("SELECT i FROM n", "SELECT hex(zeroblob(500000)) FROM n"))
    assert (len(wide["rows"]), wide["meta"]["rows_read_limit_reached"]) == (4, True)


async def test_a_statement_without_end_is_ended_and_others_go_on(tmp_path: Path) -> None:
    sql = AxonSql(tmp_path, seconds=0.3)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    try:
        await sql.batch("a", [Statement("CREATE TABLE t (a)")])
        slow = asyncio.create_task(sql.batch("a", [Statement("INSERT INTO t VALUES (1)"), Statement(endless)]))
        (other,) = await sql.batch("b", [Statement("SELECT 1")])
        assert isinstance(other, Result)
        assert other.rows == ((1,),)
        outcomes = await slow
        assert isinstance(outcomes[1], SqlError)
        assert "0.3 seconds" in str(outcomes[1])
        (left,) = await sql.batch("a", [Statement("SELECT * FROM t")])
        assert isinstance(left, Result)
        assert left.rows == ()
    finally:
        await sql.aclose()


async def test_a_database_does_not_grow_without_end(api: Api, axon: str, service: Service) -> None:
    await ask(api, axon, "CREATE TABLE t (a)")
    with sqlite3.connect(service.data_dir / "axons" / f"{axon}.db") as database:
        assert database.execute("PRAGMA page_size").fetchone() == (4096,)
    database.close()
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60)"
    fill = f"INSERT INTO t SELECT zeroblob(7000000) FROM ({many} SELECT i FROM n)"
    assert "full" in (await ask(api, axon, fill, status=400))["message"]
    assert (await ask(api, axon, "SELECT count(*) FROM t"))["rows"] == [[0]]
