"""Changes at once: none undoes another, and nothing that has ended is made to go on."""

import asyncio
import random
import sqlite3
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from runloop_local.engine.axons import Axons
from runloop_local.engine.config_collection import ConfigCollection
from runloop_local.engine.devbox.execution_manager import ExecutionRequest
from runloop_local.engine.devbox.lifecycle import DevboxRecord, Status
from runloop_local.engine.engine import Engine
from runloop_local.engine.errors import DiskFullError, InvalidError, NotFoundError
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.engine.storage.idempotency import NO_REQUEST
from runloop_local.engine.storage.layers import Layers
from runloop_local.engine.storage.record_set import RecordSet
from runloop_local.engine.storage.secrets import Secrets
from runloop_local.engine.storage.snapshots import SnapshotRequest, Snapshots
from runloop_local.engine.storage.store import Document, Store
from runloop_local.engine.storage.vault import Vault
from runloop_local.engine.tunnel.tunnels import new_tunnel
from runloop_local.proxy.connection import TunnelRejected, open_connection
from runloop_local.proxy.hosts import Target
from runloop_local.sandbox import open_isolation
from tests.local.api import Api, connect
from tests.local.serving import serving
from tests.starter import FROM
from tests.waiting import PATIENCE, until


@dataclass(frozen=True)
class Thing:
    """A record with many fields, each of which somebody changes."""

    id: str
    fields: dict[str, int] = field(default_factory=dict)
    is_done: bool = False


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store.open(tmp_path / "store.db")
    yield opened
    await opened.aclose()


@pytest.fixture
def things(store: Store) -> RecordSet[Thing]:
    return RecordSet(store, "thing", lambda body: Thing(**body), lambda thing: Document("thing", thing.id, vars(thing)))


async def hesitant(work: Awaitable[Any], order: random.Random) -> None:
    """Do it a little later."""
    for _ in range(order.randrange(5)):
        await asyncio.sleep(0)
    await work


@pytest.mark.parametrize("seed", range(20))
async def test_of_changes_at_once_none_is_lost(things: RecordSet[Thing], seed: int) -> None:
    order = random.Random(seed)
    await things.put(Thing("t"))
    numbers = list(range(30))
    changes = [
        things.change("t", lambda thing, n=n: replace(thing, fields={**thing.fields, f"f{n}": n}))  # type: ignore[misc]
        for n in numbers
    ]
    changes.append(things.change("t", lambda thing: replace(thing, is_done=True)))
    order.shuffle(changes)
    await asyncio.gather(*(hesitant(change, order) for change in changes))
    assert await things.get("t") == Thing("t", {f"f{n}": n for n in numbers}, is_done=True)


async def test_a_change_that_is_refused_changes_nothing(things: RecordSet[Thing]) -> None:
    await things.put(Thing("t", {"a": 1}))

    def refuse(thing: Thing) -> Thing:
        raise InvalidError(f"{thing.id} stays as it is.")

    with pytest.raises(InvalidError, match="stays"):
        await things.change("t", refuse)
    assert await things.get("t") == Thing("t", {"a": 1})


async def test_of_deletions_at_once_all_but_one_find_nothing(things: RecordSet[Thing]) -> None:
    await things.put(Thing("t", {"a": 1}))
    outcomes = await asyncio.gather(*(things.delete("t") for _ in range(5)), return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, NotFoundError)] == [Thing("t", {"a": 1})]


@pytest.mark.parametrize("seed", range(10))
async def test_what_is_deleted_does_not_come_back_by_a_change(things: RecordSet[Thing], seed: int) -> None:
    order = random.Random(seed)
    await things.put(Thing("t"))
    work: list[Awaitable[Any]] = [things.change("t", lambda thing: replace(thing, is_done=True)) for _ in range(5)]
    work.insert(order.randrange(6), things.delete("t"))
    for outcome in await asyncio.gather(*(hesitant(each, order) for each in work), return_exceptions=True):
        assert outcome is None or isinstance(outcome, NotFoundError)
    with pytest.raises(NotFoundError):
        await things.get("t")


