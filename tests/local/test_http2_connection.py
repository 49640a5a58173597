"""HTTP/2 with small applications: what they hear of clients, and how streams and connections end."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from runloop_local.direct import abort_response
from runloop_local.http2.connection import MAX_STREAMS, STREAM_WINDOW, Http2
from runloop_local.http2.frames import GOAWAY
from runloop_local.http2.preface import PREFACE, AutoHTTPProtocol
from tests.local.http2_client import Http2Client
from tests.waiting import PATIENCE, until, wait_until

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


@dataclass
class Server:
    """A server of one application, on a loop in a thread of its own."""

    loop: asyncio.AbstractEventLoop
    state: ServerState
    port: int
    heard: list[Any] = field(default_factory=list)
    told: threading.Event = field(default_factory=threading.Event)

    def hear(self, what: Any) -> None:
        """Note something for the test."""
        self.heard.append(what)
        self.told.set()

    def wait(self) -> Any:
        """What was noted."""
        assert self.told.wait(PATIENCE)
        return self.heard

    def call(self, work: Callable[[], Any]) -> Any:
        """Do something on the server's loop."""

        async def done() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(PATIENCE)

    def client(self) -> Http2Client:
        return Http2Client(f"http://127.0.0.1:{self.port}")


App = Callable[[Server, Any, Any, Any], Any]


@contextmanager
def serving(app: App, keep_alive: int = 75) -> Iterator[Server]:
    loop = asyncio.new_event_loop()
    surprises: list[Any] = []
    loop.set_exception_handler(lambda _, context: surprises.append(context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    state = ServerState()

    async def bound(scope: Any, receive: Any, send: Any) -> None:
        await app(server, scope, receive, send)

    config = Config(
        bound, ws="none", log_level="critical", lifespan="off", timeout_keep_alive=keep_alive, access_log=False
    )
    config.load()

    async def start() -> asyncio.Server:
        return await loop.create_server(lambda: AutoHTTPProtocol(config, state, {}), "127.0.0.1", 0)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
    server = Server(loop, state, listening.sockets[0].getsockname()[1])

    async def stop() -> None:
        listening.close()
        for connection in list(cast("set[Any]", state.connections)):
            connection._transport.abort() if isinstance(connection, Http2) else connection.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert not surprises


async def body_of(receive: Any) -> bytes | None:
    """The whole body of a request; None where the client has gone before its end."""
    found = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        found += message["body"]
        if not message["more_body"]:
            return bytes(found)


async def echo(server: Server, scope: Any, receive: Any, send: Any) -> None:
    body = await body_of(receive)
    await send(START)
    await send({"type": "http.response.body", "body": body or b""})


async def until_gone(server: Server, scope: Any, receive: Any, send: Any) -> None:
    """A reply that begins, and goes on until nobody reads it."""
    await send(START)
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    server.hear(await body_of(receive))
    server.hear((await receive())["type"])


async def endless(server: Server, scope: Any, receive: Any, send: Any) -> None:
    """A body without end, as far as somebody reads it."""
    await send(START)
    leaving = asyncio.ensure_future(until_left(receive))
    while not leaving.done():
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        server.heard.append(65536)
        await asyncio.sleep(0)
    server.hear("left")


async def until_left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def test_a_body_goes_both_ways_through_small_windows() -> None:
    data = bytes(range(256)) * 5000
    with serving(echo) as server, server.client() as client:
        stream = client.ask(client.head(b"POST"))
        assert client.answer(stream) == (200, b"")
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, client.head(b"POST"))
        left = data
        while left:
            room = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size, len(left))
            if not room:
                client.flush()
                client.until(WindowUpdated)
                continue
            client.h2.send_data(stream, left[:room])
            left = left[room:]
        client.h2.end_stream(stream)
        client.flush()
        assert client.answer(stream) == (200, data)


