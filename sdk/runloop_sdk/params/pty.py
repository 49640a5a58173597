"""What operations on terminals take."""

from __future__ import annotations

from typing import Literal, TypedDict

from ._options import LongRequestOptions, RequestOptions


class PtyHost(TypedDict, total=False):
    """Where the terminal is served; by default the client's own base URL, with its key."""

    base_url: str | None
    """The URL of the devbox's PTY tunnel. The API key is never sent there."""
    auth_token: str | None
    """The tunnel's token."""


class PtyConnectParams(RequestOptions, PtyHost, total=False):
    """The terminal's size in characters, 1 to 1000; both or none."""

    cols: int | None
    rows: int | None


class PtyControlParams(LongRequestOptions, PtyHost, total=False):
    """What to do: `resize` to `cols` and `rows`, send the `signal` of this name (like SIGINT), or `close`."""

    action: Literal["resize", "signal", "close"] | None
    cols: int | None
    rows: int | None
    signal: str | None
