"""Parsers: calls the parsers of untrusted data directly with generated input.

Each input must be parsed or refused with the parser's error; the result must not depend on how the input is split, and
nothing may be written outside the target folder.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import lzma
import os
import random
import re
import stat
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_local.engine.build.dockerfile import Instruction
from runloop_local.engine.build.dockerfile import parse as parse_dockerfile
from runloop_local.engine.build.image import Image
from runloop_local.engine.build.plan import Stage, UnknownNameError, needed, plan
from runloop_local.engine.errors import InvalidError
from runloop_local.engine.storage.archive import Archive, ArchiveLimits
from runloop_local.sandbox import frames, proxy_request
from runloop_sdk import ArchiveError
from runloop_sdk._extraction import extract
from runloop_sdk._hostile_tar import ExtractionLimits
from runloop_sdk._listing import parse_listing
from runloop_sdk._sse import ServerSentEvent, SSEDecoder

from .cases import Cases, chance
from .findings import expect

if TYPE_CHECKING:
    from .cases import Limit
    from .findings import Report

NAME = "parsers"
PATIENCE_S = 60.0
_LIMIT = 4 << 20
_MOST_CHANGES = 12
_PIECES = 6
_JUNK = (
    *(b"\0", b"\r", b"\n", b"\r\n\r\n", b"\n\n", b"data: ", b"event: e\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1b]0;"),
    *(b"../", b"/", b"//", b"\\", b"@", b":", b"%00", b"[::1]", b"0x7f.1", b"Host: x\r\n", b"<<EOF\n", b"${", b"$$"),
    *(b'"', b"'", b"--", b"\x80", b"{", b"}" * 50, b"[" * 5000, b"9" * 400, b"-1", b"\xe2\x80\xae", b" " * 300),
)


async def run(limit: Limit, report: Report, *, at_once: int = 2) -> None:
    """Parse generated inputs until the limit."""
    met: Counter[str] = Counter()
    cases = Cases(NAME, report, PATIENCE_S)

    async def one(number: int) -> None:
        order = chance(report.seed, NAME, number)
        name = order.choice(list(TARGETS))
        make, read = TARGETS[name]
        data = changed(make(order), order)
        refused = await asyncio.to_thread(read, data, order)
        met[f"{name} {'refused' if refused else 'read'}"] += 1

    await cases.run(limit.numbers(), at_once, one)
    report.done(NAME, f"{cases.done} inputs")
    report.note(NAME, ", ".join(f"{count} x {what}" for what, count in sorted(met.items())))


def changed(data: bytes, order: random.Random) -> bytes:
    """Mutate data: change, delete, duplicate or truncate bytes, or insert junk."""
    found = bytearray(data)
    for _ in range(order.choice((0, 1, 1, 2, order.randint(1, _MOST_CHANGES)))):
        start = order.randint(0, len(found))
        end = min(len(found), start + order.choice((1, 1, 4, 30, 600)))
        match order.choice(("byte", "bit", "cut", "double", "junk", "end")):
            case "byte" if start < len(found):
                found[start] = order.randrange(256)
            case "bit" if start < len(found):
                found[start] ^= 1 << order.randrange(8)
            case "cut":
                del found[start:end]
            case "double":
                found[start:start] = found[start:end] * order.choice((1, 2, 50))
            case "junk":
                found[start:start] = order.choice(_JUNK)
            case "end":
                del found[start:]
    return bytes(found)


def pieces(data: bytes, order: random.Random) -> Iterator[bytes]:
    """Split data into pieces."""
    places = sorted(order.randint(0, len(data)) for _ in range(_PIECES))
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


# Each maker returns data that is valid, or almost; each reader returns True if it was refused.


def helper_frames(order: random.Random) -> bytes:
    """Messages of a sandbox's processes."""
    bodies: tuple[frames.Message, ...] = (
        {"id": 1, "exit": 0},
        {"id": 2, "error": "grün"},
        {},
        {"id": order.randrange(9), "x": ["y"] * 20},
    )
    return b"".join(frames.encode(order.choice(bodies), order.choice((0, 0, 0, 1))) for _ in range(order.randint(1, 6)))


def read_helper_frames(data: bytes, order: random.Random) -> bool:
    """Check that messages are the same in one piece and in several, up to an error."""
    whole, whole_refused = _messages([data])
    parts, parts_refused = _messages(list(pieces(data, order)))
    expect(whole == parts and whole_refused == parts_refused, "other", f"pieces are read as {parts}, not as {whole}")
    return whole_refused


def _messages(chunks: Sequence[bytes]) -> tuple[list[frames.Message], bool]:
    decoder = frames.Decoder(_LIMIT)
    found: list[frames.Message] = []
    try:
        for chunk in chunks:
            for message, _ in decoder.feed(chunk, ()):
                found.append(message)
    except frames.FrameError:
        return found, True
    return found, False