HTTP_1 = {
    "a part of the preface": [b"P", b"OST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab"],
    "byte by byte": [bytes([each]) for each in b"PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
    "at once": [b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
}


@pytest.mark.parametrize("parts", HTTP_1.values(), ids=HTTP_1)
def test_http_1_is_told_from_it(parts: list[bytes]) -> None:
    with serving(echo) as server, socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            sock.sendall(part)
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("size", [1, 5, len(PREFACE) - 1, len(PREFACE), len(PREFACE) + 3, 1000])
def test_the_preface_may_come_in_parts(size: int) -> None:
    h2 = H2Connection(H2Configuration(client_side=True))
    h2.initiate_connection()
    h2.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")], end_stream=True)
    sent = h2.data_to_send()
    events: list[Event] = []
    with serving(echo) as server, socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            sock.sendall(sent[start : start + size])
        while not any(isinstance(event, StreamEnded) for event in events):
            events += h2.receive_data(sock.recv(65536))


def test_a_reset_is_heard_as_a_disconnection() -> None:
    with serving(until_gone) as server, server.client() as client:
        stream = client.ask(client.head())
        client.until(DataReceived, stream)
        client.h2.reset_stream(stream)
        client.flush()
        server.wait()
        wait_until(lambda: server.heard == [b"", "http.disconnect"])


def test_a_connection_that_is_lost_is_heard_by_all_its_requests() -> None:
    with serving(endless) as server:
        with server.client() as client:
            streams = [client.ask(client.head()) for _ in range(3)]
            for stream in streams:
                client.until(ResponseReceived, stream)
        wait_until(lambda: server.heard.count("left") == 3)
        wait_until(lambda: not server.state.connections and not server.state.tasks)


def test_a_reply_waits_for_its_reader_while_others_go_on() -> None:
    async def app(server: Server, scope: Any, receive: Any, send: Any) -> None:
        await (endless if scope["path"] == "/endless" else echo)(server, scope, receive, send)

    with serving(app) as server, server.client() as client:
        client.reads = False
        client.h2.increment_flow_control_window(1_000_000)  # of the connection: not even that of the stream is read
        stalled = client.ask(client.head(path=b"/endless"))
        client.until(ResponseReceived, stalled)
        got = 0
        while got < 65535:
            got += len(client.until(DataReceived, stalled).data)
        assert client.answer(client.ask(client.head(b"POST", b"/"), b"other")) == (200, b"other")
        assert len(server.heard) <= 1  # the second part is still on its way into the window
        client.h2.reset_stream(stalled)
        client.flush()
        wait_until(lambda: "left" in server.heard)


def test_an_upload_that_nobody_reads_takes_no_more_than_its_window() -> None:
    held = asyncio.Event()

    async def app(server: Server, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/held":
            await held.wait()
        await echo(server, scope, receive, send)

    with serving(app) as server, server.client() as client:
        client.until(RemoteSettingsChanged)
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, client.head(b"POST", b"/held"))
        while client.h2.local_flow_control_window(stream):
            size = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size)
            client.h2.send_data(stream, bytes(size))
            client.flush()
        assert client.answer(client.ask(client.head(b"POST", b"/"), b"other")) == (200, b"other")
        assert not [event for event in client.events if isinstance(event, WindowUpdated) and event.stream_id == stream]
        server.loop.call_soon_threadsafe(held.set)
        client.until(WindowUpdated, stream)
        client.h2.end_stream(stream)
        client.flush()
        assert client.answer(stream) == (200, bytes(STREAM_WINDOW))


def test_a_reply_before_the_end_of_an_upload_lets_it_end() -> None:
    async def refuse(server: Server, scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 413})
        await send({"type": "http.response.body", "body": b"too large"})

    with serving(refuse) as server, server.client() as client:
        client.until(RemoteSettingsChanged)
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, client.head(b"POST"))
        client.flush()
        assert client.answer(stream) == (413, b"too large")
        left = 3 * STREAM_WINDOW
        while left:
            size = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size, left)
            if size:
                client.h2.send_data(stream, bytes(size), end_stream=size == left)
                client.flush()
                left -= size
            else:
                client.until(WindowUpdated)
        assert client.answer(client.ask(client.head()))[0] == 413


