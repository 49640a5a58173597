"""Prints seeded output: the same bytes for the same arguments, here and in a devbox. Runs on a bare Python 3.8.

python3 printer.py SEED SIZE KIND STREAMS PAUSE_MS
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Iterator, Tuple  # noqa: UP035 -- Python 3.8

KINDS = ("lines", "text", "bytes")
STREAMS = {"out": (1,), "err": (2,), "both": (1, 2)}
LETTERS = (
    "a",
    "b ",
    "0123456789",
    "ü",
    "€",
    "藍",
    "🜁",
    "\n",
    "\r",
    '"',
    "\\",
    "\u2028",
    "data: ",
    "\n\n",
    "\0",
    "\x1b[1m",
)
LARGEST_PIECE = 1 << 16


def pieces(seed: int, size: int, kind: str, streams: str) -> Iterator[Tuple[int, bytes]]:  # noqa: UP006
    """Generate the pieces to write and their descriptors, `size` bytes in all.

    `lines` are ASCII, `text` is UTF-8 that may be split within a character, `bytes` are arbitrary.
    """
    order = random.Random(seed)
    pattern = "".join(order.choice(LETTERS) for _ in range(2000)).encode()
    written = {1: 0, 2: 0}
    while size > 0:
        stream = order.choice(STREAMS[streams])
        length = min(size, int(2 ** order.uniform(0, 16.5)), LARGEST_PIECE)
        yield stream, _piece(order, pattern, written[stream], length, kind)
        written[stream] += length
        size -= length


def _piece(order: random.Random, pattern: bytes, start: int, length: int, kind: str) -> bytes:
    if kind == "bytes":
        return order.getrandbits(8 * length).to_bytes(length, "little")
    if kind == "lines":
        number = order.randrange(10**9)
        return (f"{number} printed\n".encode() * (length // 16 + 1))[:length]
    start %= len(pattern)
    return (pattern[start:] + pattern * (length // len(pattern) + 1))[:length]


def main() -> None:
    """Write all pieces."""
    seed, size, kind, streams, pause = sys.argv[1:]
    for stream, data in pieces(int(seed), int(size), kind, streams):
        while data:
            data = data[os.write(stream, data) :]
        time.sleep(int(pause) / 1000)


if __name__ == "__main__":
    main()
