"""Reads DNS queries and writes answers to them (RFC 1035). Does no I/O; queries are hostile input."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

IPV4, IPV6 = 1, 28
"""The types of questions that have answers: A and AAAA."""
NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED, FAILED = 3, 4, 5, 2
_INTERNET = 1
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _OPERATION = 0x8000, 0x0100, 0x0080, 0x7800
_MOST_ADDRESSES = 12
"""So that an answer fits into the 512 bytes of any client."""
_LONGEST_NAME, _LONGEST_LABEL = 255, 63
_NAME_OF_THE_QUESTION = 0xC00C
"""A pointer to the name of the question, which follows the header."""


class Query(NamedTuple):
    """A question for one name."""

    number: int
    flags: int
    name: str
    kind: int
    question: bytes
    """As it was sent, to be repeated in the answer."""


def parse(data: bytes) -> Query:
    """The query in a message; raises ValueError if it is not one question about the Internet."""
    if len(data) < _HEADER.size:
        raise ValueError("too short")
    number, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & (_RESPONSE | _OPERATION) or questions != 1:
        raise ValueError("not a query with one question")
    name, end = _name(data, _HEADER.size)
    if len(data) < end + 4:
        raise ValueError("cut")
    kind, network = struct.unpack_from("!HH", data, end)
    if network != _INTERNET:
        raise ValueError("not about the Internet")
    return Query(number, flags, name, kind, data[_HEADER.size : end + 4])


def _name(data: bytes, start: int) -> tuple[str, int]:
    labels: list[str] = []
    while start < len(data) and data[start]:
        length = data[start]
        # A pointer, too, is longer than a label: a question has no earlier name to point to.
        if length > _LONGEST_LABEL or start + 1 + length > len(data):
            raise ValueError("a label that is none")
        labels.append(data[start + 1 : start + 1 + length].decode("ascii", "backslashreplace"))
        start += 1 + length
    if start >= len(data) or sum(map(len, labels)) + len(labels) > _LONGEST_NAME:
        raise ValueError("a name without an end")
    return ".".join(labels), start + 1


def answer(query: Query, addresses: Sequence[IPv4Address], seconds: int) -> bytes:
    """The answer with these addresses, which are valid for so long; an empty one says that there are none."""
    shown = addresses[:_MOST_ADDRESSES] if query.kind == IPV4 else ()
    records = [
        struct.pack("!HHHIH", _NAME_OF_THE_QUESTION, IPV4, _INTERNET, seconds, 4) + each.packed for each in shown
    ]
    return _head(query, 0, len(records)) + query.question + b"".join(records)


def failure(query: Query, code: int) -> bytes:
    """The answer that says why there is none."""
    return _head(query, code, 0) + query.question


def _head(query: Query, code: int, answers: int) -> bytes:
    flags = _RESPONSE | _RECURSION_AVAILABLE | query.flags & _RECURSION_DESIRED | code
    return _HEADER.pack(query.number, flags, 1, answers, 0, 0)