async def secret_updated_while_deleted(store: Store, _folder: Path) -> None:
    secrets = Secrets(store, Vault(b"k" * 32))
    record = await secrets.create("NAME", "old", NO_REQUEST)
    await asyncio.gather(secrets.update(record, "new"), secrets.delete(record, NO_REQUEST), return_exceptions=True)
    with pytest.raises(NotFoundError):
        await secrets.get(record.id)


async def entry_updated_while_deleted(store: Store, _folder: Path) -> None:
    entries = ConfigCollection(store, "gateway_config", "gwc")
    entry = await entries.create({"name": "a"}, NO_REQUEST)
    await asyncio.gather(
        entries.update(entry["id"], lambda _: {"name": "b"}, NO_REQUEST),
        entries.delete(entry["id"], NO_REQUEST),
        return_exceptions=True,
    )
    with pytest.raises(NotFoundError):
        await entries.get(entry["id"])


async def entry_updated_twice(store: Store, _folder: Path) -> None:
    entries = ConfigCollection(store, "network_policy", "npol")
    entry = await entries.create({"name": "a", "egress": {}}, NO_REQUEST)
    await asyncio.gather(
        *(
            entries.update(entry["id"], lambda kept, n=n: {"egress": {**kept["egress"], f"rule{n}": True}}, NO_REQUEST)  # type: ignore[misc]
            for n in range(5)
        )
    )
    assert (await entries.get(entry["id"]))["egress"] == {f"rule{n}": True for n in range(5)}


async def axon_updated_while_deleted(store: Store, folder: Path) -> None:
    axons = Axons.open(store, folder / "axons")
    try:
        axon = await axons.create("a", {}, NO_REQUEST)
        await asyncio.gather(axons.update(axon.id, {"k": "v"}), axons.delete(axon.id), return_exceptions=True)
        assert (await axons.get(axon.id)).deleted_at_ms is not None
    finally:
        await axons.aclose()


async def axon_used_while_deleted(store: Store, folder: Path) -> None:
    axons = Axons.open(store, folder / "axons")
    event = {"event_type": "e", "origin": "USER_EVENT", "payload": "p", "source": "s"}
    try:
        for _ in range(20):
            axon = await axons.create("a", {}, NO_REQUEST)
            uses = [axons.publish(axon.id, event, NO_REQUEST) for _ in range(3)]
            outcomes = await asyncio.gather(*uses, axons.delete(axon.id), return_exceptions=True)
            assert not [
                error for error in outcomes if isinstance(error, Exception) and type(error) is not NotFoundError
            ]
    finally:
        await axons.aclose()
    with sqlite3.connect(folder / "axons" / "events") as events:
        assert events.execute("SELECT count(*) FROM events").fetchone() == (0,)
    events.close()