def event_stream(order: random.Random) -> bytes:
    """Server-sent events, of the service and of others."""
    lines = (b"data: {}\n\n", b'data: {"output":"x"}\n\n', b":\n\n", b"event: error\ndata: a\ndata: b\r\n\r\n", b"id\n")
    return b"".join(order.choice(lines) for _ in range(order.randint(1, 20)))


def read_event_stream(data: bytes, order: random.Random) -> bool:
    """Check that events are the same in one piece, in several, and by the fast path."""
    whole = list(SSEDecoder().feed(data))
    decoder = SSEDecoder()
    parts = [event for chunk in pieces(data, order) for event in decoder.feed(chunk)]
    expect(parts == whole, "wrong bytes", f"pieces of {data!r} are read as {parts}, not as {whole}")
    fast = list(_read_fast(pieces(data, order)))
    expect(fast == whole, "wrong bytes", f"{data!r} is read fast as {fast}, not as {whole}")
    return False


def _read_fast(chunks: Iterator[bytes]) -> Iterator[ServerSentEvent]:
    decoder = SSEDecoder()
    for chunk in chunks:
        for found in decoder.feed_fast(chunk):
            if isinstance(found, list):
                yield from (ServerSentEvent("message", line.decode("utf-8", "replace")) for line in found)
            else:
                yield found


def proxy_head(order: random.Random) -> bytes:
    """The head of a request to the egress proxy."""
    host = order.choice((b"example.org", b"10.0.0.1", b"[::1]", b"a.b.c.", b"xn--bcher-kva.example"))
    port = order.choice((b"", b":80", b":443", b":65535"))
    if order.random() < 1 / 2:
        return b"CONNECT %b%b HTTP/1.1\r\nHost: %b\r\n\r\n" % (host, port, host)
    return b"GET http://%b%b/path?q#f HTTP/1.1\r\nHost: %b\r\nAccept: */*\r\nX: y\r\n\r\n" % (host, port, host)


def read_proxy_head(data: bytes, _order: random.Random) -> bool:
    """Check that a forwarded request has one head and one host, which policies and resolvers read alike."""
    head, mark, _ = data.partition(b"\r\n\r\n")
    if not mark:
        return True  # the proxy would wait for the rest
    try:
        found = proxy_request.parse(head + mark)
    except proxy_request.RefusedError:
        return True
    written = f"[{found.host}]" if ":" in found.host else found.host
    expect(proxy_request.checked_host(written) == found.host, "other", f"{head!r} asks {found.host!r}")
    expect(re.fullmatch(r"[a-z0-9_.:-]+", found.host) is not None, "other", f"{head!r} asks {found.host!r}")
    expect(0 < found.port < 1 << 16, "other", f"{head!r} asks port {found.port}")
    if found.head is not None:
        lines = found.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        hosts = [line for line in lines if line.lower().startswith(b"host:")]
        whole = len(hosts) == 1 and b"" not in lines and not re.search(rb"[\r\n\0]", b"".join(lines))
        expect(whole, "other", f"{head!r} is passed on as {found.head!r}")
    return False


def dockerfile(order: random.Random) -> bytes:
    """A Dockerfile."""
    lines = (
        *(b"FROM debian AS a\n", b"FROM a\n", b"ARG V=1\n", b"ENV A=b C='d e'\n", b"RUN echo $V \\\n  && true\n"),
        *(b"COPY --from=a /x /y\n", b'CMD ["a", "b"]\n', b"WORKDIR /w\n", b"USER 1:2\n", b"# escape=`\n", b"\n"),
        *(b"RUN <<E sh\necho\nE\n", b"ADD --chown=u x.tar /\n", b'SHELL ["/bin/sh", "-c"]\n', b"ONBUILD RUN x\n"),
    )
    return b"FROM debian\n" + b"".join(order.choice(lines) for _ in range(order.randint(1, 12)))


def read_dockerfile(data: bytes, _order: random.Random) -> bool:
    """Check that a Dockerfile is planned, or refused with a message."""
    images: dict[str, Image] = {}
    try:
        instructions = parse_dockerfile(data.decode("utf-8", "surrogateescape"))
        while (stages := _planned(instructions, images)) is None:
            pass
    except InvalidError as error:
        expect(bool(str(error)), "other", f"nothing is said of {data!r}")
        return True
    needed(stages)
    return False


def _planned(instructions: Sequence[Instruction], images: dict[str, Image]) -> Sequence[Stage] | None:
    """The stages; None if a name outside of the Dockerfile had to be found first, as all are here."""
    try:
        return plan(instructions, {}, images)
    except UnknownNameError as error:
        images[error.name] = Image()
        return None


