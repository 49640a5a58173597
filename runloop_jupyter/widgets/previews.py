"""Previews of files: text, pictures, and a description of anything else."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..text.sizes import spell_size
from .protocol.files import Preview

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox

_TEXT = 256 * 1024  # bytes of a text that are shown
_IMAGE = 8 << 20  # bytes of the largest image that is shown
_SIGNS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


async def preview(devbox: AsyncDevbox, path: str, name: str) -> Preview:
    """Look at a file, of which no more is read than is shown. `path` is no link."""
    found = await devbox.file.stat(path)
    if found.kind != "file":
        raise UsageError(f"{name!r} is no file that can be looked at, but a device, a pipe or a socket.")
    data, mime = await _read(devbox, path)
    size = max(found.size, len(data))
    if mime and size <= _IMAGE:
        return Preview(name, path, size, "image", mime=mime, image=data)
    if mime:
        return Preview(name, path, size, "none", remark=f"An image of {spell_size(size)}: download it to look at it.")
    text = _text(data[:_TEXT], whole=len(data) <= _TEXT)
    if text is None:
        return Preview(name, path, size, "none", remark=f"A binary file of {spell_size(size)}: no text to show.")
    more = f"The first {spell_size(_TEXT)} of {spell_size(size)}." if len(data) > _TEXT else ""
    return Preview(name, path, size, "text", text=text, remark=more or ("An empty file." if not data else ""))


async def _read(devbox: AsyncDevbox, path: str) -> tuple[bytes, str]:
    """The beginning of a file, or all of it if it is an image that is not too large; and the kind of image."""
    data = bytearray()
    async with devbox.file.stream(path=path) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > (_IMAGE if image_type(data, path) else _TEXT):
                break
    return bytes(data), image_type(data, path)


def image_type(data: bytes | bytearray, path: str) -> str:
    """The media type of an image that browsers can show; empty for all else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if path.lower().endswith(".svg") and b"<svg" in data[:4096]:
        return "image/svg+xml"
    return next((mime for sign, mime in _SIGNS.items() if data.startswith(sign)), "")


def _text(data: bytes, *, whole: bool) -> str | None:
    """The bytes as UTF-8; None if they are something else."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