RACES = [
    secret_updated_while_deleted,
    entry_updated_while_deleted,
    entry_updated_twice,
    axon_updated_while_deleted,
    axon_used_while_deleted,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
async def test_two_at_once(store: Store, tmp_path: Path, race: Callable[[Store, Path], Awaitable[None]]) -> None:
    await race(store, tmp_path)


class Source:
    """A devbox whose disk is saved at once."""

    record = DevboxRecord("dbx_1", 0)

    @property
    def disk(self) -> "Source":
        return self

    def require_usable(self, action: str) -> None: ...

    async def save(self, layer: str) -> tuple[str, ...]:
        return (layer,)


async def test_a_snapshot_whose_outcome_cannot_be_kept_has_failed(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise DiskFullError("There is no room.")

    isolation = await open_isolation(tmp_path / "sandboxes", "process")
    snapshots = Snapshots(store, Layers(isolation))
    with monkeypatch.context() as patched:
        patched.setattr(store, "modify", full)
        begun = await snapshots.take(Source(), SnapshotRequest(), NO_REQUEST)  # type: ignore[arg-type]
        ended = await snapshots.finished(begun.id)
        assert (ended.status, ended.out_of_disk, ended.error_message) == ("error", True, "There is no room.")
    assert (await snapshots.get(begun.id)).status == "error"
    await snapshots.delete(begun.id)
    assert (await snapshots.get(begun.id)).status == "deleted"
    await isolation.aclose()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_snapshot_that_is_about_to_begin_is_waited_for(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """As its devbox's kernel ends just then."""
    put, held, go_on = store.put, asyncio.Event(), asyncio.Event()

    async def held_up(*documents: Document, urgent: bool = False) -> None:
        held.set()
        await go_on.wait()
        if fails:
            raise DiskFullError("There is no room.")
        await put(*documents, urgent=urgent)

    monkeypatch.setattr(store, "put", held_up)
    isolation = await open_isolation(tmp_path / "sandboxes", "process")
    snapshots = Snapshots(store, Layers(isolation))
    taking = asyncio.create_task(snapshots.take(Source(), SnapshotRequest(), NO_REQUEST))  # type: ignore[arg-type]
    await held.wait()
    settled = asyncio.create_task(snapshots.settled("dbx_1"))
    await snapshots.settled("dbx_2")
    assert not settled.done()
    go_on.set()
    await settled
    if fails:
        with pytest.raises(DiskFullError):
            await taking
    else:
        assert (await snapshots.get((await taking).id)).status == "complete"
    await isolation.aclose()


@pytest.mark.parametrize("status", ["running", "suspended", "shutdown"])
async def test_a_status_is_told_when_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    """Or a kill between the two would take back what somebody was told."""
    put, held, kept = Store.put, asyncio.Event(), asyncio.Event()

    async def held_up(store: Store, *documents: Document, urgent: bool = False) -> None:
        if any((document.kind, document.status) == ("devbox", status) for document in documents):
            held.set()
            await kept.wait()
        await put(store, *documents, urgent=urgent)

    monkeypatch.setattr(Store, "put", held_up)
    engine = await Engine.open(tmp_path / "data", "process")
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
    if status != "running":
        assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    moves: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "suspended": devbox.suspend,
        "shutdown": lambda: devbox.shutdown("api_shutdown"),
    }
    moving = asyncio.gather(*(move() for name, move in moves.items() if name == status))
    await held.wait()
    settled = asyncio.create_task(devbox.state.settled())
    assert devbox.status == status
    assert not await devbox.state.wait(frozenset({status}), 0.05)
    assert not settled.done()
    kept.set()
    assert await devbox.state.wait(frozenset({status}), PATIENCE)
    await settled
    await moving
    await engine.aclose()


async def test_a_tunnel_of_a_devbox_that_is_being_closed_says_so(tmp_path: Path) -> None:
    engine = await Engine.open(tmp_path / "data", "process")
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms(), tunnel=new_tunnel()))
    assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    assert devbox.record.tunnel is not None
    await devbox.close()
    with pytest.raises(TunnelRejected, match="as the service stops") as refused:
        await open_connection(engine.tunnels, Target(8080, devbox.record.tunnel.tunnel_key), None)
    assert refused.value.status == 503
    await engine.aclose()


async def test_a_command_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = await Engine.open(tmp_path / "data", "process")
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
    assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    for number in range(3):
        with pytest.raises(InvalidError, match="attach_stdin"):
            await engine.executions.start(
                devbox.record.id, ExecutionRequest("true", f"exec_{number}", stdin=True, shell="s")
            )
    assert not any(live.running for live in engine.executions._history._live.values())
    await engine.aclose()


# With a service


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Api]:
    """A service of the test's own, whose log must stay empty."""
    with serving(tmp_path / "data") as service:
        async with connect(service) as client:
            yield client
    assert (tmp_path / "data.log").read_text() == ""