async def fails_at_once(server: Server, scope: Any, receive: Any, send: Any) -> None:
    raise OSError("broken")


async def fails_later(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    raise OSError("broken")


async def says_nothing(server: Server, scope: Any, receive: Any, send: Any) -> None:
    pass


async def stops_early(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def is_too_short(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"half"})


async def is_too_long(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"half"})


async def cuts(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    abort_response(scope)
    await send({"type": "http.response.body", "body": b"unheard"})


async def splits_a_header(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "headers": [(b"x", b"a\r\ny: b")]})


async def begins_twice(server: Server, scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(START)


ENDS: dict[str, tuple[App, object]] = {
    "it fails before the reply": (fails_at_once, (500, b"Internal Server Error")),
    "it fails in the reply": (fails_later, "INTERNAL_ERROR"),
    "it says nothing": (says_nothing, (500, b"Internal Server Error")),
    "it stops in the reply": (stops_early, "INTERNAL_ERROR"),
    "its body is too short": (is_too_short, "INTERNAL_ERROR"),
    "its body is too long": (is_too_long, "INTERNAL_ERROR"),
    "it cuts the reply": (cuts, "INTERNAL_ERROR"),
    "it has a header that would be two": (splits_a_header, (500, b"Internal Server Error")),
    "it begins twice": (begins_twice, "INTERNAL_ERROR"),
}


@pytest.mark.parametrize(("app", "ends"), ENDS.values(), ids=ENDS)
def test_no_reply_looks_whole_that_is_not(app: App, ends: object) -> None:
    with serving(app) as server, server.client() as client:
        for _ in range(2):  # the connection goes on
            stream = client.ask(client.head())
            if isinstance(ends, tuple):
                assert client.answer(stream) == ends
            else:
                assert client.until(StreamReset, stream).error_code.name == ends
                assert not [event for event in client.events if isinstance(event, StreamEnded)]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_a_reply_without_a_body_ends_with_its_head(method: bytes, status: int) -> None:
    async def app(server: Server, scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": status, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"body"})

    with serving(app) as server, server.client() as client:
        assert client.answer(client.ask(client.head(method))) == (status, b"")


@pytest.mark.parametrize("app", [fails_later, stops_early, cuts], ids=lambda app: app.__name__)
def test_a_reply_without_a_body_is_whole_whatever_comes_after_its_head(app: App) -> None:
    with serving(app) as server, server.client() as client:
        for _ in range(2):
            assert client.answer(client.ask(client.head(b"HEAD"))) == (200, b"")


def test_a_client_that_changes_its_table_often_is_told_of_the_last_change() -> None:
    with serving(echo) as server, server.client() as client:
        for number in range(100):
            client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 100 * (number % 50)})
            client.flush()
            client.until(SettingsAcknowledged)
        assert client.answer(client.ask(client.head()))[0] == 200
        (protocol,) = cast("set[Any]", server.state.connections)
        assert protocol._h2.encoder.table_size_changes == []
        for _ in range(100):
            client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 2**31})
            client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 0})
            client.flush()
            client.until(SettingsAcknowledged)
            client.until(SettingsAcknowledged)
            assert len(protocol._h2.encoder.table_size_changes) <= 2
            assert protocol._h2.encoder.header_table_size <= 4096
        assert client.answer(client.ask(client.head()))[0] == 200


def test_a_body_is_asked_for_where_the_client_waits_for_that() -> None:
    with serving(echo) as server, server.client() as client:
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, client.head(b"POST", expect=b"100-continue"))
        client.flush()
        assert dict(client.until(InformationalResponseReceived, stream).headers)[b":status"] == b"100"
        client.h2.send_data(stream, b"now", end_stream=True)
        client.flush()
        assert client.answer(stream) == (200, b"now")


