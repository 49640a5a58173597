"""Databases of earlier versions: today's service finds all that is in them."""

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.api import Api, connect
from tests.local.serving import serving

DATABASES = Path(__file__).parent / "data" / "databases"
VERSIONS = sorted(folder.name for folder in DATABASES.iterdir())


def restored(version: str, data: Path) -> dict[str, Any]:
    """The data folder as that version left it; what must be found in it."""
    source = DATABASES / version
    (data / "axons").mkdir(parents=True)
    (data / "objects").mkdir()
    for name, file in (("service", data / "service.db"), ("events", data / "axons" / "events")):
        database = sqlite3.connect(file)
        database.executescript((source / f"{name}.sql").read_text())
        if name == "service":  # as if it had been yesterday: devboxes that ended long ago are forgotten
            database.execute("UPDATE documents SET time_ms = ?", (time.time_ns() // 1_000_000 - 24 * 3600 * 1000,))
            database.commit()
        database.close()
    (data / "service.key").write_bytes(bytes.fromhex((source / "service.key.hex").read_text()))
    expected: dict[str, Any] = json.loads((source / "expected.json").read_text())
    for object_id, text in expected["objects"].items():
        if text is not None:
            (data / "objects" / object_id).write_text(text)
    sealed = expected.get("tunnel")
    expected["tunnel"] = tuple(sealed) if sealed else plain_tunnel((source / "service.sql").read_text())
    return expected


def plain_tunnel(dump: str) -> tuple[str, ...]:
    """The key and the token of the tunnel, which early versions stored as they are."""
    found = re.search(r'"tunnel_key": "(\w+)".*?"auth_token": "([\w-]+)"', dump)
    assert found is not None
    return found.groups()


def is_in_files(data: Path, secret: str) -> bool:
    return any(secret.encode() in file.read_bytes() for file in data.rglob("*") if file.is_file())


@pytest.mark.parametrize("version", VERSIONS)
async def test_all_that_an_earlier_version_kept_is_there(tmp_path: Path, version: str) -> None:
    expected = restored(version, tmp_path / "data")
    for _ in range(2):  # what was brought to today's version is read again as well
        with serving(tmp_path / "data", "--isolation", "process") as service:
            async with connect(service) as api:
                await devboxes_are_there(api, expected)
                await disks_are_there(api, expected)
                await objects_are_there(api, expected["objects"])
                await the_rest_is_there(api, expected)
                assert not any(is_in_files(tmp_path / "data", secret) for secret in expected["tunnel"])
                notes = (await api.json("/local/status"))["notes"]
                assert not [note for note in notes if "cannot be read" in note or "service.key" in note]
        assert (tmp_path / "data.log").read_text() == ""


async def devboxes_are_there(api: Api, expected: dict[str, Any]) -> None:
    listed = (await api.json("/v1/devboxes"))["devboxes"]
    assert {view["id"]: view["status"] for view in listed} | expected["devboxes"] == {
        view["id"]: view["status"] for view in listed
    }
    for devbox, status in expected["devboxes"].items():
        assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == status
    for devbox, executions in expected["executions"].items():
        for execution, code in executions.items():
            view = await api.json(f"/v1/devboxes/{devbox}/executions/{execution}")
            assert (view["status"], view["exit_status"]) == ("completed", code)
    kept = next(view for view in listed if view["name"] == "kept")
    assert kept["metadata"] == {"team": "a"}
    tunnel = (await api.json(f"/v1/devboxes/{kept['id']}"))["tunnel"]
    assert kept["tunnel"] == tunnel
    assert tunnel["auth_mode"] == "authenticated"
    assert (tunnel["tunnel_key"], tunnel["auth_token"]) == expected["tunnel"]
    assert kept["launch_parameters"] == {"keep_alive_time_seconds": 7200, "resource_size_request": "MEDIUM"}


async def disks_are_there(api: Api, expected: dict[str, Any]) -> None:
    for snapshot, status in expected["snapshots"].items():
        assert (await api.json(f"/v1/devboxes/disk_snapshots/{snapshot}/status"))["status"] == status
    complete = [snapshot for snapshot, status in expected["snapshots"].items() if status == "complete"]
    assert [view["id"] for view in (await api.json("/v1/devboxes/disk_snapshots"))["snapshots"]] == complete
    for blueprint, status in expected["blueprints"].items():
        assert (await api.json(f"/v1/blueprints/{blueprint}"))["status"] == status
    assert len((await api.json("/v1/blueprints"))["blueprints"]) == len(expected["blueprints"])


async def objects_are_there(api: Api, objects: dict[str, str | None]) -> None:
    for object_id, text in objects.items():
        state = (await api.json(f"/v1/objects/{object_id}"))["state"]
        assert (state == "READ_ONLY") is (text is not None)
        if text is not None:
            url = (await api.json(f"/v1/objects/{object_id}/download"))["download_url"]
            async with httpx.AsyncClient() as bare:
                assert (await bare.get(url)).text == text


async def the_rest_is_there(api: Api, expected: dict[str, Any]) -> None:
    for name, value in expected["secrets"].items():
        devbox = await api.create(secrets={"T": name})
        assert (await api.execute(devbox, 'echo "$T"'))["stdout"] == f"{value}\n"
        await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    for key, status in expected["keys"].items():
        answer = await api.get("/v1/devboxes", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    for path, name in expected["settings"].items():
        assert (await api.json(path))["name"] == name
    for axon, payloads in expected["axons"].items():
        events = (await api.json(f"/v1/axons/{axon}/events"))["events"]
        assert [event["payload"] for event in events] == payloads
    assert len((await api.json("/v1/axons"))["axons"]) == 1


async def test_a_devbox_whose_disk_is_missing_is_not_given_an_empty_one(tmp_path: Path) -> None:
    expected = restored("first", tmp_path / "data")
    kept = next(devbox for devbox, status in expected["devboxes"].items() if status == "suspended")
    with serving(tmp_path / "data", "--isolation", "process") as service:
        async with connect(service) as api:
            refused = await api.post(f"/v1/devboxes/{kept}/resume", json={})
            assert refused.status_code == 400
            assert "its disk is not among those" in refused.json()["message"]
            assert (await api.json(f"/v1/devboxes/{kept}"))["status"] == "suspended"
            assert (await api.json(f"/v1/devboxes/{kept}/shutdown", {}))["status"] == "shutdown"


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    restored("first", data)
    database = sqlite3.connect(data / "service.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = (data / "service.db").read_bytes()
    with pytest.raises(AssertionError, match=r"has version 99 and was written by a newer service.* up to \d\. Update"):
        with serving(data, "--isolation", "process"):
            pass
    assert (data / "service.db").read_bytes() == before
    assert sorted(path.name for path in data.iterdir()) == [
        "axons",
        "lock",
        "objects",
        "service.db",
        "service.key",
    ]