def tar(order: random.Random) -> bytes:
    """An archive with members of all kinds, some of which lead out of it."""
    packed = io.BytesIO()
    names = ("a", "d/b", "d", "../out", "/abs", "d/../../out", "n" * 99, "link", "link/through", "grün\udcff")
    kinds = (tarfile.REGTYPE,) * 4 + (
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
    )
    with tarfile.open(fileobj=packed, mode="w", format=order.choice((0, 1, 2)), errors="surrogateescape") as archive:
        for _ in range(order.randint(1, 8)):
            info = tarfile.TarInfo(order.choice(names))
            info.type, info.mode = order.choice(kinds), order.choice((0o644, 0o4755, 0o2777, 0))
            info.linkname = order.choice(("a", "..", "/etc/passwd", "../out", "d")) if info.type in b"12" else ""
            data = order.randbytes(order.choice((0, 1, 700))) if info.type == tarfile.REGTYPE else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def read_context(data: bytes, order: random.Random) -> bool:
    """Read data as a build context; no member may lead out of it."""
    with tempfile.TemporaryDirectory(prefix="soak-context-") as scratch:
        file = Path(scratch, "archive")
        file.write_bytes(order.choice((bytes, gzip.compress, lzma.compress))(data))
        try:
            with closing(Archive.open(file, Path(scratch), ArchiveLimits(_LIMIT, 1000))) as archive:
                names = archive.tree().names
                archive.digest({name: name for name in names})
                led_out = [name for name in names if name.startswith(("/", "../")) or name == ".."]
                expect(not led_out, "other", f"members lead out: {led_out}")
        except ValueError:
            return True
        finally:
            expect(os.listdir(scratch) == ["archive"], "leaks", "files are left")  # noqa: PTH208 -- names only
    return False


def read_download(data: bytes, order: random.Random) -> bool:
    """Extract data as a download; nothing outside of the target folder may change."""
    with tempfile.TemporaryDirectory(prefix="soak-download-") as folder:
        outside, inside = Path(folder, "out"), Path(folder, "inside")
        outside.write_text("mine")
        inside.mkdir()
        if order.random() < 1 / 2:
            (inside / "link").symlink_to("..")
        zipped = gzip.compress(data)
        refused = False
        try:
            extract(
                io.BytesIO(changed(zipped, order) if order.random() < 1 / 4 else zipped), inside, limits=_EXTRACTION
            )
        except ArchiveError:
            refused = True
        expect(outside.read_text() == "mine", "losses", "a file outside the folder was written to")
        expect(sorted(os.listdir(folder)) == ["inside", "out"], "leaks", "files came beside the folder")  # noqa: PTH208
        for path in inside.rglob("*"):
            mode = path.lstat().st_mode
            usual = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
            expect(usual and not mode & (stat.S_ISUID | stat.S_ISGID), "other", f"{path.name!r} has mode {mode:o}")
    return refused


def listing(order: random.Random) -> bytes:
    """A folder's listing as a devbox prints it, which may contradict itself."""
    names = (b"a", b"a/b", b"a/b/c", b"d", b"d/e", b"../x", b"/abs", b"", b"caf\xe9", b".runloop-x.part", b"n" * 256)
    rows = []
    for _ in range(order.randint(0, 8)):
        kind, flag = order.choice((b"f", b"d", b"d", b"l", b"p")), order.choice((b"+", b"+", b"-"))
        row = (kind, b"3", b"1700000000.5000000000", b"644", b"../t", order.choice(names), flag)
        rows.append(b"\0".join(row) + b"\0")
    return b"".join(rows) + order.choice((b"end\0000\0", b"end\0001\0"))


def read_listing(data: bytes, order: random.Random) -> bool:
    """Check that a listing is a tree of paths below the folder."""
    printed = base64.b64encode(gzip.compress(data, 1))
    try:
        found = parse_listing((changed(printed, order) if order.random() < 1 / 4 else printed).decode("latin-1"))
    except ArchiveError:
        return True
    for path in found.entries:
        parts = path.split("/")
        expect(all(part not in ("", ".", "..") for part in parts), "other", f"{path!r} is no path below a folder")
        above = "/".join(parts[:-1])
        is_in_folder = not above or found.entries[above].kind == "folder"
        expect(is_in_folder, "other", f"{path!r} is in no folder")
    return False


_EXTRACTION = ExtractionLimits(_LIMIT, 1000, 20)
TARGETS: dict[str, tuple[Callable[[random.Random], bytes], Callable[[bytes, random.Random], bool]]] = {
    "frames": (helper_frames, read_helper_frames),
    "events": (event_stream, read_event_stream),
    "proxy requests": (proxy_head, read_proxy_head),
    "Dockerfiles": (dockerfile, read_dockerfile),
    "contexts": (tar, read_context),
    "downloads": (tar, read_download),
    "listings": (listing, read_listing),
}