async def held(server: Server, scope: Any, receive: Any, send: Any) -> None:
    server.hear("asked")
    await until(lambda: "go" in server.heard)
    await echo(server, scope, receive, send)


def test_a_service_that_stops_finishes_what_was_asked() -> None:
    with serving(held) as server, server.client() as client, server.client() as idle:
        idle.until(RemoteSettingsChanged)
        stream = client.ask(client.head(b"POST"), b"asked")
        server.wait()
        server.call(lambda: [connection.shutdown() for connection in list(server.state.connections)])
        assert idle.goaway() == (0, "NO_ERROR")
        assert idle.has_ended()
        assert client.goaway() == (stream, "NO_ERROR")
        late = client.ask(client.head(b"POST"), b"late")
        assert client.until(StreamReset, late).error_code == ErrorCodes.REFUSED_STREAM
        server.hear("go")
        assert client.answer(stream) == (200, b"asked")
        assert client.has_ended()


def test_a_client_that_leaves_gets_what_it_asked_for() -> None:
    with serving(held) as server, server.client() as client:
        stream = client.ask(client.head(b"POST"), b"asked")
        server.wait()
        client.sock.sendall(struct.pack(">xHBBIII", 8, GOAWAY, 0, 0, 0, 0))
        client.h2.ping(bytes(8))
        client.flush()
        client.until(PingAckReceived)
        server.hear("go")
        assert client.answer(stream) == (200, b"asked")
        assert client.has_ended()


def test_a_connection_that_nobody_uses_ends_and_what_is_on_its_way_is_answered() -> None:
    with serving(echo, keep_alive=1) as server, server.client() as client:
        assert client.answer(client.ask(client.head(b"POST"), b"first")) == (200, b"first")
        assert client.goaway() == (2**31 - 1, "NO_ERROR")
        assert client.answer(client.ask(client.head(b"POST"), b"late")) == (200, b"late")
        last, code = client.goaway()
        assert (last in (1, 3), code) == (True, "NO_ERROR")
        assert client.has_ended()


def test_more_requests_at_once_than_are_taken_wait_for_nobody() -> None:
    with serving(held) as server, server.client() as client:
        settings = client.until(RemoteSettingsChanged).changed_settings
        assert settings[SettingCodes.MAX_CONCURRENT_STREAMS].new_value == MAX_STREAMS
        streams = [client.ask(client.head(b"POST"), b"%d" % number) for number in range(MAX_STREAMS)]
        server.hear("go")
        assert [client.answer(stream) for stream in streams] == [(200, b"%d" % n) for n in range(MAX_STREAMS)]


def test_requests_whose_clients_have_gone_count_until_they_have_ended() -> None:
    with serving(held) as server, server.client() as client:
        for _ in range(2 * MAX_STREAMS):
            client.h2.reset_stream(client.ask(client.head()))
        refused = client.ask(client.head())
        assert client.until(StreamReset, refused).error_code == ErrorCodes.REFUSED_STREAM
        server.hear("go")
        wait_until(lambda: not server.state.tasks)
        assert client.answer(client.ask(client.head())) == (200, b"")


def head_of(kind: int, stream: int, length: int, flags: int = 0) -> bytes:
    return length.to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4)


def resets(client: Http2Client) -> bytes:
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, client.head(), end_stream=True)
    client.h2.reset_stream(stream)
    return client.h2.data_to_send()


