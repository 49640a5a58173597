"""A thousand schedules of faults: the output is what the command printed, to the byte."""

import asyncio
from itertools import groupby

import pytest

from runloop_sdk import AsyncRunloopSDK, StreamError
from tests.sdk.fault_server import STREAMS, Command, FaultServer

SCHEDULES = 1000
AT_ONCE = 25
BATCHES = range(0, SCHEDULES, SCHEDULES // 10)

pytestmark = pytest.mark.usefixtures("no_backoff")


def joined(chunks: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of one stream as one, for how they were cut is nobody's promise."""
    return [(name, "".join(text for _, text in group)) for name, group in groupby(chunks, key=lambda chunk: chunk[0])]


def printed(command: Command) -> list[tuple[str, str]]:
    return joined([(name, data.decode()) for name, data in command.writes])


async def output_of(sdk: AsyncRunloopSDK, command: Command) -> list[tuple[str, str]]:
    devbox, seen = sdk.devbox.from_id(f"dbx_{command.seed}"), []
    if command.seed % 2:
        await devbox.cmd.exec(
            "run",
            stdout=lambda text: seen.append(("stdout", text)),
            stderr=lambda text: seen.append(("stderr", text)),
        )
        return seen
    execution = await devbox.cmd.exec_async("run")
    return [(chunk.stream, chunk.text) async for chunk in execution]


async def check(sdk: AsyncRunloopSDK, command: Command) -> None:
    seen = await output_of(sdk, command)
    for name in STREAMS:
        text = "".join(text for stream, text in seen if stream == name)
        assert text == command.output(name).decode(), f"schedule {command.seed}, {name}: {command.requests}"
    if command.spans:
        assert joined(seen) == printed(command), f"schedule {command.seed}"
    assert len(command.starts) == 1, f"schedule {command.seed}"


@pytest.mark.parametrize("first", BATCHES)
async def test_output_is_exact_whatever_the_network_does(first: int) -> None:
    server, room = FaultServer(), asyncio.Semaphore(AT_ONCE)
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="key", base_url=url, max_retries=20) as sdk:

        async def one(seed: int) -> None:
            async with room:
                await check(sdk, server.command(seed))

        async with asyncio.TaskGroup() as group:
            for seed in range(first, first + SCHEDULES // 10):
                group.create_task(one(seed))
    assert sum(command.faults < 12 for command in server.commands.values()) > SCHEDULES // 20


@pytest.mark.parametrize("seed", range(20))
async def test_stream_that_fails_for_good_raises(seed: int) -> None:
    """Faults without end: an error of the tree, or the whole output, never a part of it in silence."""
    server = FaultServer(faults=1_000_000)
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="key", base_url=url, max_retries=1) as sdk:
        (outcome,) = await asyncio.gather(check(sdk, server.command(seed)), return_exceptions=True)
    assert outcome is None or isinstance(outcome, StreamError) or getattr(outcome, "retryable", None), outcome


async def test_the_two_streams_of_a_command_ask_once_whether_it_has_ended() -> None:
    server = FaultServer(faults=0)
    commands = [server.command(seed) for seed in range(0, 40, 2)]
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="key", base_url=url) as sdk:
        for command in commands:
            command.looks = 0
            await check(sdk, command)
    waits = [sum(each.endswith("/wait_for_status") for each in command.requests) for command in commands]
    assert set(waits) == {0, 1}  # none where the first answer tells already
