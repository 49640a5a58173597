"""What a devbox asks of its proxy: read in one way only, or refused."""

from __future__ import annotations

import pytest

from runloop_local.sandbox.proxy_request import RefusedError, checked_host, parse

HOSTS: dict[str, str | None] = {
    "example.org": "example.org",
    "EXAMPLE.org.": "example.org",
    "a-b.example_c.org": "a-b.example_c.org",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "localhost": "localhost",
    "10.77.0.2": "10.77.0.2",
    "[2001:DB8::1]": "2001:db8::1",
    "10.77.0.2\0.example.org": None,
    "10.77.0.2%00.example.org": None,
    "0x7f000001": None,
    "0x7f.1": None,
    "2130706433": None,
    "127.1": None,
    "010.0.0.1": None,
    "1.2.3.4.5": None,
    "example.123": None,
    "example.0x1": None,
    "a..b": None,
    ".a": None,
    "-a.b": None,
    "a-.b": None,
    "": None,
    ".": None,
    "a b": None,
    "a/b": None,
    "a@b": None,
    "a\nb": None,
    "\u2488.example": None,
    "[fe80::1%eth0]": None,
    "[::1": None,
    "2001:db8::1": None,
    f"{'a' * 64}.org": None,
    ".".join(["a" * 60] * 5): None,
}


@pytest.mark.parametrize(("given", "read"), HOSTS.items(), ids=map(repr, HOSTS))
def test_a_host_is_read_as_resolvers_and_policies_read_it_or_not_at_all(given: str, read: str | None) -> None:
    assert checked_host(given) == read


PASSED_ON: dict[str, tuple[bytes, str, int, bytes | None]] = {
    "CONNECT": (b"CONNECT a.test:443 HTTP/1.1", "a.test", 443, None),
    "CONNECT without a port": (b"CONNECT a.test HTTP/1.1", "a.test", 443, None),
    "CONNECT by IPv6": (b"CONNECT [2001:db8::1]:8443 HTTP/1.0", "2001:db8::1", 8443, None),
    "an address": (
        b"GET http://A.test/x?y=z HTTP/1.1\r\nAccept: */*",
        "a.test",
        80,
        b"GET /x?y=z HTTP/1.1\r\nHost: A.test\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    ),
    "no path": (b"GET http://a.test HTTP/1.1", "a.test", 80, b"GET / HTTP/1.1\r\nHost: a.test\r\n"),
    "a query alone": (b"GET http://a.test?q HTTP/1.1", "a.test", 80, b"GET /?q HTTP/1.1\r\nHost: a.test\r\n"),
    "another Host": (
        b"GET http://a.test:81/ HTTP/1.1\r\nHost: b.test\r\nhOST : c.test\r\nX: 1",
        "a.test",
        81,
        None,
    ),
}


@pytest.mark.parametrize(("head", "host", "port", "sent"), PASSED_ON.values(), ids=PASSED_ON)
def test_a_request_goes_where_it_says(head: bytes, host: str, port: int, sent: bytes | None) -> None:
    if b"hOST :" in head:
        with pytest.raises(RefusedError, match="malformed"):
            parse(head + b"\r\n\r\n")
        head = head.replace(b"hOST :", b"hOST:")
    request = parse(head + b"\r\n\r\n")
    assert (request.host, request.port) == (host, port)
    if head.startswith(b"CONNECT"):
        assert request.head is None
    else:
        assert request.head is not None
        assert request.head.startswith(sent or b"GET / HTTP/1.1\r\nHost: a.test:81\r\nX: 1\r\n")
        assert request.head.lower().count(b"host:") == 1


REFUSED: dict[str, bytes] = {
    "NUL in the host": b"CONNECT 10.77.0.2\0.example.org:8000 HTTP/1.1",
    "NUL in an address": b"GET http://10.77.0.2\0.example.org:8000/ HTTP/1.1",
    "a user before the host": b"GET http://a.test@b.test/ HTTP/1.1",
    "a backslash": b"GET http://a.test\\@b.test/ HTTP/1.1",
    "bytes beyond ASCII": "GET http://ä.test/ HTTP/1.1".encode(),
    "a tab in the line": b"GET http://a.test/\tx HTTP/1.1",
    "a line feed in the line": b"GET http://a.test/\nHost:b HTTP/1.1",
    "port 0": b"CONNECT a.test:0 HTTP/1.1",
    "port 65536": b"CONNECT a.test:65536 HTTP/1.1",
    "a path": b"GET / HTTP/1.1",
    "https": b"GET https://a.test/ HTTP/1.1",
    "HTTP/2": b"GET http://a.test/ HTTP/2.0",
    "an odd method": b"G(T http://a.test/ HTTP/1.1",
    "a folded field": b"GET http://a.test/ HTTP/1.1\r\nX: a\r\n b",
    "a line feed within a field": b"GET http://a.test/ HTTP/1.1\r\nX: a\nHost: b.test",
    "a field without a name": b"GET http://a.test/ HTTP/1.1\r\n: a",
    "NUL in a field": b"GET http://a.test/ HTTP/1.1\r\nX: \0",
    "nothing": b"",
}


@pytest.mark.parametrize("head", REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        parse(head + b"\r\n\r\n")
    assert refused.value.status.startswith("400 ")
