"""Which Runloop the notebook talks to: the cloud, a service of the user's choice, or the embedded one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import UsageError

CLOUD_URL = "https://api.runloop.ai"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API is and how it isolates devboxes. `isolation` is None where the service does not say."""

    base_url: str
    api_key: str = field(repr=False)
    embedded: bool = False
    isolation: str | None = None
    notes: tuple[str, ...] = ()
    requested: str = "auto"
    """The isolation that the embedded service was asked for."""
    home: str = ""
    """The folder of the embedded service, which is at another address after each start."""

    @property
    def service(self) -> str:
        """What tells services apart for as long as they have their data: the address, or the embedded one's folder."""
        return self.home or self.base_url

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.base_url).hostname in _LOOPBACK

    @property
    def may_monitor_kernels(self) -> bool:
        """Whether it may be a service that shares this machine's files: one of ours speaks plain HTTP."""
        return urlsplit(self.base_url).scheme == "http"

    @property
    def label(self) -> str:
        """What to call it in a sentence."""
        if self.embedded:
            return "the embedded service on this machine"
        if self.loopback:
            return f"the service at {self.base_url}"
        return f"Runloop at {self.base_url}"

    @property
    def greeting(self) -> tuple[str, ...]:
        """What to say when it is used for the first time."""
        if not self.embedded:
            return ()
        first = (
            f"Using the embedded service on this machine (isolation: {self.isolation}). "
            "Set RUNLOOP_API_KEY to use Runloop's cloud."
        )
        return (first, *self.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know about weak isolation; empty with full isolation."""
        if self.isolation in (None, "namespaces"):
            return ()
        return self.notes or (
            "Commands run without full isolation: they can reach files and processes of this machine.",
        )


def from_environment(environ: Mapping[str, str]) -> Connection | None:
    """The service that RUNLOOP_API_KEY and RUNLOOP_BASE_URL name; None asks for the embedded one."""
    key, url = environ.get("RUNLOOP_API_KEY", "").strip(), environ.get("RUNLOOP_BASE_URL", "").strip()
    if url:
        url = checked_url(url, f"RUNLOOP_BASE_URL is {url!r}, which", "RUNLOOP_BASE_URL")
    if url and not key:
        raise UsageError(
            f"RUNLOOP_BASE_URL is {url}, but RUNLOOP_API_KEY is not set: set both, or neither for the embedded service."
        )
    return Connection(url or CLOUD_URL, key) if key else None


def checked_url(url: str, what: str, name: str = "The URL") -> str:
    """The URL of a service. Raises `UsageError`: about `what` that it is none, about `name` that it has a password."""
    if "@" in url.partition("//")[2].partition("/")[0]:  # shown with the URL, and sent in place of the key
        raise UsageError(f"{name} has a user name or a password in it: leave that out, the key is RUNLOOP_API_KEY.")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        good = False
    if not good:
        raise UsageError(f"{what} is not a URL: write it like {CLOUD_URL}.")
    return url.rstrip("/")
