"""Storage objects: states, signed addresses, ranges, lists, and what breaks on the way."""

import asyncio
import itertools
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from runloop_local.engine.storage import objects
from runloop_local.engine.storage.idempotency import NO_REQUEST
from runloop_local.engine.storage.signatures import Signer
from runloop_local.engine.storage.store import Store
from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.waiting import PATIENCE, until


@pytest.fixture
async def bare(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client that holds no key."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        yield client


async def create(api: Api, **options: Any) -> Any:
    return await api.json("/v1/objects", {"name": "n", "content_type": "binary", **options})


async def stored(api: Api, bare: httpx.AsyncClient, data: bytes, **options: Any) -> str:
    view = await create(api, **options)
    assert (await bare.put(view["upload_url"], content=data, headers=view["upload_headers"])).status_code == 200
    await api.json(f"/v1/objects/{view['id']}/complete", {})
    object_id: str = view["id"]
    return object_id


async def download_url(api: Api, object_id: str, query: str = "") -> str:
    url: str = (await api.json(f"/v1/objects/{object_id}/download{query}"))["download_url"]
    return url


async def test_life(api: Api, bare: httpx.AsyncClient) -> None:
    view = await create(api, name="größe.txt", content_type="text", metadata={"a": "b"})
    assert (view["state"], view["size_bytes"], view["metadata"]) == ("UPLOADING", None, {"a": "b"})
    await api.json(f"/v1/objects/{view['id']}/complete", {}, status=400)
    await api.json(f"/v1/objects/{view['id']}/download", status=400)
    for text in ("first", "grün"):
        assert (await bare.put(view["upload_url"], content=text.encode())).status_code == 200
    done = await api.json(f"/v1/objects/{view['id']}/complete", {})
    assert (done["state"], done["size_bytes"], done["upload_url"]) == ("READ_ONLY", 5, None)
    answer = await bare.get(await download_url(api, view["id"], "?duration_seconds=60"))
    assert (answer.text, answer.headers["content-type"]) == ("grün", "text/plain; charset=utf-8")
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''gr%C3%B6%C3%9Fe.txt"
    again = await api.json(f"/v1/objects/{view['id']}/complete", {}, status=409)
    assert "READ_ONLY" in again["message"]
    for _ in range(2):
        assert (await api.json(f"/v1/objects/{view['id']}/delete", {}))["state"] == "DELETED"
    assert (await api.json(f"/v1/objects/{view['id']}"))["state"] == "DELETED"
    await api.json(f"/v1/objects/{view['id']}/download", status=404)
    await api.json(f"/v1/objects/{view['id']}/complete", {}, status=409)


async def test_an_empty_object(api: Api, bare: httpx.AsyncClient) -> None:
    url = await download_url(api, await stored(api, bare, b""))
    answer = await bare.get(url)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await bare.get(url, headers={"range": "bytes=0-"})).status_code == 416


async def test_large_bytes_survive_up_and_down_without_a_known_length(api: Api, bare: httpx.AsyncClient) -> None:
    data = bytes(range(256)) * 20_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_001):
            yield data[start : start + 100_001]

    view = await create(api)
    assert (await bare.put(view["upload_url"], content=pieces())).status_code == 200
    assert (await api.json(f"/v1/objects/{view['id']}/complete", {}))["size_bytes"] == len(data)
    assert (await bare.get(await download_url(api, view["id"]))).content == data


