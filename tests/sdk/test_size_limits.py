"""How much is read of what a devbox or a service sends: so much, and then a sentence that says so."""

import pytest

from runloop_sdk import (
    APIResponseError,
    APIStatusError,
    AsyncDevbox,
    CommandError,
    OutputTooLargeError,
)
from runloop_sdk._config import ClientConfig
from runloop_sdk._transport import Request, Transport
from tests.sdk.raw_server import RawServer, whole


@pytest.mark.parametrize("command", ["yes | head -c 3000000", "head -c 3000000 /dev/zero | tr '\\0' x"])
async def test_output_is_read_up_to_its_limit(devbox: AsyncDevbox, command: str) -> None:
    result = await devbox.cmd.exec(command)
    with pytest.raises(OutputTooLargeError, match="more than 2,000,000 characters"):
        await result.stdout(limit=2_000_000)
    assert len(await result.stdout(limit=3_000_000)) == len(await result.stdout()) == 3_000_000
    assert await result.stderr(limit=0) == ""


async def test_a_listing_is_read_up_to_its_limit(devbox: AsyncDevbox, monkeypatch: pytest.MonkeyPatch) -> None:
    await devbox.cmd.exec("mkdir -p many && cd many && touch $(seq 2000)")
    assert len(await devbox.file.list("many")) == 2000
    monkeypatch.setattr("runloop_sdk.resources.file.LISTING_LIMIT", 10_000)
    with pytest.raises(OutputTooLargeError, match="more than 10,000 characters"):
        await devbox.file.list("many")


async def test_the_reason_of_a_failure_is_short(devbox: AsyncDevbox) -> None:
    lie = "#!/bin/sh\nyes lie | head -c 1000000 >&2\nexit 1\n"
    await devbox.file.write(file_path="bin/find", contents=lie)
    await devbox.cmd.exec("chmod +x bin/find; echo 'PATH=$HOME/bin:$PATH' >> .profile; cp .profile .bash_profile")
    with pytest.raises(CommandError) as failed:
        await devbox.file.list(".")
    assert len(str(failed.value)) < 3000


async def test_an_answer_is_read_up_to_its_limit() -> None:
    server = RawServer(whole(b"x" * 1001), whole(b"x" * 1000), whole(b"y" * 2_000_000, status=b"400 Bad"))
    async with server.serve() as url:
        transport = Transport(ClientConfig(url, "key", max_retries=0))
        try:
            with pytest.raises(APIResponseError, match=r"GET /x is over 1,000 bytes"):
                await transport.send(Request("GET", "/x", max_bytes=1000))
            assert len((await transport.send(Request("GET", "/x", max_bytes=1000))).content) == 1000
            with pytest.raises(APIStatusError) as refused:
                await transport.send(Request("GET", "/x"))
            assert len(str(refused.value)) < 1000
        finally:
            await transport.aclose()
