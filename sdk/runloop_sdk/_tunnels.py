"""Where tunnels are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

from ._config import is_loopback


class Reached(TypedDict, total=False):
    """Where to connect to instead of the URL's own host."""

    host: str
    port: int
    proxy: None


@dataclass(frozen=True, slots=True)
class TunnelAddress:
    """A tunnel, and how to reach it from here."""

    url: str
    base_url: str
    """What to connect to: the embedded service itself, as not every machine knows names below `localhost`."""
    host: str | None
    """The Host header that must be sent there; None where it is the URL's own."""

    @property
    def websocket_url(self) -> str:
        """The same for WebSockets."""
        return "ws" + self.url.removeprefix("http")

    def reached_at(self) -> Reached:
        """The connection's own end, where that is not what the URL names."""
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
    """The same with the way there, which is `base_url` for a service on this machine."""
    url = tunnel_url(base_url, tunnel_key, port)
    if is_loopback(urlsplit(base_url).hostname):
        return TunnelAddress(url, base_url, urlsplit(url).netloc)
    return TunnelAddress(url, url, None)
