"""Addresses of tunnels."""

from __future__ import annotations

from typing import NamedTuple, TypedDict
from urllib.parse import urlsplit

from ._config import is_loopback


class ConnectOptions(TypedDict, total=False):
    """Options of `websockets.connect` that override the host of the URL."""

    host: str
    port: int
    proxy: None


class TunnelAddress(NamedTuple):
    """The URL of a tunnel, and how to connect to it from this machine."""

    url: str
    base_url: str
    """The URL to connect to: that of an embedded service itself, as not every machine resolves `*.localhost`."""
    host: str | None
    """The Host header to send there; None for that of the URL."""

    @property
    def websocket_url(self) -> str:
        """The URL for WebSockets."""
        return "ws" + self.url.removeprefix("http")

    def connect_options(self) -> ConnectOptions:
        """Options for `websockets.connect`; empty if the URL names the host to connect to."""
        parts = urlsplit(self.base_url)
        if self.host is None or parts.hostname is None:
            return {}
        return {"host": parts.hostname, "port": parts.port or 80, "proxy": None}


def tunnel_url(base_url: str, tunnel_key: str, port: int) -> str:
    """The address of a devbox's port: `https://{port}-{key}.tunnel.<domain>`, the API's host less `api.`.

    On this machine every name below `localhost` leads to the embedded service itself, at the service's own port.
    """
    parts = urlsplit(base_url)
    host = "localhost" if is_loopback(parts.hostname) else (parts.hostname or "").removeprefix("api.")
    own_port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{port}-{tunnel_key}.tunnel.{host}{own_port}"


def tunnel_address(base_url: str, tunnel_key: str, port: int) -> TunnelAddress:
    """The address of a devbox's port; connections go to `base_url` if the service is on this machine."""
    url = tunnel_url(base_url, tunnel_key, port)
    if is_loopback(urlsplit(base_url).hostname):
        return TunnelAddress(url, base_url, urlsplit(url).netloc)
    return TunnelAddress(url, url, None)
