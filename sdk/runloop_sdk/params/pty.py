"""Parameters of operations on terminals."""

from __future__ import annotations

from typing import Literal, TypedDict

from ._options import LongRequestOptions, RequestOptions


class PtyHost(TypedDict, total=False):
    """The address of the terminal; by default the client's base URL, with its key."""

    base_url: str | None
    """The URL of the devbox's PTY tunnel. The API key is never sent there."""
    auth_token: str | None
    """The tunnel's token."""


class PtyConnectParams(RequestOptions, PtyHost, total=False):
    """The size of the terminal in characters, 1 to 1000; both or none."""

    cols: int | None
    rows: int | None


class PtyControlParams(LongRequestOptions, PtyHost, total=False):
    """The action: `resize` to `cols` and `rows`, send a `signal` (like SIGINT) by its name, or `close`."""

    action: Literal["resize", "signal", "close"] | None
    cols: int | None
    rows: int | None
    signal: str | None