@pytest.mark.parametrize(
    ("wanted", "status", "content_range", "body"),
    [
        ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=-3", 206, "bytes 7-9/10", b"789"),
        ("bytes=-30", 206, "bytes 0-9/10", b"0123456789"),
        ("bytes=8-99", 206, "bytes 8-9/10", b"89"),
        ("bytes=10-", 416, "bytes */10", b""),
        ("bytes=-0", 416, "bytes */10", b""),
        ("bytes=4-2", 200, None, b"0123456789"),
        ("bytes=0-1,4-5", 200, None, b"0123456789"),
        ("lines=1-2", 200, None, b"0123456789"),
        ("bytes=-", 200, None, b"0123456789"),
    ],
    ids=str,
)
async def test_ranges(
    api: Api, bare: httpx.AsyncClient, wanted: str, status: int, content_range: str | None, body: bytes
) -> None:
    url = await download_url(api, await stored(api, bare, b"0123456789"))
    answer = await bare.get(url, headers={"range": wanted})
    assert (answer.status_code, answer.headers.get("content-range"), answer.content) == (status, content_range, body)
    head = await bare.head(url, headers={"range": wanted})
    assert (head.status_code, head.headers["content-length"], head.content) == (status, str(len(body)), b"")


async def test_a_range_of_what_has_changed_is_all_of_it(api: Api, bare: httpx.AsyncClient) -> None:
    url = await download_url(api, await stored(api, bare, b"0123456789"))
    etag = (await bare.head(url)).headers["etag"]
    asked = {"range": "bytes=8-"}
    assert (await bare.get(url, headers={**asked, "if-range": etag})).content == b"89"
    assert (await bare.get(url, headers={**asked, "if-range": '"older"'})).content == b"0123456789"


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("expires=", "expires=1"),
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.partition("&signature")[0],
        lambda url: url.partition("?")[0],
        lambda url: url.replace("/obj_", "/obj_0"),
        lambda url: url.replace("expires=", "expires=%C3%A9"),
    ],
    ids=["later", "signature", "no signature", "nothing", "another object", "no number"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
async def test_altered_addresses_are_refused_even_with_the_key(
    api: Api, bare: httpx.AsyncClient, service: Service, method: str, change: Any
) -> None:
    if method == "PUT":
        url = (await create(api))["upload_url"]
    else:
        url = await download_url(api, await stored(api, bare, b"x"))
    content = b"y" if method == "PUT" else None
    for headers in ({}, {"authorization": f"Bearer {service.api_key}"}):
        answer = await bare.request(method, change(url), content=content, headers=headers)
        assert answer.status_code == 403
        assert method == "HEAD" or "signed" in answer.json()["message"]


async def test_an_address_is_good_for_one_method_only(api: Api, bare: httpx.AsyncClient) -> None:
    view = await create(api)
    assert (await bare.get(view["upload_url"])).status_code == 403
    object_id = await stored(api, bare, b"kept")
    url = await download_url(api, object_id)
    assert (await bare.put(url, content=b"other")).status_code == 403
    assert (await bare.get(url)).content == b"kept"
    assert (await bare.post(url)).status_code == 405


async def test_an_address_ends(api: Api, bare: httpx.AsyncClient) -> None:
    url = await download_url(api, await stored(api, bare, b"x"), "?duration_seconds=3")
    assert (await bare.get(url)).status_code == 200
    expires = int(httpx.URL(url).params["expires"])
    await asyncio.sleep(expires + 1.01 - time.time())
    answer = await bare.get(url)
    assert (answer.status_code, "expired" in answer.json()["message"]) == (403, True)


async def test_an_upload_address_ends_with_the_upload(api: Api, bare: httpx.AsyncClient) -> None:
    view = await create(api)
    await bare.put(view["upload_url"], content=b"first")
    await api.json(f"/v1/objects/{view['id']}/complete", {})
    answer = await bare.put(view["upload_url"], content=b"second")
    assert (answer.status_code, "READ_ONLY" in answer.json()["message"]) == (403, True)
    url = await download_url(api, view["id"])
    assert (await bare.get(url)).content == b"first"
    await api.json(f"/v1/objects/{view['id']}/delete", {})
    assert (await bare.get(url)).status_code == 404


async def test_an_upload_that_is_under_way_at_completion_changes_nothing(
    api: Api, bare: httpx.AsyncClient, service: Service
) -> None:
    view = await create(api)
    await bare.put(view["upload_url"], content=b"first")
    completed = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"s" * 300_000
        await completed.wait()
        yield b"low"

    late = asyncio.create_task(bare.put(view["upload_url"], content=slow()))
    await until(lambda: list((service.data_dir / "objects").glob(f"{view['id']}.*")), "the beginning on disk")
    await api.json(f"/v1/objects/{view['id']}/complete", {})
    completed.set()
    assert (await late).status_code == 403
    assert (await bare.get(await download_url(api, view["id"]))).content == b"first"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_cut_upload_leaves_it_uploading_and_nothing_on_disk(api: Api, service: Service, chunked: bool) -> None:
    view = await create(api)
    url = urlsplit(view["upload_url"])
    length = "transfer-encoding: chunked" if chunked else "content-length: 2000000"
    head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nhost: {url.netloc}\r\n{length}\r\n\r\n"
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(head.encode() + (b"4\r\nhalf\r\n" if chunked else b"x" * 1_500_000))
    folder = service.data_dir / "objects"
    await until(lambda: not list(folder.glob(f"{view['id']}*")), "its end on disk")
    assert (await api.json(f"/v1/objects/{view['id']}"))["state"] == "UPLOADING"
    await api.json(f"/v1/objects/{view['id']}/complete", {}, status=400)


async def test_what_does_not_fit_on_the_disk_is_a_507_at_once(api: Api) -> None:
    view = await create(api)
    url = urlsplit(view["upload_url"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    lines = [f"PUT {url.path}?{url.query} HTTP/1.1", f"host: {url.netloc}", f"content-length: {1 << 60}", "", ""]
    writer.write("\r\n".join(lines).encode())
    assert b" 507 " in await reader.readline()  # of the bytes that it announced none was sent
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("size", [5_000_000, 100_000_000])
async def test_a_full_disk_is_a_507_and_the_object_goes_on_uploading(tmp_path: Path, size: int) -> None:
    limit = ("prlimit", "--fsize=3000000")
    with serving(tmp_path / "data", "--isolation", "process", before=limit) as service:
        async with connect(service) as api:
            view = await create(api)
            answer = await api.put(view["upload_url"], content=b"x" * size)
            assert answer.status_code == 507
            assert (await api.put(view["upload_url"], content=b"x" * 5_000)).status_code == 200
            assert (await api.json(f"/v1/objects/{view['id']}/complete", {}))["size_bytes"] == 5000


async def test_an_object_ends_after_its_time(api: Api, bare: httpx.AsyncClient, service: Service) -> None:
    object_id = await stored(api, bare, b"short", ttl_ms=2000)
    view = await api.json(f"/v1/objects/{object_id}")
    assert view["delete_after_time_ms"] == view["create_time_ms"] + 2000
    await until(lambda: not (service.data_dir / "objects" / object_id).exists(), "its end on disk")
    assert (await api.json(f"/v1/objects/{object_id}"))["state"] == "DELETED"


async def test_a_retried_create_makes_one_object(api: Api) -> None:
    headers = {"x-request-id": str(uuid.uuid4())}
    body = {"name": "n", "content_type": "text"}
    views = [await api.json("/v1/objects", body, headers=headers) for _ in range(2)]
    assert views[0]["id"] == views[1]["id"]
    assert all(view["upload_url"] for view in views)


async def test_lists(api: Api, bare: httpx.AsyncClient) -> None:
    mark = uuid.uuid4().hex
    made = [(await create(api, name=f"{mark} {n}", content_type="text" if n % 2 else "tgz"))["id"] for n in range(5)]
    done = await stored(api, bare, b"x", name=f"x{mark.upper()} done")
    await api.json(f"/v1/objects/{made[0]}/delete", {})

    async def listed(query: str) -> list[str]:
        return [view["id"] for view in (await api.json(f"/v1/objects?{query}"))["objects"]]

    assert await listed(f"name={mark}") == [done, *made[:0:-1]]
    assert await listed(f"name={mark}&state=READ_ONLY") == [done]
    assert await listed(f"name={mark}&state=DELETED") == [made[0]]
    assert await listed(f"name={mark}&content_type=text") == [made[3], made[1]]
    assert await listed(f"search={done}") == [done]
    assert await listed(f"name={mark}&limit=2&starting_after={made[4]}") == [made[3], made[2]]
    page = await api.json(f"/v1/objects?name={mark}&limit=1")
    assert (page["has_more"], page["total_count"]) == (True, 5)
    assert await api.json("/v1/objects/list_public") == {"objects": [], "has_more": False, "total_count": 0}


@pytest.mark.parametrize("query", ["state=GONE", "content_type=image", "limit=5001", "limit=x"])
@pytest.mark.parametrize("path", ["/v1/objects", "/v1/objects/list_public"])
async def test_wrong_list_options_are_a_400(api: Api, path: str, query: str) -> None:
    await api.json(f"{path}?{query}", status=400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "n"},
        {"name": "n", "content_type": "image"},
        {"name": "", "content_type": "text"},
        {"name": "n" * 1025, "content_type": "text"},
        {"name": "n", "content_type": "text", "ttl_ms": 0},
        {"name": "n", "content_type": "text", "ttl_ms": 10**20},
        {"name": "n", "content_type": "text", "metadata": {"a": 1}},
    ],
    ids=json.dumps,
)
async def test_impossible_objects_are_a_400(api: Api, body: object) -> None:
    await api.json("/v1/objects", body, status=400)


@pytest.mark.parametrize("query", ["duration_seconds=604801", "duration_seconds=x", "duration_seconds=-1"])
async def test_impossible_durations_are_a_400(api: Api, bare: httpx.AsyncClient, query: str) -> None:
    object_id = await stored(api, bare, b"x")
    await api.json(f"/v1/objects/{object_id}/download?{query}", status=400)


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("POST", "/complete"), ("POST", "/delete"), ("GET", "/download")]
)
async def test_an_unknown_object_is_a_404(api: Api, method: str, rest: str) -> None:
    answer = await api.request(method, f"/v1/objects/obj_nope{rest}")
    assert (answer.status_code, "obj_nope" in answer.json()["message"]) == (404, True)


