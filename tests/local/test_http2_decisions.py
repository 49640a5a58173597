"""What is decided about HTTP/2 without a connection: frames, their cost, and heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runloop_local.http2.frames import Frame, FrameSplitter, FrameTooLongError, TokenBucket
from runloop_local.http2.heads import HeadError, RequestHead, reply_head


def frame(kind: int, flags: int = 0, length: int = 0) -> bytes:
    return length.to_bytes(3) + bytes([kind, flags]) + bytes(4) + b"x" * length


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 300)), max_size=8), st.integers(1, 400))
def test_frames_are_the_same_however_they_arrive(sent: list[tuple[int, int]], size: int) -> None:
    whole = [frame(kind, 0, length) for kind, length in sent]
    data, splitter = b"".join(whole), FrameSplitter(300)
    found = [each for start in range(0, len(data), size) for each in splitter.split(data[start : start + size])]
    assert [(each.kind, each.octets) for each in found] == list(zip((kind for kind, _ in sent), whole, strict=True))


def test_a_frame_that_is_too_long_is_refused_by_its_head() -> None:
    with pytest.raises(FrameTooLongError):
        list(FrameSplitter(300).split(frame(0, 0, 301)[:9]))


COSTS = {
    "a request": (frame(1, 4, 20), 0),
    "a body": (frame(0, 0, 256), 0),
    "the end of a body": (frame(0, 1, 0), 0),
    "an empty part of a body": (frame(0), 1),
    "a small part of a body": (frame(0, 0, 255), 1),
    "a priority": (frame(2, 0, 5), 1),
    "a reset": (frame(3, 0, 4), 10),
    "settings": (frame(4), 1),
    "a ping": (frame(6, 0, 8), 1),
    "a window": (frame(8, 0, 4), 1),
    "more of a head": (frame(9, 0, 100), 1),
    "something unknown": (frame(200, 0, 1000), 1),
}


@pytest.mark.parametrize(("octets", "cost"), COSTS.values(), ids=COSTS)
def test_what_a_frame_costs(octets: bytes, cost: int) -> None:
    assert Frame(octets[3], octets[4], octets).cost == cost


def test_an_allowance_is_spent_earned_and_grows_with_time_up_to_its_most() -> None:
    token_bucket = TokenBucket(20, 10, now=0)
    assert [token_bucket.take(15, 0), token_bucket.take(5, 0), token_bucket.take(1, 0)] == [True, True, False]
    assert [token_bucket.take(9, 1), token_bucket.take(1, 1)] == [True, False]
    assert [token_bucket.take(20, 100), token_bucket.take(1, 100)] == [True, False]
    token_bucket.refill(100)
    assert [token_bucket.take(20, 100), token_bucket.take(1, 100)] == [True, False]


FINE = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/a%20b?c=d"), (b":authority", b"localhost:1")]


def changed(**fields: bytes | None) -> list[tuple[bytes, bytes]]:
    """The fine head with other pseudo-headers, or without some."""
    found: dict[bytes, bytes | None] = dict(FINE)
    found.update({f":{name}".encode(): value for name, value in fields.items()})
    return [(name, value) for name, value in found.items() if value is not None]


def test_a_request_reads_as_by_http_1() -> None:
    head = RequestHead([*FINE, (b"cookie", b"a=b")], has_body=False)
    assert (head.method, head.path, head.raw_path, head.query) == ("GET", "/a b", b"/a%20b", b"c=d")
    assert head.headers == [(b"host", b"localhost:1"), (b"cookie", b"a=b")]


LENGTHS = {
    "no body": ([], False, []),
    "a body without a length": ([], True, [(b"transfer-encoding", b"chunked")]),
    "a body with one": ([(b"content-length", b"3")], True, [(b"content-length", b"3")]),
}


@pytest.mark.parametrize(("more", "has_body", "found"), LENGTHS.values(), ids=LENGTHS)
def test_a_body_of_unknown_length_is_one_in_chunks(
    more: list[tuple[bytes, bytes]], has_body: bool, found: object
) -> None:
    assert RequestHead([*FINE, *more], has_body=has_body).headers[1:] == found


HOSTS = {
    "the authority alone": FINE,
    "a host that says the same": [*FINE, (b"host", b"localhost:1")],
    "a host alone": [*changed(authority=None), (b"host", b"localhost:1")],
}


@pytest.mark.parametrize("fields", HOSTS.values(), ids=HOSTS)
def test_a_request_has_one_host(fields: list[tuple[bytes, bytes]]) -> None:
    assert RequestHead(fields, has_body=False).headers == [(b"host", b"localhost:1")]


REFUSED = {
    "no host": changed(authority=None),
    "two hosts": [*FINE, (b"host", b"evil.example")],
    "twice the same host": [*changed(authority=None), (b"host", b"localhost:1"), (b"host", b"localhost:1")],
    "a host with a user": changed(authority=b"me@localhost:1"),
    "a host with a path": changed(authority=b"localhost:1/x"),
    "a host with a space": changed(authority=b"localhost:1 x"),
    "a host with a NUL": changed(authority=b"localhost\0:1"),
    "a list of hosts": changed(authority=b"localhost:1, evil.example"),
    "another scheme": changed(scheme=b"https"),
    "no scheme": changed(scheme=None),
    "a way through": changed(method=b"CONNECT"),
    "a method with a space": changed(method=b"GET /x"),
    "no method": changed(method=None),
    "a method that is not ASCII": changed(method="GÉT".encode()),
    "no path": changed(path=None),
    "an empty path": changed(path=b""),
    "everything": changed(path=b"*"),
    "an absolute address": changed(path=b"http://localhost:1/"),
    "a path with a space": changed(path=b"/a b"),
    "a path with a line": changed(path=b"/a\r\nx: y"),
    "a path that is not ASCII": changed(path="/é".encode()),
    "two lengths": [*FINE, (b"content-length", b"1"), (b"content-length", b"1")],
    "a signed length": [*FINE, (b"content-length", b"+1")],
    "a length with a line": [*FINE, (b"content-length", b"1_0")],
    "an encoding": [*FINE, (b"transfer-encoding", b"chunked")],
    "a header with a line": [*FINE, (b"x", b"a\r\ny: b")],
    "a header with a NUL": [*FINE, (b"x", b"a\0")],
    "a header with an escape": [*FINE, (b"x", b"\x1b[31m")],
    "a name with a space": [*FINE, (b"x y", b"a")],
    "a name with a colon": [*FINE, (b"x:", b"a")],
    "a name in capitals": [*FINE, (b"X", b"a")],
    "no name": [*FINE, (b"", b"a")],
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_a_head_that_can_be_misread_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(HeadError, match=r"\.$"):
        RequestHead(fields, has_body=False)


def test_a_reply_says_nothing_of_connections() -> None:
    headers = [(b"Connection", b"close"), (b"transfer-encoding", b"chunked"), (b"Content-Length", b"1")]
    assert reply_head(200, headers) == [(b":status", b"200"), (b"content-length", b"1")]


@pytest.mark.parametrize("header", [(b"a b", b"c"), (b"a", b"b\r\nc: d"), (b"", b"a")])
def test_a_reply_has_no_header_that_could_be_two(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        reply_head(200, [header])