FLOODS: dict[str, Callable[[Http2Client], bytes]] = {
    "pings": lambda _: head_of(6, 0, 8) + bytes(8),
    "settings": lambda _: head_of(4, 0, 0),
    "tables": lambda _: head_of(4, 0, 6) + b"\0\1" + (5000).to_bytes(4) + head_of(4, 0, 6) + b"\0\1" + bytes(4),
    "acknowledgements": lambda _: head_of(4, 0, 0, 1),
    "windows": lambda _: head_of(8, 0, 4) + bytes([0, 0, 0, 1]),
    "priorities": lambda _: head_of(2, 3, 5) + bytes(5),
    "frames of a kind that nobody knows": lambda _: head_of(99, 0, 0),
    "empty parts of a body": lambda _: head_of(0, 1, 0),
    "padding": lambda _: head_of(0, 1, 10, 8) + bytes([9]) + bytes(9),
    "requests that are taken back": resets,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_client_that_only_makes_work_is_sent_away(flood: Callable[[Http2Client], bytes]) -> None:
    with serving(echo) as server, server.client() as client:
        client.until(RemoteSettingsChanged)
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, client.head(b"POST"))
        client.flush()
        many = 2000 if flood is resets else 20_000
        with suppress(ConnectionError):
            client.sock.sendall(b"".join(flood(client) for _ in range(many)))
        assert client.has_ended()
        # What was on its way to it as the service closed may be lost: then nothing is known of why.
        assert [code for _, code in client.goaways] in ([], [ErrorCodes.ENHANCE_YOUR_CALM])
        wait_until(lambda: not server.state.connections and not server.state.tasks)


BROKEN = {
    "no settings first": lambda client: head_of(6, 0, 8) + bytes(8),
    "a frame that is too long": lambda client: head_of(0, 1, 20_000),
    "a body without a head": lambda client: head_of(0, 1, 1) + b"x",
    "a head that is none": lambda client: head_of(1, 1, 3, 5) + b"\xff\xff\xff",
    "a head that is very long": lambda client: long_head(client),
    "an even stream": lambda client: head_of(1, 2, 1, 5) + b"\x82",
    "a head within a head": lambda client: head_of(1, 1, 1) + b"\x82" + head_of(1, 3, 1) + b"\x82",
    "more of no head": lambda client: head_of(9, 1, 1, 4) + b"\x82",
    "a window of nothing": lambda client: head_of(8, 0, 4) + bytes(4),
    "a window that is too large": lambda client: (head_of(8, 0, 4) + (2**31 - 1).to_bytes(4)) * 2,
    "a setting that cannot be": lambda client: head_of(4, 0, 6) + b"\0\2" + (2).to_bytes(4),
    "a push": lambda client: head_of(5, 1, 5, 4) + bytes(4) + b"\x82",
    "text": lambda client: b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
}


def long_head(client: Http2Client) -> bytes:
    client.h2.send_headers(1, client.head(x=b"a" * 70_000), end_stream=True)
    return client.h2.data_to_send()


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_client_that_does_not_keep_to_the_protocol_is_sent_away(broken: Callable[[Http2Client], bytes]) -> None:
    with serving(echo) as server:
        with server.client() as client:
            client.until(RemoteSettingsChanged)
            client.sock.sendall(broken(client))
            assert broken is BROKEN["no settings first"] or client.has_ended()
        wait_until(lambda: not server.state.connections and not server.state.tasks)


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 3), st.integers(0, 255), st.binary(max_size=40))))
def test_whatever_is_sent_is_no_surprise(frames: list[tuple[int, int, int, bytes]]) -> None:
    """Frames of all kinds are taken or refused: nothing else is raised."""

    async def send() -> None:
        surprises: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: surprises.append(context))
        state = ServerState()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await echo(cast("Any", None), scope, receive, send)

        near, far = socket.socketpair()
        transport, _ = await loop.create_connection(lambda: Http2(app, state, 75), sock=near)
        far.setblocking(False)
        data = head_of(4, 0, 0) + b"".join(
            head_of(kind, stream, len(body), flags) + body for kind, stream, flags, body in frames
        )
        await loop.sock_sendall(far, data)
        far.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while await loop.sock_recv(far, 65536):
                pass
        far.close()
        transport.abort()
        await until(lambda: not state.tasks and not state.connections)
        assert not surprises

    asyncio.run(send())
