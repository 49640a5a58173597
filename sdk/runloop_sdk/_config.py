"""The settings of a client: the address of the API, the key, timeouts and retries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ._errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.runloop.ai"
DEFAULT_MAX_RETRIES = 5
DEFAULT_TIMEOUT = 30.0
"""Seconds for an ordinary request; connecting may take `CONNECT_TIMEOUT` of them."""
LONG_TIMEOUT = 600.0
"""Seconds between two pieces of the response to commands and file transfers."""
CONNECT_TIMEOUT = 5.0
STREAM_TIMEOUT = 60.0
"""Seconds of silence after which a stream of events is requested again, or raises where it is not resumed."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
"""The default of parameters that are mappings."""


class ClientConfig(NamedTuple):
    """The complete and validated settings of one client."""

    base_url: str
    bearer_token: str
    timeout: float | None = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_MAX_RETRIES
    headers: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING
    stream_timeout: float = STREAM_TIMEOUT

    def __repr__(self) -> str:
        return f"<ClientConfig of {self.base_url}>"  # not the key, which headers and query may have, too

    @property
    def loopback(self) -> bool:
        """True if the API is served on this machine."""
        return is_loopback(urlsplit(self.base_url).hostname)


def resolve_config(
    *,
    bearer_token: str | None = None,
    base_url: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    max_retries: int = DEFAULT_MAX_RETRIES,
    default_headers: Mapping[str, str] | None = None,
    default_query: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ClientConfig:
    """The settings from arguments, else from RUNLOOP_API_KEY, RUNLOOP_BASE_URL and RUNLOOP_CUSTOM_HEADERS."""
    _check_types(bearer_token=bearer_token, base_url=base_url, timeout=timeout, max_retries=max_retries)
    token = bearer_token or environ.get("RUNLOOP_API_KEY")
    if not token:
        raise ConfigurationError("No API key: set the environment variable RUNLOOP_API_KEY, or pass bearer_token=.")
    if max_retries < 0:
        raise ConfigurationError(f"max_retries is {max_retries}; it must be 0 or more.")
    return ClientConfig(
        base_url=_checked_url(base_url or environ.get("RUNLOOP_BASE_URL") or DEFAULT_BASE_URL),
        bearer_token=token.strip(),
        timeout=timeout,
        max_retries=max_retries,
        headers={**_custom_headers(environ.get("RUNLOOP_CUSTOM_HEADERS", "")), **(default_headers or {})},
        query=dict(default_query or {}),
        stream_timeout=STREAM_TIMEOUT,
    )


def is_loopback(host: str | None) -> bool:
    """True for a host name that always means this machine."""
    return host in ("127.0.0.1", "localhost", "::1")


_TYPES: dict[str, tuple[type, ...]] = {
    "bearer_token": (str,),
    "base_url": (str,),
    "timeout": (float, int),
    "max_retries": (int,),
}


def _check_types(**given: object) -> None:
    for name, value in given.items():
        if value is not None and (not isinstance(value, _TYPES[name]) or isinstance(value, bool)):
            words = " or ".join(each.__name__ for each in _TYPES[name])
            raise ConfigurationError(f"{name} takes {words}, not {type(value).__name__}.")


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:  # httpx would send it in place of the key
        raise ConfigurationError(
            "The base URL has a user name or a password in it: leave that out, the key is RUNLOOP_API_KEY."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is no base URL: write it like {DEFAULT_BASE_URL} (RUNLOOP_BASE_URL).")
    return url.rstrip("/")


def _custom_headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
