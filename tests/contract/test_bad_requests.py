"""Wrong bodies for every operation: each answer is an error as documented, never a 500, and the service lives on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.contract.schema import body_schema, operations, types_of
from tests.local.api import Api, connect
from tests.local.serving import Service, serving

WITH_BODY = [(method, path, name) for method, path, name in operations() if body_schema(method, path) is not None]
WITH_ID = [(method, path, name) for method, path, name in operations() if "{" in path and not path.startswith("/pty")]
ENDING = ("delete", "shutdown", "suspend", "complete", "kill")
WRONG: dict[str, list[Any]] = {
    "string": [7, [], {}, True, "", "x" * 100_000, "\0", "../../etc/passwd"],
    "integer": ["seven", [], {}, -1, 0, 1 << 70, 1.5],
    "number": ["seven", [], {}, -1.0, 1e308],
    "boolean": ["perhaps", 7, [], {}],
    "array": ["x", 7, {}, [[]], [None], [{}], ["x"] * 1000],
    "object": ["x", 7, [], {"": ""}, {"a": {}}, {"a": None}, {"k" * 1000: "v" * 10_000}],
}


@pytest.fixture(scope="module")
def own_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("bad") / "data") as service:
        yield service


@pytest.fixture
async def bad(own_service: Service) -> AsyncIterator[Api]:
    async with connect(own_service) as api:
        yield api
        assert (await api.json("/v1/accounts/me"))["id"]


def kind_of(value: object) -> str:
    """Its JSON type."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def minimal(schema: dict[str, Any]) -> dict[str, Any]:
    """A body with what is required."""
    examples: dict[str, Any] = {"string": "x", "integer": 1, "number": 0.1, "boolean": True, "array": [], "object": {}}
    body = {}
    for name in schema.get("required", ()):
        described = schema["properties"].get(name, {})
        kind = next(iter(sorted(types_of(described) - {"null"})), "string")
        body[name] = described["enum"][0] if "enum" in described else examples[kind]
    return body


def checked(answer: httpx.Response, tried: object) -> int:
    """The status of an answer that is no failure of the service."""
    assert answer.status_code < 500 or answer.status_code == 501, f"{tried}: {answer.text}"
    assert "Traceback" not in answer.text
    if answer.is_error:
        assert answer.json()["message"], tried
        assert answer.json()["request_id"], tried
    return answer.status_code


async def real_path(bad: Api, path: str, name: str) -> str:
    """The path with a devbox that is there, where the operation does not end it; otherwise with ids of nothing."""
    devbox = "dbx_nothing"
    if path.startswith("/v1/devboxes/{") and not name.endswith(ENDING):
        devbox = await bad.create()
    return (
        path.replace("{id}", devbox)
        .replace("{devbox_id}", devbox)
        .replace("{execution_id}", "x")
        .replace("{name}", "x")
    )


@pytest.mark.parametrize(("method", "path", "name"), WITH_BODY, ids=[name for _, _, name in WITH_BODY])
async def test_wrong_bodies(bad: Api, method: str, path: str, name: str) -> None:
    schema = body_schema(method, path) or {}
    url = await real_path(bad, path, name)
    for raw in (b"{", b"[]", b'"x"', b"7", b"\xff\xfe", b"[" * 50_000):
        answer = await bad.request(method, url, content=raw, headers={"content-type": "application/json"})
        assert checked(answer, raw[:20]) >= 400, (raw[:20], answer.text)
    for field, described in schema["properties"].items():
        kinds = types_of(described)
        for kind in kinds & set(WRONG):
            for wrong in WRONG[kind]:
                tried = f"{field}={json.dumps(wrong)[:60]}"
                status = checked(await bad.request(method, url, json={**minimal(schema), field: wrong}), tried)
                assert status >= 400 or kind_of(wrong) in kinds, tried


