"""Storage objects: what is sent to whom, and that no byte is lost."""

import io
import os
import tarfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from runloop_sdk import APIStatusError, AsyncRunloopSDK, ConfigurationError, LocalFileError

SIGNED = "https://bucket.example/path/file?X-Signature=se%2Fcret&expires=1"


def view(**fields: object) -> dict[str, object]:
    base = {"id": "obj_1", "name": "n", "content_type": "text", "create_time_ms": 0, "state": "UPLOADING"}
    return {**base, **fields}


class Host:
    """The API and the bucket, noting what they are asked."""

    def __init__(self, *, status: int = 200) -> None:
        self.requests: list[httpx.Request] = []
        self.status = status

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if request.url.host == "bucket.example":
            return httpx.Response(self.status, content=b"bytes" if request.method == "GET" else b"")
        if request.url.path.endswith("/download"):
            return httpx.Response(200, json={"download_url": SIGNED})
        return httpx.Response(200, json=view(upload_url=SIGNED, upload_headers={"x-amz-acl": "private"}))

    def sdk(self) -> AsyncRunloopSDK:
        return AsyncRunloopSDK(
            bearer_token="ak_secret",
            base_url="https://api.example",
            max_retries=0,
            default_headers={"x-team": "blue"},
            default_query={"team": "blue"},
            http_client=httpx.AsyncClient(transport=httpx.MockTransport(self.answer)),
        )


async def test_presigned_url_gets_its_own_headers_and_nothing_of_ours() -> None:
    host = Host()
    made = await host.sdk().storage_object.upload_from_text("grün", "n.txt")
    create, put, complete = host.requests
    assert (create.method, create.url.path, complete.url.path) == ("POST", "/v1/objects", "/v1/objects/obj_1/complete")
    assert (put.method, put.url.path, put.content) == ("PUT", "/path/file", "grün".encode())
    assert dict(put.url.params) == {"X-Signature": "se/cret", "expires": "1"}
    assert put.headers["x-amz-acl"] == "private"
    assert not {"authorization", "x-request-id", "x-team"} & put.headers.keys()
    assert create.headers["authorization"] == "Bearer ak_secret"
    assert made.upload_url is None


async def test_download_gets_no_key_either() -> None:
    host = Host()
    assert await host.sdk().storage_object.from_id("obj_1").download_as_text(duration_seconds=60) == "bytes"
    ask, get = host.requests
    assert ask.url.params["duration_seconds"] == "60"
    assert not {"authorization", "x-request-id", "x-team"} & get.headers.keys()


async def test_refused_upload_deletes_the_object_and_hides_the_signature() -> None:
    host = Host(status=403)
    with pytest.raises(APIStatusError) as caught:
        await host.sdk().storage_object.upload_from_bytes(b"x", "n", content_type="binary")
    assert "cret" not in str(caught.value) + repr(vars(caught.value))
    assert host.requests[-1].url.path == "/v1/objects/obj_1/delete"


async def test_absent_file_makes_no_object(tmp_path: Path) -> None:
    host = Host()
    with pytest.raises(OSError, match="absent"):
        await host.sdk().storage_object.upload_from_file(tmp_path / "absent")
    with pytest.raises(LocalFileError):
        await host.sdk().storage_object.upload_from_dir(tmp_path / "absent")
    assert host.requests == []


async def test_upload_url_is_in_no_repr() -> None:
    made = await Host().sdk().storage_object.create(name="n", content_type="text")
    assert made.upload_url == SIGNED
    assert "cret" not in repr(made)
    with pytest.raises(ConfigurationError, match="takes no upload"):
        await Host().sdk().storage_object.from_id("obj_1").upload_content(b"x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.TXT", "text"), ("a.tar.gz", "tgz"), ("a.tgz", "tgz"), ("a.tar", "tar"), ("a.gz", "gzip"), ("a", "binary")],
)
async def test_content_type_follows_the_name(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    host = Host()
    await host.sdk().storage_object.upload_from_file(tmp_path / name)
    assert f'"content_type":"{kind}"' in host.requests[0].content.decode().replace(" ", "")


async def test_real_object_goes_up_and_comes_down_again(sdk: AsyncRunloopSDK, tmp_path: Path) -> None:
    data, sent, got = os.urandom(3_000_001), [], []
    made = await sdk.storage_object.create(name="data", content_type="binary")
    await made.upload_content(data, progress=sent.append)
    assert (await made.complete()).state == "READ_ONLY"
    await made.download_to(tmp_path / "data", progress=got.append)
    assert (tmp_path / "data").read_bytes() == data
    assert sent[-1] == got[-1] == len(data)
    assert made.id in [item.id async for item in sdk.storage_object.list(name="data")]
    assert (await made.delete()).state == "DELETED"


async def test_download_that_is_cut_asks_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 0.0)
    data, offsets = b"0123456789" * 1000, []

    class Cut(httpx.AsyncByteStream):
        def __init__(self, part: bytes) -> None:
            self.part = part

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield self.part
            raise httpx.ReadError("cut")

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != "bucket.example":
            return httpx.Response(200, json={"download_url": SIGNED})
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        offsets.append(start)
        body = Cut(data[start : start + 3000]) if len(offsets) < 4 else httpx.ByteStream(data[start:])
        return httpx.Response(206 if start else 200, stream=body)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    sdk = AsyncRunloopSDK(bearer_token="k", base_url="https://api.example", http_client=http)
    assert await sdk.storage_object.from_id("obj_1").download_as_bytes() == data
    assert offsets == [0, 3000, 6000, 9000]


async def test_folder_is_not_uploaded_as_a_file(tmp_path: Path) -> None:
    host = Host()
    with pytest.raises(LocalFileError, match="upload_from_dir"):
        await host.sdk().storage_object.upload_from_file(tmp_path)
    assert host.requests == []


async def test_folder_and_open_file_arrive_whole(sdk: AsyncRunloopSDK, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("in the folder")
    made = await sdk.storage_object.upload_from_dir(tmp_path / "folder", ttl=timedelta(hours=1))
    with tarfile.open(fileobj=io.BytesIO(await made.download_as_bytes())) as tar:
        assert tar.getnames() == ["a.txt"]
    view = await made.refresh()
    assert (view.name, view.content_type) == ("folder.tar.gz", "tgz")
    await made.delete()
