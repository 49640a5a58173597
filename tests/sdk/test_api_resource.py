"""What all operations share: paths, options, lists, answers that break their promise, hosts that are not the API."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runloop_sdk import APIResponseError, BadRequestError, ConfigurationError, NotFoundError, WaitTimeoutError
from runloop_sdk._config import resolve_config
from runloop_sdk._transport import Transport
from runloop_sdk.api._client import AsyncRunloopAPI
from runloop_sdk.api._resource import APIResource
from runloop_sdk.models._view import View
from tests.sdk.raw_server import serving, whole
from tests.waiting import until

EXECUTION = {"devbox_id": "box", "execution_id": "e", "status": "running"}
SECRET = {"id": "s", "name": "n", "create_time_ms": 1, "update_time_ms": 1}


def served(answer: Callable[[httpx.Request], httpx.Response]) -> AsyncRunloopAPI:
    config = resolve_config(bearer_token="the-key", base_url="http://api.test", environ={})
    return AsyncRunloopAPI(Transport(config, httpx.AsyncClient(transport=httpx.MockTransport(answer))))


def always(response: httpx.Response) -> tuple[AsyncRunloopAPI, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return response

    return served(answer), requests


@pytest.mark.parametrize("part", ["", ".", ".."])
async def test_id_that_would_name_another_route_is_refused(part: str) -> None:
    api, requests = always(httpx.Response(200, json={}))
    with pytest.raises(ConfigurationError, match="needs an id or a name"):
        await api.devboxes.shutdown(part)
    assert requests == []


async def test_options_reach_the_request() -> None:
    api, requests = always(httpx.Response(200, json=EXECUTION))
    await api.devboxes.executions.kill(
        "e",
        devbox_id="box",
        kill_process_group=False,
        extra_headers={"X-Extra": "1", "Authorization": "Bearer other"},
        extra_query={"q": "2"},
        extra_body={"b": 3},
        timeout=7.5,
        idempotency_key="once",
    )
    (request,) = requests
    assert request.headers["x-extra"] == "1"
    assert request.headers.get_list("authorization") == ["Bearer other"]
    assert request.headers["x-request-id"] == "once"
    assert dict(request.url.params) == {"q": "2"}
    assert json.loads(request.content) == {"kill_process_group": False, "b": 3}
    assert request.extensions["timeout"] == {"connect": 5.0, "read": 7.5, "write": 7.5, "pool": 7.5}


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        (lambda api: api.devboxes.execute("box", command="ls"), 85),
        (lambda api: api.devboxes.execute("box", command="ls", optimistic_timeout=0), 60),
        (lambda api: api.devboxes.execute_sync("box", command="ls"), 600),
        (lambda api: api.devboxes.execute_async("box", command="ls"), 30),
        (lambda api: api.devboxes.wait_for_status("box", statuses=["running"]), 40),
        (lambda api: api.devboxes.wait_for_command("e", devbox_id="box", statuses=["completed"]), 35),
        (lambda api: api.devboxes.read_file_contents("box", file_path="a"), 600),
        (lambda api: api.devboxes.write_file_contents("box", file_path="a", contents=""), 600),
        (lambda api: api.devboxes.download_file("box", path="a"), 600),
        (lambda api: api.devboxes.upload_file("box", path="a", file=b""), 600),
        (lambda api: api.devboxes.execute("box", command="ls", timeout=3.0), 3),
    ],
    ids=[
        "execute",
        "execute without a wait",
        "execute_sync",
        "execute_async",
        "wait for devbox",
        "wait for command",
        "read",
        "write",
        "download",
        "upload",
        "given",
    ],
)
async def test_operations_have_the_time_they_need(call: Callable[[AsyncRunloopAPI], Any], seconds: int) -> None:
    answer = EXECUTION | {"exit_status": 0, "stdout": "", "stderr": "", "id": "box", "create_time_ms": 1}
    api, requests = always(httpx.Response(200, json=answer))
    await call(api)
    assert requests[0].extensions["timeout"]["read"] == seconds


@pytest.mark.parametrize(
    "wait",
    [
        lambda api: api.devboxes.wait_for_status("box", statuses=["running"]),
        lambda api: api.devboxes.wait_for_command("e", devbox_id="box", statuses=["completed"]),
    ],
    ids=["devbox", "command"],
)
async def test_wait_that_ran_out_raises_at_once(wait: Callable[[AsyncRunloopAPI], Any]) -> None:
    api, requests = always(httpx.Response(408, json={"message": "still queued"}))
    with pytest.raises(WaitTimeoutError, match="still queued"):
        await wait(api)
    assert len(requests) == 1


async def test_execution_gets_an_id_of_its_own_unless_given() -> None:
    api, requests = always(httpx.Response(200, json=EXECUTION))
    await api.devboxes.execute("box", command="ls")
    await api.devboxes.execute("box", command="ls")
    await api.devboxes.execute("box", command="ls", command_id="mine")
    ids = [json.loads(request.content)["command_id"] for request in requests]
    assert len(set(ids)) == 3
    assert ids[2] == "mine"
    assert all(name[14] == "7" and name[19] in "89ab" for name in ids[:2])


async def test_metadata_filters_are_written_in_brackets() -> None:
    api, requests = always(httpx.Response(200, json={"snapshots": []}))
    await api.devboxes.disk_snapshots.list(metadata={"team": "a&b", "stage": ["test", "live"]}, limit=0)
    assert dict(requests[0].url.params) == {
        "metadata[team]": "a&b",
        "metadata[stage][in]": "test,live",
        "limit": "0",
    }


def paged(request: httpx.Request) -> httpx.Response:
    """Five secrets, two to a page."""
    start = int(request.url.params.get("starting_after", "-1")) + 1
    ids = range(start, min(start + 2, 5))
    return httpx.Response(200, json={"secrets": [SECRET | {"id": str(i)} for i in ids], "has_more": ids.stop < 5})


async def test_list_is_walked_page_by_page() -> None:
    listing = served(paged).secrets.list(limit=2)
    assert [secret.id async for secret in listing] == ["0", "1", "2", "3", "4"]
    assert [secret.id for secret in await listing] == ["0", "1"]
    assert [secret.id async for secret in served(paged).secrets.list(starting_after="2")] == ["3", "4"]


async def test_service_that_ignores_the_cursor_does_not_keep_us_forever() -> None:
    api, requests = always(httpx.Response(200, json={"secrets": [SECRET], "has_more": True}))
    assert [secret.id async for secret in api.secrets.list()] == ["s"]
    assert len(requests) == 2


async def test_events_of_an_axon_are_walked_by_sequence() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("starting_after")
        seen.append(after)
        event = {
            "axon_id": "a",
            "event_type": "t",
            "origin": "USER_EVENT",
            "payload": "",
            "source": "",
            "timestamp_ms": 1,
        }
        return httpx.Response(200, json={"events": [event | {"sequence": 9 if after else 8}], "has_more": not after})

    assert [event.sequence async for event in served(answer).axons.events.list("a")] == [8, 9]
    assert seen == [None, "8"]


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'"text"', b"null", b'{"id": 5}', b""],
    ids=["html", "list", "text", "null", "other", "empty"],
)
async def test_answer_that_is_no_view_says_so_without_its_content(body: bytes) -> None:
    api, _ = always(httpx.Response(200, content=body))
    with pytest.raises(APIResponseError, match="GET /v1/secrets/a is no SecretView") as caught:
        await api.secrets.retrieve("a")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"null", b'{"secrets": 5}', b'{"secrets": "text"}', b'{"secrets": [{"id": "hidden"}]}'],
    ids=["html", "list", "null", "number", "text", "other items"],
)
async def test_page_that_is_none_says_so_without_its_content(body: bytes) -> None:
    api, _ = always(httpx.Response(200, content=body))
    with pytest.raises(APIResponseError, match="GET /v1/secrets is no list of secrets") as caught:
        await api.secrets.list()
    assert "hidden" not in str(caught.value)


async def test_download_that_is_refused_raises_before_a_piece_is_read() -> None:
    api, _ = always(httpx.Response(404, json={"message": "no file a"}))
    with pytest.raises(NotFoundError, match="no file a"):
        async with api.devboxes.download_file_stream("box", path="a"):
            pytest.fail("there is nothing to read")


TERMINAL = {"attached": False, "created": True}


async def test_terminal_on_its_tunnel_gets_the_tunnels_token_and_never_the_key() -> None:
    api, requests = always(httpx.Response(200, json=TERMINAL))
    tunnel = "https://13-abc.tunnel.test/"
    await api.pty.connect("main", cols=80, rows=24, base_url=tunnel, auth_token="tunnel-token")
    await api.pty.control("main", action="resize", cols=10, rows=5, base_url=tunnel, auth_token="tunnel-token")
    await api.pty.connect("main", base_url=tunnel)
    assert [str(request.url) for request in requests] == [
        "https://13-abc.tunnel.test/pty/main?cols=80&rows=24",
        "https://13-abc.tunnel.test/pty/main/control",
        "https://13-abc.tunnel.test/pty/main",
    ]
    assert json.loads(requests[1].content) == {"action": "resize", "cols": 10, "rows": 5}
    assert [r.headers.get("authorization") for r in requests] == ["Bearer tunnel-token"] * 2 + [None]


async def test_terminal_of_a_client_made_for_it_uses_the_clients_own_host() -> None:
    api, requests = always(httpx.Response(200, json=TERMINAL))
    await api.pty.connect("main")
    assert str(requests[0].url) == "http://api.test/pty/main"
    assert requests[0].headers["authorization"] == "Bearer the-key"


class Shelf:
    """Secrets in pages, newest first; a cursor that has been deleted is unknown, as a service may see it."""

    def __init__(self, count: int) -> None:
        self.ids = [str(number) for number in range(count)]

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.ids.remove(request.url.path.split("/")[-2])
            return httpx.Response(200, json=SECRET)
        after = request.url.params.get("starting_after")
        if after is not None and after not in self.ids:
            return httpx.Response(404, json={"message": "unknown cursor"})
        start = 0 if after is None else self.ids.index(after) + 1
        found = self.ids[start : start + 3]
        body = {"secrets": [SECRET | {"id": each} for each in found], "has_more": start + 3 < len(self.ids)}
        return httpx.Response(200, json=body)


@pytest.mark.parametrize("count", range(10))
async def test_a_list_is_walked_whole_while_each_item_is_deleted(count: int) -> None:
    shelf = Shelf(count)
    api = served(shelf.answer)
    seen = []
    async for secret in api.secrets.list(limit=3):
        seen.append(secret.id)
        await api.secrets.delete_by_id(secret.id)
    assert seen == [str(number) for number in range(count)]
    assert shelf.ids == []


async def test_a_page_that_cannot_be_had_is_told_once_all_before_it_was_handed_out() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return paged(request) if "starting_after" not in request.url.params else httpx.Response(400)

    walked = aiter(served(answer).secrets.list())
    assert [(await anext(walked)).id for _ in range(2)] == ["0", "1"]
    with pytest.raises(BadRequestError):
        await anext(walked)


async def test_no_page_is_asked_for_that_nobody_comes_near() -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("starting_after"))
        return paged(request)

    async for secret in served(answer).secrets.list():
        if secret.id == "0":
            break
    assert asked == [None]


async def test_a_view_is_built_while_the_service_works_on_the_answer() -> None:
    class Fresh(View):
        number: int

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: Fresh.__pydantic_complete__, "the view is built")  # the answer is not sent before
        writer.write(whole(b'{"number": 3}'))

    async with serving(handle) as url:
        transport = Transport(resolve_config(bearer_token="the-key", base_url=url, environ={}))
        assert (await APIResource(transport)._get("/v1/any", {}, lambda: Fresh)).number == 3
        await transport.aclose()


FIRST_DEVBOX = """
import asyncio, sys
from importlib.abc import MetaPathFinder
from runloop_sdk import AsyncRunloopSDK

class HoldsUpPydantic(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pydantic":
            sys.stdin.readline()

async def main():
    sys.meta_path.insert(0, HoldsUpPydantic())
    async with AsyncRunloopSDK(bearer_token="key", base_url=sys.argv[1]) as sdk:
        print((await sdk.api.devboxes.create(name="one")).name)

asyncio.run(main())
"""


async def test_the_first_request_does_not_wait_for_the_models_to_be_imported() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert program.stdin is not None
        program.stdin.write(b"\n")  # from now on pydantic may be imported
        writer.write(whole(b'{"id": "dbx_1", "name": "one", "create_time_ms": 1, "status": "provisioning"}'))

    pipe = asyncio.subprocess.PIPE
    async with serving(handle) as url:
        command = [sys.executable, "-c", FIRST_DEVBOX, url]
        program = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert program.stdout is not None
        assert await program.stdout.read() == b"one\n"
        assert await program.wait() == 0