@pytest.mark.parametrize(("method", "path", "name"), WITH_ID, ids=[name for _, _, name in WITH_ID])
async def test_what_is_not_there(bad: Api, method: str, path: str, name: str) -> None:
    for absent in ("dbx_nothing", "x" * 5000, "%00", "..%2f..%2fetc", "é"):
        url = path
        for parameter in ("{id}", "{devbox_id}", "{execution_id}", "{name}"):
            url = url.replace(parameter, absent)
        body = minimal(body_schema(method, path) or {})
        answer = await bad.request(method, url, json=None if method == "GET" else body)
        assert checked(answer, url[:80]) in (400, 404, 405, 414, 501), answer.text


@pytest.mark.parametrize("path", ["/v1/devboxes", "/v1/blueprints", "/v1/objects", "/v1/devboxes/disk_snapshots"])
@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=5001", "limit=x", "limit=99999999999999999999", "starting_after=x", "status=x"]
)
async def test_wrong_queries(bad: Api, path: str, query: str) -> None:
    checked(await bad.get(f"{path}?{query}"), query)


FORMS = {
    "no boundary": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "a boundary too long": f"multipart/form-data; boundary={'b' * 300}",
    "a boundary of a megabyte's header": f"multipart/form-data; boundary={'b' * 5000}",
    "an open quote": 'multipart/form-data; boundary="b',
    "no form": "text/plain",
    "nothing": "",
}


BROKEN_FORMS = (b"", b"--b--\r\n", b"--b\r\nx\r\n\r\n--b--\r\n", b"--b\r\n\xff: \0\r\n\r\n", b"\0" * 100)


@pytest.mark.parametrize("kind", FORMS.values(), ids=FORMS)
async def test_wrong_uploads(bad: Api, kind: str) -> None:
    devbox = await bad.create()
    for body in BROKEN_FORMS:
        answer = await bad.post(f"/v1/devboxes/{devbox}/upload_file", content=body, headers={"content-type": kind})
        assert checked(answer, (kind, body)) == 400, answer.text


async def test_clients_that_vanish_are_no_errors(own_service: Service, bad: Api) -> None:
    devbox = await bad.create()
    stored = await bad.json("/v1/objects", {"name": "vanishing", "content_type": "text"})
    axon = (await bad.json("/v1/axons", {"name": "vanishing"}))["id"]
    running = await bad.start(devbox, "sleep 1000")
    upload = f"POST /v1/devboxes/{devbox}/upload_file", "content-type: multipart/form-data; boundary=b"
    part = b'--b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n'
    cases = [
        ("POST /v1/devboxes", "content-length: 100", b"{"),
        ("POST /v1/secrets", "transfer-encoding: chunked", b"5\r\n{"),
        (upload[0], f"{upload[1]}\r\ncontent-length: 1000", part % b"path" + b"f"),
        (upload[0], f"{upload[1]}\r\ncontent-length: 1000", part % b"path" + b"f\r\n" + part % b"file" + b"half"),
        (f"PUT {stored['upload_url'].removeprefix(own_service.base_url)}", "content-length: 100", b"half"),
        (f"POST {running}/wait_for_status", "content-length: 28", b'{"statuses": ["completed"] }'),
        (f"GET {running}/stream_stdout_updates", "x: y", b""),
        (f"GET /v1/axons/{axon}/subscribe/sse", "x: y", b""),
        (f"POST /v1/devboxes/{devbox}/execute", "content-length: 25", b'{"command": "sleep 1000"}'),
    ]
    for line, headers, body in cases:
        await vanish(own_service, f"{line} HTTP/1.1", headers, body)
    await bad.json(f"/v1/devboxes/{devbox}/shutdown", {})
    log = own_service.data_dir.with_name("data.log").read_text()
    assert "Traceback" not in log


async def vanish(service: Service, line: str, headers: str, body: bytes) -> None:
    """Send some of a request, and be gone once it has been read."""
    host, port = service.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    key = f"host: {host}:{port}\r\nauthorization: Bearer {service.api_key}"
    writer.write(f"{line}\r\n{key}\r\n{headers}\r\n\r\n".encode() + body)
    await writer.drain()
    async with connect(service) as api:  # answered later than what came before
        await api.json("/v1/accounts/me")
    writer.transport.abort()
    async with connect(service) as api:
        await api.json("/v1/accounts/me")
