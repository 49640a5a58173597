"""The wire between service and helpers: whole messages from any pieces, and a sandbox that lies."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import sys

import pytest

from runloop_local.sandbox import SandboxEnded, SandboxError, frames
from runloop_local.sandbox.link import NETLINK, RAW, Channel, Reply, SandboxExit, take_socket, take_sockets
from runloop_local.sandbox.running import AgentProcess, Run
from tests.waiting import PATIENCE, until


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_messages_come_whole_from_any_pieces(size: int) -> None:
    messages: list[frames.Message] = [{"id": 1, "text": "ü" * 50}, {"id": 2}, {"id": 3, "list": [1, None, "x"]}]
    data = b"".join(frames.encode(message) for message in messages)
    decoder = frames.Decoder(1000)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [message for piece in pieces for message, _ in decoder.feed(piece, [])] == messages


def test_descriptors_arrive_with_their_message() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, theirs:
        frames.send(ours, {"id": 1, "text": "x" * 50_000})
        frames.send(ours, {"id": 2}, [writer])
        decoder = frames.Decoder(1 << 20)
        found: list[tuple[frames.Message, list[int]]] = []
        while len(found) < 2:
            found += decoder.feed(*frames.receive(theirs))
    assert [len(passed) for _, passed in found] == [0, 1]
    os.write(found[1][1][0], b"through")
    assert os.read(reader, 100) == b"through"
    frames.close_all([reader, writer, *found[1][1]])


@pytest.mark.parametrize(("names", "came"), [(b"user,net", 2), (b"user,net,mnt", 0), (b"", 0)])
def test_descriptors_with_names_come_all_or_not_at_all(names: bytes, came: int) -> None:
    """An agent that entered some of a sandbox's namespaces would have rights in the others."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with theirs:
        with ours:
            if names:
                socket.send_fds(ours, [names], [reader, writer])
        found = frames.receive_named(theirs)
    assert [*found] == names.decode().split(",")[:came]
    frames.close_all([reader, writer, *found.values()])


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!IB", 1 << 30, 0),
        struct.pack("!IB", 2, 3) + b"{}",
        struct.pack("!IB", 2, 0) + b"[]",
        struct.pack("!IB", 3, 0) + b"\xff\xfe\xfd",
        struct.pack("!IB", 900, 0) + b"[" * 900,
    ],
    ids=["too-long", "descriptors-that-did-not-come", "no-object", "no-text", "no-json"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(frames.FrameError):
        list(frames.Decoder(1000).feed(data, []))


@pytest.mark.parametrize(
    "reply",
    [
        b"\xff" * 5000,
        frames.encode({"id": 1}, 2),
        struct.pack("!IB", 2, 0) + b"17",
    ],
    ids=["noise", "too-many-descriptors", "no-object"],
)
async def test_a_sandbox_that_breaks_the_format_is_cut_off(reply: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        _, waiting = await channel.ask({"op": "signal"})
        reader, writer = os.pipe()
        socket.send_fds(theirs, [reply], [reader, writer])
        frames.close_all([reader])
        assert await asyncio.wait_for(waiting, PATIENCE) is None
        os.set_blocking(writer, False)
        with pytest.raises(BrokenPipeError):  # the service keeps no copy of the other end
            os.write(writer, b"x")
        os.close(writer)


LARGE = {"op": "start", "mounts": "x" * (2 << 20)}


async def blocked(channel: Channel, theirs: socket.socket) -> asyncio.Task[tuple[int, asyncio.Future[Reply | None]]]:
    """A request of which the helper has read nothing, and that does not fit into the socket."""
    asking = asyncio.create_task(channel.ask(LARGE))
    await until(lambda: select.select([theirs], [], [], 0)[0], "the beginning of the request")
    return asking


async def test_a_request_that_is_given_up_is_sent_whole_all_the_same() -> None:
    """Its half would be taken for the beginning of the next one, by the helper that has all sandboxes."""
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        asking = await blocked(channel, theirs)
        asking.cancel()
        after = asyncio.create_task(channel.ask({"op": "ping"}))
        found: list[frames.Message] = []
        decoder = frames.Decoder(4 << 20)
        while len(found) < 2:
            found += [message for message, _ in decoder.feed(*await asyncio.to_thread(frames.receive, theirs))]
        assert [message["op"] for message in found] == ["start", "ping"]
        with pytest.raises(asyncio.CancelledError):
            await asking
        number, reply = await after
        frames.send(theirs, {"id": number})
        replied = await asyncio.wait_for(reply, PATIENCE)
        assert replied
        assert replied.message == {"id": number}
        channel.close()


@pytest.mark.parametrize("is_given_up", [False, True])
async def test_a_request_that_is_being_sent_ends_with_the_channel(is_given_up: bool) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        asking = await blocked(channel, theirs)
        if is_given_up:
            asking.cancel()
            await asyncio.sleep(0)
        channel.close()
        with pytest.raises(asyncio.CancelledError if is_given_up else SandboxEnded):
            await asyncio.wait_for(asking, PATIENCE)


async def test_descriptors_of_a_reply_that_nobody_waits_for_are_closed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        asking = await blocked(channel, theirs)
        dialing = asyncio.create_task(channel.ask({"op": "dial"}, max_descriptors=1))
        await asyncio.sleep(0)  # it waits for its turn to be sent
        dialing.cancel()
        await asyncio.gather(dialing, return_exceptions=True)
        reader, writer = os.pipe()
        frames.send(theirs, {"id": 2}, [reader])
        frames.close_all([reader])
        await until(lambda: not channel._max_descriptors.keys() & {2}, "the reply to be read")
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"x")
        os.close(writer)
        channel.close()
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("status", [-1, 256, "0", None, 1.5, [0]])
async def test_an_exit_status_that_is_none_is_an_error(status: object) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        number, waiting = await channel.ask({"op": "spawn"})
        frames.send(theirs, {"id": number, "status": status})
        with pytest.raises(SandboxError, match="exit status"):
            await AgentProcess(Run(channel, SandboxExit(channel, number, waiting)), number, waiting).wait()
        channel.close()


@pytest.mark.parametrize("number", [99, -1, "1", None, [1], {}])
async def test_replies_to_nothing_are_ignored(number: object) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        mine, waiting = await channel.ask({"op": "signal"})
        frames.send(theirs, {"id": number, "status": 3})
        frames.send(theirs, {"id": mine, "status": 4})
        replied = await asyncio.wait_for(waiting, PATIENCE)
        assert replied
        assert replied.status() == 4
        channel.close()


def test_only_a_tcp_socket_is_taken_for_a_connection() -> None:
    for kind in (socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)):
        with pytest.raises(SandboxError, match="not TCP"):
            take_socket(Reply({}, (kind.detach(),)))
    if sys.platform == "linux":
        for form in (RAW, NETLINK):
            with pytest.raises(SandboxError, match=f"not {form.name}"):
                take_sockets(Reply({}, (socket.socket().detach(),)), form)
    with pytest.raises(SandboxError, match="no socket"):
        take_socket(Reply({}, (os.open(os.devnull, os.O_RDONLY),)))
    with pytest.raises(SandboxError, match="did not pass"):
        take_socket(Reply({}, ()))