async def test_a_killed_service_keeps_finished_objects_and_clears_cut_ones(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            view = await create(api)
            await api.put(view["upload_url"], content=b"survivor")
            await api.json(f"/v1/objects/{view['id']}/complete", {})
            query = urlsplit(await download_url(api, view["id"]))
            cut = await create(api)
            ending = await create(api, ttl_ms=1)
            url = urlsplit(cut["upload_url"])
            _, writer = await asyncio.open_connection(url.hostname, url.port)
            head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-length: 9000000\r\n\r\n"
            writer.write(head.encode() + b"x" * 4_000_000)
            await writer.drain()
            folder = tmp_path / "data" / "objects"
            await until(lambda: list(folder.glob(f"{cut['id']}.*")), "a part of it on disk")
            first.kill()
            writer.close()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            assert [file.name for file in folder.iterdir()] == [view["id"]]
            assert (await api.get(f"{query.path}?{query.query}")).content == b"survivor"
            assert (await api.json(f"/v1/objects/{cut['id']}"))["state"] == "UPLOADING"
            assert (await api.json(f"/v1/objects/{ending['id']}"))["state"] == "DELETED"
            assert (tmp_path / "data" / "service.key").stat().st_mode & 0o777 == 0o600


async def test_an_object_without_a_ttl_lives_on_however_the_clock_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(1)
    monkeypatch.setattr(objects, "now_ms", lambda: next(ticks))
    store = Store.open(tmp_path / "db")
    stored_objects = objects.Objects(store, tmp_path / "objects", Signer(b"key"))
    await stored_objects.restore()
    made = await stored_objects.create(objects.ObjectRequest("n", "binary"), NO_REQUEST)
    assert (await stored_objects.get(made.id)).state == "UPLOADING"
    await stored_objects.aclose()
    await store.aclose()
