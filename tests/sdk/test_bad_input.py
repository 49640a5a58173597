"""What cannot work fails with one sentence of the error tree, before the network where that is possible."""

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import runloop_sdk
from runloop_sdk import (
    APIResponseError,
    APIStatusError,
    AsyncRunloopSDK,
    ConfigurationError,
    LocalFileError,
    PollingConfig,
    RunloopError,
    _arguments,
)
from runloop_sdk._transport import Request
from runloop_sdk.api.devboxes import DevboxesAPI
from tests.sdk.raw_server import RawServer, whole

KEY = "ak_secret"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def offline() -> AsyncIterator[AsyncRunloopSDK]:
    """A client whose every request would fail the test."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url} was sent")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        yield AsyncRunloopSDK(bearer_token=KEY, base_url=NOWHERE, http_client=client)


# These calls are wrong on purpose, so that nothing is known of what they are made on.
Call = Callable[[Any], Awaitable[object]]
UNKNOWN: dict[str, tuple[Call, str]] = {
    "create": (lambda sdk: sdk.devbox.create(nmae="x"), "'nmae'; did you mean 'name'"),
    "exec": (lambda sdk: box(sdk).cmd.exec("true", timout=3), "'timout'; did you mean 'timeout'"),
    "exec with a callback": (lambda sdk: box(sdk).cmd.exec("true", stdout=print, timout=3), "'timout'"),
    "exec_async": (lambda sdk: box(sdk).cmd.exec_async("true", comand="x"), "'comand'"),
    "write": (lambda sdk: box(sdk).file.write(file_path="a", content="x"), "did you mean 'contents'"),
    "list": (lambda sdk: sdk.api.devboxes.list(limt=3), "'limt'; did you mean 'limit'"),
    "wait": (lambda sdk: sdk.api.devboxes.wait_for_status("dbx_1", status=["running"]), "'status'; did you mean"),
    "download": (lambda sdk: sdk.api.devboxes.download_file_stream("dbx_1", pth="a"), "'pth'; did you mean 'path'"),
    "nothing like it": (lambda sdk: sdk.api.devboxes.retrieve("dbx_1", zzz=1), "'zzz'\\."),
}

WRONG: dict[str, tuple[Call, str]] = {
    "text": (lambda sdk: sdk.devbox.create(name=3), "name of create takes str, not int"),
    "number": (lambda sdk: sdk.api.devboxes.list(limit="3"), "limit of list takes int, not str"),
    "number, not a truth": (lambda sdk: sdk.api.devboxes.list(limit=True), "limit of list takes int, not bool"),
    "command": (lambda sdk: box(sdk).cmd.exec(["true"]), "command of exec takes str, not list"),
    "mapping": (lambda sdk: sdk.devbox.create(metadata=["a"]), "metadata of create takes a mapping to str, not list"),
    "in a mapping": (lambda sdk: sdk.devbox.create(metadata={"a": 1}), "metadata of create takes a mapping to str"),
    "list": (lambda sdk: sdk.api.devboxes.wait_for_status("d", statuses="running"), "statuses .* takes a list of"),
    "nested": (
        lambda sdk: sdk.devbox.create(launch_parameters={"launch_commands": "x"}),
        "launch_parameters of create takes a mapping",
    ),
    "time": (lambda sdk: box(sdk).get_info(timeout="3"), "timeout of get_info takes float, not str"),
    "headers": (lambda sdk: box(sdk).get_info(extra_headers="x"), "extra_headers of get_info takes a mapping"),
    "callback": (lambda sdk: box(sdk).cmd.exec("true", stdout="x"), "stdout takes a function, not str"),
    "polling": (lambda sdk: box(sdk).cmd.exec("true", polling_config={"a": 1}), "polling_config takes a PollingConfig"),
    "id": (lambda sdk: sdk.devbox.from_id(3).get_info(), "devbox_id of from_id takes str, not int"),
    "no id": (lambda sdk: sdk.devbox.from_id("").get_info(), "needs an id or a name, not ''"),
    "what JSON does not know": (lambda sdk: box(sdk).cmd.exec("true", extra_body={"a": {1}}), "cannot be sent"),
    "what HTTP does not know": (lambda sdk: box(sdk).get_info(extra_headers={"x": "ü\n"}), "cannot be sent"),
}


def box(sdk: Any) -> Any:
    return sdk.devbox.from_id("dbx_1")


@pytest.mark.parametrize(("call", "complaint"), UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_unknown_keyword_is_refused_by_name_before_anything_is_sent(
    offline: AsyncRunloopSDK, call: Call, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"takes no parameter .*{complaint}") as caught:
        await call(offline)
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(("call", "complaint"), WRONG.values(), ids=WRONG.keys())
async def test_value_of_a_wrong_type_is_refused_by_name_before_anything_is_sent(
    offline: AsyncRunloopSDK, call: Call, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        await call(offline)
    assert not hasattr(caught.value, "__notes__")


async def test_wrong_value_is_not_repeated_for_it_may_be_a_secret(offline: AsyncRunloopSDK) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await offline.api.secrets.create(name="a", value=["hunter2"])  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


async def test_string_of_a_later_version_of_the_api_is_taken(offline: AsyncRunloopSDK) -> None:
    with pytest.raises(AssertionError, match="was sent"):
        await offline.api.devboxes.list(status="dreaming")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"bearer_token": 3},
        {"base_url": Path("x")},
        {"timeout": "3"},
        {"max_retries": "3"},
        {"max_retries": 1.5},
        {"max_retries": -1},
        {"http_client": "x"},
    ],
    ids=str,
)
def test_client_refuses_settings_of_a_wrong_type_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ConfigurationError, match=name):
        AsyncRunloopSDK(**({"bearer_token": KEY, "base_url": NOWHERE} | options))


@pytest.mark.parametrize("own", [True, False], ids=["its own connections", "the caller's client"])
async def test_closed_client_says_so(own: bool) -> None:
    client = None if own else httpx.AsyncClient()
    sdk = AsyncRunloopSDK(bearer_token=KEY, base_url=NOWHERE, http_client=client)
    await (sdk.aclose() if client is None else client.aclose())
    with pytest.raises(ConfigurationError, match="client is closed"):
        await box(sdk).get_info()


def test_client_of_another_event_loop_says_so() -> None:
    async def ask(sdk: AsyncRunloopSDK) -> None:
        with pytest.raises(APIStatusError, match="gone"):
            await box(sdk).get_info()

    async def main() -> AsyncRunloopSDK:
        server = RawServer(whole(b"gone", status=b"410 Gone"))
        async with server.serve() as url:
            sdk = AsyncRunloopSDK(bearer_token=KEY, base_url=url)
            await ask(sdk)
        return sdk

    sdk = asyncio.run(main())
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(ask(sdk))
    asyncio.run(sdk.aclose())


async def outcome(answer: bytes, *, ends: bool = False, **options: Any) -> RunloopError:
    """The error that an answer to `get_info` raises."""
    async with RawServer(answer, ends=ends).serve() as url:
        async with AsyncRunloopSDK(bearer_token=KEY, base_url=url, max_retries=0, **options) as sdk:
            with pytest.raises(RunloopError) as caught:
                await box(sdk).get_info()
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("body", [b"<html>", b"", b"null", b"[]", b'"text"', b'{"id": "x"', b"\xff"], ids=repr)
async def test_answer_that_is_not_the_promised_json_says_so(body: bytes) -> None:
    error = await outcome(whole(body))
    assert isinstance(error, APIResponseError)
    assert str(error).startswith("The answer to GET /v1/devboxes/dbx_1 is no DevboxView")


async def test_event_that_is_not_the_promised_json_says_so() -> None:
    body = b'data: {"output": "a", "offset": 1}\n\ndata: <html>\n\n'
    async with RawServer(whole(body), ends=True).serve() as url:
        async with AsyncRunloopSDK(bearer_token=KEY, base_url=url, max_retries=0) as sdk:
            output = box(sdk).execution("exec_1").output(["stdout"])
            assert (await anext(output)).text == "a"
            with pytest.raises(APIResponseError, match="sent an event that is no ExecutionUpdateChunk"):
                await anext(output)


LOCATIONS = {
    "another host": ("http://127.0.0.1:{port}/steal", "http://127.0.0.1:{port}"),
    "another path": ("/elsewhere", "another path"),
    "nowhere": ("", "another path"),
}


@pytest.mark.parametrize(("location", "named"), LOCATIONS.values(), ids=LOCATIONS.keys())
@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
@pytest.mark.parametrize("own", [True, False], ids=["its own connections", "the caller's client"])
async def test_redirect_is_not_followed(location: str, named: str, status: bytes, own: bool) -> None:
    thief = RawServer(whole(b"{}"))
    async with thief.serve() as url, httpx.AsyncClient(follow_redirects=True) as client:
        place, named = (text.format(port=url.rpartition(":")[2]) for text in (location, named))
        answer = whole(b"", status=status, headers=f"location: {place}\r\n".encode())
        error = await outcome(answer, http_client=None if own else client)
    assert isinstance(error, APIStatusError)
    assert f"redirects to {named}, which is not followed" in str(error)
    assert thief.heads == []


async def test_key_is_not_sent_to_another_host() -> None:
    server = RawServer(whole(b"{}"))
    async with server.serve() as url, AsyncRunloopSDK(bearer_token=KEY, base_url=NOWHERE) as sdk:
        await sdk._transport.send(Request("GET", "/signed", base_url=url))
    assert KEY not in server.heads[0]


@pytest.mark.parametrize("header", ["a\r\nx-evil: 1", "a\nx-evil: 1", "ü", "a\0"], ids=repr)
async def test_header_that_would_break_the_request_is_refused(header: str) -> None:
    server = RawServer(whole(b"{}"))
    async with server.serve() as url, AsyncRunloopSDK(bearer_token=KEY, base_url=url) as sdk:
        with pytest.raises(ConfigurationError, match="cannot be sent over HTTP"):
            await box(sdk).get_info(extra_headers={"x-team": header})
    assert server.heads == []


LOCAL: dict[str, Callable[[Any, Path], Awaitable[object]]] = {
    "upload": lambda sdk, path: box(sdk).file.upload(path="a", file=path),
    "upload with progress": lambda sdk, path: box(sdk).file.upload(path="a", file=path, progress=print),
    "upload_from_file": lambda sdk, path: sdk.storage_object.upload_from_file(path),
    "upload_dir": lambda sdk, path: box(sdk).file.upload_dir(path / "absent", "a"),
    "upload_from_dir": lambda sdk, path: sdk.storage_object.upload_from_dir(path / "absent"),
    "download_to": lambda sdk, path: box(sdk).file.download_to(path / "absent" / "a", path="a"),
    "download of an object": lambda sdk, path: sdk.storage_object.from_id("obj_1").download_to(path / "absent" / "a"),
}


@pytest.mark.parametrize("call", LOCAL.values(), ids=LOCAL.keys())
@pytest.mark.parametrize("kind", ["absent", "a folder"])
async def test_absent_file_and_folder_are_named(
    offline: AsyncRunloopSDK, tmp_path: Path, kind: str, call: Callable[[Any, Path], Awaitable[object]]
) -> None:
    with pytest.raises(LocalFileError, match=f"{tmp_path.name}.*: "):
        await call(offline, tmp_path if kind == "a folder" else tmp_path / "absent")


async def test_download_into_a_folder_is_refused(offline: AsyncRunloopSDK, tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match=f"{tmp_path.name}: Is a directory"):
        await box(offline).file.download_to(tmp_path, path="a")


@pytest.mark.parametrize("name", ["timeout_seconds", "interval_seconds", "max_attempts"])
def test_limits_of_a_wait_are_numbers(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} takes a number, not str"):
        PollingConfig(**{name: "3"})  # type: ignore[arg-type]


def test_the_keywords_of_every_method_are_known() -> None:
    methods = [
        method
        for module in pkgutil.walk_packages(runloop_sdk.__path__, "runloop_sdk.")
        for kind in vars(importlib.import_module(module.name)).values()
        if inspect.isclass(kind) and kind.__module__ == module.name
        for method in vars(kind).values()
        if inspect.isfunction(method)
        and hasattr(method, "__wrapped__")
        and inspect.unwrap(method).__code__.co_flags & inspect.CO_VARKEYWORDS
    ]
    assert len(methods) > 100
    assert all("extra_headers" in _arguments.resolve_signature(method).types for method in methods)


def test_annotations_are_resolved_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: list[str] = []
    resolve = _arguments.resolve_signature

    def note_and_resolve(method: Callable[..., Any]) -> Any:
        resolved.append(method.__name__)
        return resolve(method)

    monkeypatch.setattr(_arguments, "resolve_signature", note_and_resolve)

    @_arguments.check_arguments
    class Example:
        def first(self, number: int) -> int:
            return number

        def second(self) -> None: ...

    assert resolved == []
    assert [Example().first(1), Example().first(number=2)] == [1, 2]
    assert resolved == ["first"]


async def test_a_subclass_elsewhere_may_name_types_that_only_type_checkers_know() -> None:
    class Mine(DevboxesAPI):
        async def create(self, **params: "Unknown") -> Any:  # type: ignore[name-defined]  # noqa: F821
            return await super().create(**params)

    async with AsyncRunloopSDK(bearer_token="key", base_url="http://127.0.0.1:1", max_retries=0) as sdk:
        mine = Mine(sdk.api.devboxes._transport)
        with pytest.raises(ConfigurationError, match="name of create takes str"):
            await mine.create(name=1)
