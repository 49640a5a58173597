"""The messages of a file browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

from . import common
from .message import Event, Protocol, Request


class Entry(NamedTuple):
    """One entry of a folder; `size` is in bytes, `changed` in milliseconds since 1970, `target` where a link points."""

    name: str
    kind: str
    size: int
    changed: int
    target: str


class Transfer(TypedDict):
    """A file on its way: bytes `received` from the page, and `done` of `total` moved since; `total` is 0 if unknown."""

    key: str
    name: str
    doing: str
    done: int
    total: int
    received: int


@dataclass(frozen=True, slots=True)
class Hello(common.Hello):
    """As every widget's."""


@dataclass(frozen=True, slots=True)
class OpenFolder(Request):
    """Show a folder: a path, absolute, from the folder that is shown, or from `~`."""

    path: str


@dataclass(frozen=True, slots=True)
class OpenEntry(Request):
    """Open an entry of the folder that is shown: a folder, or a preview of a file."""

    name: str


@dataclass(frozen=True, slots=True)
class ClosePreview(Request):
    """Close the preview."""


@dataclass(frozen=True, slots=True)
class MakeFolder(Request):
    """Make a folder in the one that is shown."""

    name: str


@dataclass(frozen=True, slots=True)
class Remove(Request):
    """Delete an entry, with all that it has."""

    name: str


@dataclass(frozen=True, slots=True)
class Download(Request):
    """Download an entry beside the notebook; the page calls the transfer `key`."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Upload(Request):
    """A file of `size` bytes is to come into the folder that is shown; one of this name is kept without `replace`."""

    key: str
    name: str
    size: int
    replace: bool = False


@dataclass(frozen=True, slots=True)
class UploadPart(Request):
    """The next piece of a file."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class UploadEnd(Request):
    """All of a file was sent."""

    key: str


@dataclass(frozen=True, slots=True)
class Cancel(Request):
    """End a transfer."""

    key: str


@dataclass(frozen=True, slots=True)
class Listing(Event):
    """The folder that is shown, `path` empty before the first; `more` of its entries are left out."""

    path: str
    entries: Sequence[Entry]
    more: int


@dataclass(frozen=True, slots=True)
class Preview(Event):
    """A file as it is shown beside the folder; `remark` says what is not shown, `image` are the bytes of an image."""

    name: str
    path: str
    size: int
    kind: Literal["text", "image", "none"]
    text: str = ""
    mime: str = ""
    remark: str = ""
    image: bytes = b""


@dataclass(frozen=True, slots=True)
class PreviewClosed(Event):
    """No preview is shown."""


@dataclass(frozen=True, slots=True)
class Busy(Event):
    """Something was asked for and is not there yet, or no more."""

    on: bool


@dataclass(frozen=True, slots=True)
class Told(Event):
    """A sentence about what was done."""

    text: str


@dataclass(frozen=True, slots=True)
class FolderMade(Event):
    """The folder was made."""

    name: str


@dataclass(frozen=True, slots=True)
class UploadExists(Event):
    """There is a file of this name: the page asks whether it is to be replaced."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class UploadWanted(Event):
    """The kernel waits for the pieces of this file."""

    key: str


@dataclass(frozen=True, slots=True)
class Transfers(Event):
    """All transfers, as they are now."""

    transfers: Sequence[Transfer]


PROTOCOL = Protocol(
    "files",
    (
        Hello,
        *common.REQUESTS,
        OpenFolder,
        OpenEntry,
        ClosePreview,
        MakeFolder,
        Remove,
        Download,
        Upload,
        UploadPart,
        UploadEnd,
        Cancel,
    ),
    (
        *common.EVENTS,
        Listing,
        Preview,
        PreviewClosed,
        Busy,
        Told,
        FolderMade,
        UploadExists,
        UploadWanted,
        Transfers,
    ),
)