async def together(*asked: Awaitable[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in await asyncio.gather(*asked)]


async def test_a_snapshot_that_is_renamed_while_it_is_made_is_complete(own: Api) -> None:
    devbox = await own.create()
    for number in range(12):
        await own.execute(devbox, f"echo {number} > file")
        taken = (await own.json(f"/v1/devboxes/{devbox}/snapshot_disk_async", {}))["id"]
        one = f"/v1/devboxes/disk_snapshots/{taken}"
        status = "in_progress"
        while status == "in_progress":
            names = [own.post(one, json={"name": f"n{number}"}), own.post(one, json={"commit_message": "m"})]
            assert await together(*names) == [200, 200]
            status = (await own.json(f"{one}/status"))["status"]
        found = await own.json(f"{one}/status")
        assert (found["status"], found["snapshot"]["name"], found["snapshot"]["commit_message"]) == (
            "complete",
            f"n{number}",
            "m",
        )


async def test_a_devbox_ended_on_its_way_stays_ended_and_leaves_no_disk(own: Api, tmp_path: Path) -> None:
    hooks = {"lifecycle": {"lifecycle_hooks": {"suspend_commands": ["sleep 0.05"]}}}
    for _ in range(6):
        suspending, resuming = await own.create(launch_parameters=hooks), await own.create()
        await own.json(f"/v1/devboxes/{resuming}/suspend", {})
        await own.wait(resuming, "suspended")
        for devbox, step in ((suspending, "suspend"), (resuming, "resume")):
            one = f"/v1/devboxes/{devbox}"
            ends = [own.post(f"{one}/shutdown", json={}) for _ in range(2)]
            assert await together(own.post(f"{one}/{step}"), *ends) == [200, 200, 200]
            assert (await own.json(one))["status"] == "shutdown"
    assert list((tmp_path / "data").glob("sandboxes/*/sandboxes/*")) == []


async def test_of_two_tunnels_at_once_one_is_refused(own: Api) -> None:
    for _ in range(5):
        one = f"/v1/devboxes/{await own.create()}"
        asked = await asyncio.gather(*(own.post(f"{one}/enable_tunnel", json={}) for _ in range(2)))
        assert sorted(answer.status_code for answer in asked) == [200, 400]
        made = next(answer for answer in asked if answer.status_code == 200)
        assert (await own.json(one))["tunnel"] == made.json()


async def test_what_is_said_of_a_devbox_while_it_moves_is_kept(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            devboxes = [await api.create() for _ in range(8)]
            for devbox in devboxes:
                one = f"/v1/devboxes/{devbox}"
                said = [api.post(one, json={"name": "n"}), api.post(one, json={"metadata": {"k": "v"}})]
                assert await together(said[0], api.post(f"{one}/suspend"), said[1]) == [200, 200, 200]
                await api.wait(devbox, "suspended")
        first.kill()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            views = [await api.json(f"/v1/devboxes/{devbox}") for devbox in devboxes]
            assert {(view["status"], view["name"], view["metadata"].get("k")) for view in views} == {
                ("suspended", "n", "v")
            }


async def test_a_blueprint_deleted_while_it_is_built_is_deleted(own: Api, tmp_path: Path) -> None:
    for pause in (0.0, 0.01, 0.1, 0.3):
        made = await own.json("/v1/blueprints", {"name": "b", "dockerfile": FROM})
        one = f"/v1/blueprints/{made['id']}"
        await asyncio.sleep(pause)
        assert await together(*(own.post(f"{one}/delete", json={}) for _ in range(2))) == [200, 200]
        view = await own.json(one)
        assert (view["state"], view["status"] in ("failed", "build_complete")) == ("deleted", True)
    assert (await own.json("/v1/blueprints"))["blueprints"] == []
    assert list((tmp_path / "data").glob("sandboxes/*/sandboxes/*")) == []


async def test_a_request_while_the_service_stops_is_told_so(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            stream = api.follow(await api.start(devbox, "echo up; sleep 1000"))
            assert (await anext(stream))["output"] == "up\n"
            service.process.terminate()
            while True:
                try:
                    answer = await api.post(f"/v1/devboxes/{devbox}/execute", json={"command": "true"})
                except httpx.TransportError:
                    break
                assert answer.status_code in (200, 400, 503), answer.text
            await stream.aclose()
    assert (tmp_path / "data.log").read_text() == ""


async def test_connections_that_are_opened_while_the_service_stops_are_closed(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        port = urllib.parse.urlsplit(service.base_url).port
        opened: list[asyncio.StreamWriter] = []

        async def connect_until_refused() -> None:
            with suppress(OSError):
                while True:
                    opened.append((await asyncio.open_connection("127.0.0.1", port))[1])

        connecting = [asyncio.create_task(connect_until_refused()) for _ in range(4)]
        await until(lambda: len(opened) > 20, "connections")
        service.process.terminate()
        await asyncio.gather(*connecting)
        for writer in opened:
            writer.close()
    assert (tmp_path / "data.log").read_text() == ""
