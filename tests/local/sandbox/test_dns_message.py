"""DNS queries are read and answered; whatever else a devbox sends is refused."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from runloop_local.sandbox.captured import ResolvedNames
from runloop_local.sandbox.dns_message import IPV4, IPV6, NO_SUCH_NAME, REFUSED, Query, answer, failure, parse

SERVER, OTHER = "203.0.113.5", "203.0.113.7"
QUESTION = b"\2db\7example\4test\0\0\1\0\1"


def test_a_query_is_read_and_answered() -> None:
    query = parse(b"\0\7\1\0\0\1\0\0\0\0\0\0" + QUESTION)
    assert query == Query(7, 0x100, "db.example.test", IPV4, QUESTION)
    address = IPv4Address(SERVER)
    assert answer(query, [address], 60) == (
        b"\0\7\x81\x80\0\1\0\1\0\0\0\0" + QUESTION + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + address.packed
    )
    assert answer(Query(7, 0, "a", IPV6, QUESTION), [address], 60) == b"\0\7\x80\x80\0\1\0\0\0\0\0\0" + QUESTION
    assert failure(query, REFUSED)[3] & 15 == REFUSED
    assert failure(query, NO_SUCH_NAME)[3] & 15 == NO_SUCH_NAME
    assert len(answer(query, [address] * 99, 60)) <= 512


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\7\1\0\0\1\0\0\0\0\0",
        b"\0\7\1\0\0\0\0\0\0\0\0\0" + QUESTION,
        b"\0\7\1\0\0\2\0\0\0\0\0\0" + QUESTION,
        b"\0\7\x81\0\0\1\0\0\0\0\0\0" + QUESTION,
        b"\0\7\x29\0\0\1\0\0\0\0\0\0" + QUESTION,
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + QUESTION[:-1],
        b"\0\7\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",
        b"\0\7\1\0\0\1\0\0\0\0\0\0\x09abc",
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"\x3f" + b"a" * 63,
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
        b"\0\7\1\0\0\1\0\0\0\0\0\0" + QUESTION[:-1] + b"\3",
    ],
    ids=[
        "empty", "cut head", "no question", "two", "an answer", "an update", "cut", "pointer", "long label", "no end",
        "long name", "other network",
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(data)


def test_answers_count_for_a_time_and_the_oldest_go_first() -> None:
    names, address = ResolvedNames(), IPv4Address(SERVER)
    names.add(address, "a", 0)
    names.add(address, "b", 1800)
    assert names.of(address, 3599) == ["a", "b"]
    assert names.of(address, 3600) == ["b"]
    assert names.of(IPv4Address(OTHER), 0) == []
    for number in range(5000):
        names.add(IPv4Address(number), "c", 1800)
    assert names.of(address, 1800) == []
    assert names.of(IPv4Address(4999), 1800) == ["c"]
