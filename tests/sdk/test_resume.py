"""Streams through a network that cuts them."""

import os
from pathlib import Path
from typing import Any

import pytest

from runloop_sdk import APIConnectionError, AsyncRunloopSDK, StreamError
from tests.local.serving import Service, serving
from tests.sdk.cutting_proxy import CuttingProxy

LINES = 20_000
COMMAND = f"for n in $(seq {LINES}); do echo grün $n; done; echo end >&2"
EXPECTED = "".join(f"grün {n}\n" for n in range(1, LINES + 1))


def connect(proxy: CuttingProxy, service: Service, url: str, **options: Any) -> AsyncRunloopSDK:
    return AsyncRunloopSDK(bearer_token=service.api_key, base_url=url, default_headers=proxy.headers, **options)


@pytest.mark.parametrize("limit", [0, 1, 200, 5000, 30000])
async def test_cut_stream_loses_and_repeats_nothing(service: Service, no_backoff: None, limit: int) -> None:
    proxy = CuttingProxy(service.base_url, limit=limit, cuts=5)
    async with proxy.serve() as url, connect(proxy, service, url) as sdk:
        async with await sdk.devbox.create() as devbox:
            execution = await devbox.cmd.exec_async(COMMAND)
            chunks = [chunk async for chunk in execution]
    assert "".join(chunk.text for chunk in chunks if chunk.stream == "stdout") == EXPECTED
    assert "".join(chunk.text for chunk in chunks if chunk.stream == "stderr") == "end\n"
    assert proxy.cut == 5


async def test_stream_that_is_cut_for_good_raises(service: Service, no_backoff: None) -> None:
    proxy = CuttingProxy(service.base_url, cuts=1_000_000)
    async with (
        proxy.serve() as url,
        connect(proxy, service, url, max_retries=2) as sdk,
        await sdk.devbox.create() as devbox,
    ):
        execution = await devbox.cmd.exec_async("seq 10")
        with pytest.raises(StreamError, match="could not be resumed"):
            [chunk async for chunk in execution]


async def test_request_whose_answer_is_cut_is_sent_again_with_the_same_key(service: Service, no_backoff: None) -> None:
    proxy = CuttingProxy(service.base_url, marker=b"POST /v1/devboxes ", cuts=2)
    async with proxy.serve() as url, connect(proxy, service, url) as sdk:
        devbox = await sdk.devbox.create(name="sent-again")
        found = [view async for view in sdk.api.devboxes.list(search="sent-again")]
        assert [view.id for view in found] == [devbox.id]
        await devbox.shutdown()
    assert sum(line.startswith(b"POST /v1/devboxes ") for line in proxy.requests) == 3


async def test_unreachable_service_is_named(no_backoff: None) -> None:
    async with AsyncRunloopSDK(bearer_token="x", base_url="http://127.0.0.1:1", max_retries=1) as sdk:
        with pytest.raises(APIConnectionError, match=r"127\.0\.0\.1:1 cannot be reached"):
            await sdk.api.accounts.me()


@pytest.mark.parametrize("limit", [0, 300, 100_000])
async def test_download_that_is_cut_goes_on_where_it_was(
    service: Service, no_backoff: None, tmp_path: Path, limit: int
) -> None:
    data = os.urandom(1_000_000)
    proxy = CuttingProxy(service.base_url, marker=b"download_file", limit=limit, cuts=3)
    async with proxy.serve() as url, connect(proxy, service, url) as sdk, await sdk.devbox.create() as devbox:
        await devbox.file.upload(path="data", file=data)
        await devbox.file.download_to(tmp_path / "data", path="data")
    assert (tmp_path / "data").read_bytes() == data
    assert proxy.cut == 3


async def test_output_goes_on_where_it_was_when_the_service_is_killed_and_started_again(tmp_path: Path) -> None:
    lines = "".join(f"line {n}\n" for n in range(1, 300_001))
    with serving(tmp_path / "data") as first:
        port = first.base_url.rpartition(":")[2]
        async with AsyncRunloopSDK(bearer_token=first.api_key, base_url=first.base_url) as sdk:
            devbox = await sdk.devbox.create()
            execution = await devbox.cmd.exec_async("seq -f 'line %.0f' 300000; touch printed; sleep 1000")
            output = execution.output(["stdout"])
            seen = [(await anext(output)).text]
            await devbox.cmd.exec("until test -e printed; do sleep 0.05; done")
            first.kill()
            with serving(tmp_path / "data", "--port", port):
                seen += [chunk.text async for chunk in output]
                assert (await execution.result()).exit_code == 137
    assert len(seen[0]) < len(lines)
    assert "".join(seen) == lines
