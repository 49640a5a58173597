"""The messages between the kernel and the page: types here, of which those of `ui/src/protocol` are made."""

from __future__ import annotations

from .message import VERSION, Event, Protocol, Request, decode, encode

__all__ = ["VERSION", "Event", "Protocol", "Request", "decode", "encode"]
