"""A data folder that has lost something, or cannot be read in part: nothing of the rest is deleted, and it is said."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from runloop_local.engine.engine import Engine
from runloop_local.engine.errors import StorageError
from tests.local.api import Api, connect
from tests.local.serving import serving
from tests.starter import FROM


@dataclass
class Kept:
    """What a stopped service has left."""

    data: Path
    devbox: str
    ended: str
    snapshot: str
    blueprint: str
    object: str

    def files(self) -> set[str]:
        """The disks, layers, objects and logs."""
        found = [*self.data.glob("sandboxes/*/*/*"), *self.data.glob("objects/*"), *self.data.glob("logs/*")]
        return {str(path.relative_to(self.data)) for path in found}

    def owned(self, what: str) -> set[str]:
        return {path for path in self.files() if what in path}


async def stored(api: Api, text: str) -> str:
    view = await api.json("/v1/objects", {"name": "o", "content_type": "text"})
    async with httpx.AsyncClient() as bare:
        (await bare.put(view["upload_url"], content=text.encode())).raise_for_status()
    await api.json(f"/v1/objects/{view['id']}/complete", {})
    return str(view["id"])


async def built(api: Api) -> str:
    dockerfile = f"{FROM}\nRUN echo built > /home/user/built"
    blueprint = (await api.json("/v1/blueprints", {"name": "b", "dockerfile": dockerfile}))["id"]
    async for status in statuses(api, blueprint):
        assert status != "failed"
    return str(blueprint)


async def statuses(api: Api, blueprint: str) -> AsyncIterator[str]:
    while (status := (await api.json(f"/v1/blueprints/{blueprint}"))["status"]) != "build_complete":
        yield status


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    data = tmp_path / "data"
    with serving(data) as service:
        async with connect(service) as api:
            devbox, ended = await api.create(name="kept"), await api.create(name="ended")
            await api.execute(devbox, "echo kept > file")
            await api.execute(ended, "echo said")
            snapshot = (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {}))["id"]
            await api.json(f"/v1/devboxes/{ended}/shutdown", {})
            blueprint = await built(api)
            await api.json("/v1/secrets", {"name": "TOKEN", "value": "value"})
            return Kept(data, devbox, ended, snapshot, blueprint, await stored(api, "text"))


@asynccontextmanager
async def next_service(kept: Kept, *options: str) -> AsyncIterator[Api]:
    """The next service on what was left, until it has removed what it takes for unneeded."""
    with serving(kept.data, *options) as service:
        async with connect(service) as api:
            yield api
            await sweep(api)
    assert "Traceback" not in kept.data.with_name("data.log").read_text()


async def sweep(api: Api) -> None:
    """After this the service has removed what it took for unneeded: a layer more, which it was told to."""
    devbox = await api.create()
    snapshot = (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {}))["id"]
    await api.json(f"/v1/devboxes/disk_snapshots/{snapshot}/delete", {})
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def notes_of(api: Api) -> str:
    return " ".join((await api.json("/local/status"))["notes"])


async def all_is_there(api: Api, kept: Kept) -> None:
    await api.json(f"/v1/devboxes/{kept.devbox}/resume", {})
    await api.wait(kept.devbox, "running")
    assert (await api.execute(kept.devbox, "cat file"))["stdout"] == "kept\n"
    for options, command, said in (
        ({"snapshot_id": kept.snapshot}, "cat file", "kept\n"),
        ({"blueprint_id": kept.blueprint}, "cat built", "built\n"),
    ):
        devbox = await api.create(**options)
        assert (await api.execute(devbox, command))["stdout"] == said
    assert await text_of(api, kept.object) == "text"


async def text_of(api: Api, object_id: str) -> str:
    url = (await api.json(f"/v1/objects/{object_id}/download"))["download_url"]
    async with httpx.AsyncClient() as bare:
        return (await bare.get(url)).text


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def without_tables(file: Path) -> None:
    file.unlink()
    change(file, "PRAGMA journal_mode = WAL")


def change(file: Path, statement: str, *values: object) -> None:
    database = sqlite3.connect(file)
    assert database.execute(statement, values).rowcount != 0
    database.commit()
    database.close()


@pytest.mark.parametrize("lose", [Path.unlink, emptied, without_tables], ids=["missing", "empty", "without tables"])
async def test_without_its_database_no_service_starts_and_nothing_is_deleted(
    kept: Kept, lose: Callable[[Path], None], tmp_path: Path
) -> None:
    file = kept.data / "service.db"
    shutil.copy(file, tmp_path / "copy")
    lose(file)
    before = kept.files()
    said = (
        r"service\.db is missing or empty, but describes the 1 disk, \d layers?, 1 object beside it\. Put it back, "
        r"with service\.db-wal if there is one, or move .*data away to start anew\. Nothing was deleted\.\n$"
    )
    for _ in range(2):  # the first does not make one that lets the second start
        with pytest.raises(AssertionError, match=said):
            with serving(kept.data):
                pass
        assert kept.files() == before
    shutil.copy(tmp_path / "copy", file)
    async with next_service(kept) as api:
        await all_is_there(api, kept)


def test_beside_nothing_a_database_is_made(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    emptied(tmp_path / "data" / "service.db")
    with serving(tmp_path / "data"):
        assert (tmp_path / "data" / "service.db").stat().st_size
    assert (tmp_path / "data.log").read_text() == ""


async def test_a_database_from_before_leaves_alone_what_has_come_since(kept: Kept, tmp_path: Path) -> None:
    file = kept.data / "service.db"
    shutil.copy(file, tmp_path / "copy")
    with serving(kept.data) as service:
        async with connect(service) as api:
            later, source = await api.create(), await api.create()
            await api.json(f"/v1/devboxes/{source}/snapshot_disk", {})
            await api.json(f"/v1/devboxes/{source}/shutdown", {})
            object_id = await stored(api, "later")
    shutil.copy(tmp_path / "copy", file)
    before = kept.files()
    for _ in range(2):
        async with next_service(kept) as api:
            await sweep(api)
            notes = await notes_of(api)
            assert f"One disk in sandboxes/ that service.db does not know is kept: {later}." in notes
            assert "One layer in sandboxes/ that service.db does not know is kept: l" in notes
            assert f"One file in objects/ that service.db does not know is kept: {object_id}." in notes
        assert kept.files() >= before - kept.owned("/work")
    assert (kept.data / "objects" / object_id).read_text() == "later"


async def test_a_new_key_seals_no_secret_away_for_good(kept: Kept, tmp_path: Path) -> None:
    key = kept.data / "service.key"
    shutil.move(key, tmp_path / "key")
    for _ in range(2):
        async with next_service(kept) as api:
            said = "TOKEN was encrypted with another service.key: put that key back, or set it again."
            assert said in await notes_of(api)
            failed = await api.json("/v1/devboxes/create_and_await_running", {"secrets": {"T": "TOKEN"}})
            assert said in failed["state_transitions"][-1]["failure_reason"]
    shutil.move(tmp_path / "key", key)
    async with next_service(kept) as api:
        assert "TOKEN" not in await notes_of(api)
        devbox = await api.create(secrets={"T": "TOKEN"})
        assert (await api.execute(devbox, "echo $T"))["stdout"] == "value\n"


async def test_a_secret_that_is_stored_again_needs_the_old_key_no_more(kept: Kept) -> None:
    (kept.data / "service.key").unlink()
    async with next_service(kept) as api:
        await api.json("/v1/secrets/TOKEN", {"value": "again"})
        assert "TOKEN" not in await notes_of(api)
    async with next_service(kept) as api:
        devbox = await api.create(secrets={"T": "TOKEN"})
        assert (await api.execute(devbox, "echo $T"))["stdout"] == "again\n"


BREAK = "UPDATE documents SET body = ? WHERE kind = ? AND id = ?"
BODIES = {"no JSON": "{", "a wrong type": '{"id": 5}'}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_broken_record_keeps_what_it_owns_and_the_rest_works(kept: Kept, body: str) -> None:
    whole = kept.data.with_name("whole.db")
    shutil.copy(kept.data / "service.db", whole)
    broken = {
        "devbox": kept.devbox,
        "snapshot": kept.snapshot,
        "blueprint": kept.blueprint,
        "object": kept.object,
    }
    for kind, document_id in broken.items():
        change(kept.data / "service.db", BREAK, body, kind, document_id)
    before = kept.files()
    for _ in range(2):
        async with next_service(kept) as api:
            await broken_ones_are_named(api, broken)
            assert kept.data.with_name("data.log").read_text().splitlines()[0] in await notes_of(api)
            await the_rest_works(api, kept)
            assert "No layer is removed, as a record that cannot be read may need it." in await notes_of(api)
    assert kept.files() >= before
    for kind, document_id in broken.items():
        database = sqlite3.connect(kept.data / "service.db")
        statement = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        assert database.execute(statement, (kind, document_id)).fetchone() == (body,)
        database.close()
    repair(kept, whole, broken)
    async with next_service(kept) as api:
        assert "cannot be read" not in await notes_of(api)
        await all_is_there(api, kept)


def repair(kept: Kept, whole: Path, broken: dict[str, str]) -> None:
    """Put back the bodies that were broken, as a newer version would read them."""
    database = sqlite3.connect(whole)
    for kind, document_id in broken.items():
        statement = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        (body,) = database.execute(statement, (kind, document_id)).fetchone()
        change(kept.data / "service.db", BREAK, body, kind, document_id)
    database.close()


async def broken_ones_are_named(api: Api, broken: dict[str, str]) -> None:
    for kind, path in (
        ("devbox", "/v1/devboxes/{}"),
        ("snapshot", "/v1/devboxes/disk_snapshots/{}/status"),
        ("blueprint", "/v1/blueprints/{}"),
        ("object", "/v1/objects/{}"),
    ):
        answer = await api.get(path.format(broken[kind]))
        assert (answer.status_code, answer.json()["error"]) == (500, "unreadable_record")
        assert answer.json()["retryable"] is False
        said = f"The record of {kind} {broken[kind]} cannot be read, and is kept unchanged: "
        assert said in answer.json()["message"]
        assert said in await notes_of(api)


async def the_rest_works(api: Api, kept: Kept) -> None:
    for path, key in (
        ("/v1/devboxes", "devboxes"),
        ("/v1/devboxes/disk_snapshots", "snapshots"),
        ("/v1/blueprints", "blueprints"),
        ("/v1/objects", "objects"),
    ):
        listed = [view["id"] for view in (await api.json(path))[key]]
        assert not set(listed) & {kept.devbox, kept.snapshot, kept.blueprint, kept.object}
    assert (await api.json(f"/v1/devboxes/{kept.ended}"))["status"] == "shutdown"
    assert "said" in str(await api.json(f"/v1/devboxes/{kept.ended}/logs"))
    devbox = await api.create(secrets={"T": "TOKEN"})
    assert (await api.execute(devbox, "echo $T"))["stdout"] == "value\n"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def one_of_each_other_kind(api: Api) -> None:
    """With the requests that made them, which the service remembers."""
    once = {"x-request-id": "once"}
    axon = (await api.json("/v1/axons", {"name": "a"}, headers=once))["id"]
    await api.json(f"/v1/axons/{axon}/sql/query", {"sql": "CREATE TABLE t (a)"}, headers=once)
    await api.json("/v1/restricted_keys", {"name": "k", "scopes": []}, headers=once)
    endpoint = {"endpoint": "https://example.com", "auth_mechanism": {"type": "bearer"}}
    for path, body in (
        ("network-policies", {"allow_all": True}),
        ("gateway-configs", endpoint),
        ("mcp-configs", {**endpoint, "allowed_tools": ["*"]}),
    ):
        await api.json(f"/v1/{path}", {"name": "p", **body}, headers=once)


KINDS = {
    "axon",
    "blueprint",
    "cached_step",
    "devbox",
    "ended_devbox",
    "execution",
    "gateway_config",
    "key",
    "layer",
    "mcp_config",
    "network_policy",
    "object",
    "request",
    "secret",
    "snapshot",
}
BREAKS = {
    "no JSON": "'{'",
    "no fields": "'{}'",
    "a list": "'[]'",
    "a number": "'5'",
    "an id of a wrong type": "json_set(body, '$.id', 5)",
    "a field of a newer version": """json_set(body, '$.newer', json('{"a": 1}'))""",
}


@pytest.mark.parametrize("how", BREAKS)
async def test_any_kind_of_record_may_be_broken(kept: Kept, how: str) -> None:
    """All of one kind at a time: the service starts, and what belongs to them is there afterwards."""
    with serving(kept.data) as service:
        async with connect(service) as api:
            await one_of_each_other_kind(api)
    file = kept.data / "service.db"
    whole, before = file.read_bytes(), kept.files()
    assert kinds_in(file) == KINDS
    for kind in sorted(KINDS):
        file.write_bytes(whole)
        change(file, f"UPDATE documents SET body = {BREAKS[how]} WHERE kind = ?", kind)
        engine = await Engine.open(kept.data)
        await engine.devboxes.clear_away()
        await engine.layers.sweep()
        notes = " ".join(engine.notes)
        await engine.aclose()
        assert kept.files() >= before, kind
        if how == "a field of a newer version":
            assert "cannot be read" not in notes, kind


def kinds_in(file: Path) -> set[str]:
    database = sqlite3.connect(file)
    kinds = {kind for (kind,) in database.execute("SELECT DISTINCT kind FROM documents")}
    database.close()
    return kinds


async def test_a_damaged_database_of_an_axon_harms_no_other(kept: Kept) -> None:
    with serving(kept.data) as service:
        async with connect(service) as api:
            await one_of_each_other_kind(api)
            axon = (await api.json("/v1/axons"))["axons"][0]["id"]
    file = kept.data / "axons" / f"{axon}.db"
    file.write_bytes(b"not a database" * 1000)
    async with next_service(kept) as api:
        assert f"{axon}.db is damaged: file is not a database." in await notes_of(api)
        refused = await api.post(f"/v1/axons/{axon}/sql/query", json={"sql": "SELECT 1"})
        assert (refused.status_code, refused.json()["error"]) == (500, "storage_error")
        await all_is_there(api, kept)
    assert file.read_bytes() == b"not a database" * 1000


async def test_a_policy_that_cannot_be_read_allows_nothing(kept: Kept) -> None:
    with serving(kept.data) as service:
        async with connect(service) as api:
            policy = (await api.json("/v1/network-policies", {"name": "p", "allow_all": True}))["id"]
    change(kept.data / "service.db", "UPDATE documents SET body = json_remove(body, '$.egress') WHERE id = ?", policy)
    async with next_service(kept) as api:
        refused = await api.post("/v1/devboxes", json={"launch_parameters": {"network_policy_id": policy}})
        assert refused.json()["error"] == "unreadable_record"
        assert policy in refused.json()["message"]


async def test_a_torn_database_deletes_nothing(kept: Kept) -> None:
    """Whatever page is torn, the service starts or refuses with a sentence, and all files are there afterwards."""
    file = kept.data / "service.db"
    whole, before = file.read_bytes(), kept.files()
    refusals = []
    for page in range(1, len(whole) // 4096):
        file.write_bytes(whole[: page * 4096] + bytes(4096) + whole[(page + 1) * 4096 :])
        file.with_name("service.db-wal").unlink(missing_ok=True)
        refusals += [refusal] if (refusal := await outcome(kept.data)) else []
        assert kept.files() >= before
    assert refusals
    assert all("service.db is damaged: " in refusal for refusal in refusals)


async def outcome(data: Path) -> str:
    """Why no service starts there; nothing if one does."""
    try:
        await (await Engine.open(data)).aclose()
    except StorageError as error:
        return str(error)
    return ""


async def test_a_disk_that_is_being_made_is_not_taken_for_what_a_kill_has_left(kept: Kept) -> None:
    engine = await Engine.open(kept.data)
    (folder,) = kept.data.glob("sandboxes/*/sandboxes")
    being_made, left = folder / f"{kept.devbox}.new", folder / f"{kept.ended}.new"
    for each in (being_made, left):
        each.mkdir()
    await engine.devboxes.clear_away()
    assert being_made.exists()
    assert not left.exists()
    await engine.aclose()
