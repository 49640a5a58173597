"""The service that the notebook talks to: Runloop's cloud, a service of the user's choice, or the embedded one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import UsageError

CLOUD_URL = "https://api.runloop.ai"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of a service, its key, and its isolation, which is None if the service does not tell it."""

    base_url: str
    api_key: str = field(repr=False)  # never in a repr, a log or a traceback
    embedded: bool = False
    isolation: str | None = None
    notes: tuple[str, ...] = ()
    requested: str = "auto"
    """The isolation that was requested from the embedded service."""
    image: str = ""
    """The image of the embedded service's devboxes that name no disk; empty for this machine's own userland."""
    engine: str = ""
    """The container engine that the embedded service runs in; empty if it runs on this machine itself."""
    home: str = ""
    """The folder of the embedded service, whose address changes with every start."""

    @property
    def service(self) -> str:
        """The identity of the service and its data: its address, or the folder of the embedded one."""
        return self.home or self.base_url

    @property
    def loopback(self) -> bool:
        """True if the service is on this machine."""
        return urlsplit(self.base_url).hostname in _LOOPBACK

    @property
    def may_monitor_kernels(self) -> bool:
        """True if it may be a `runloop-local` that shares this machine's files: those speak plain HTTP."""
        return urlsplit(self.base_url).scheme == "http"

    @property
    def label(self) -> str:
        """The name of the service in a sentence."""
        if self.embedded:
            return "the embedded service on this machine"
        if self.loopback:
            return f"the service at {self.base_url}"
        return f"Runloop at {self.base_url}"

    @property
    def greeting(self) -> tuple[str, ...]:
        """The lines to show when the service is used for the first time."""
        if not self.embedded:
            return ()
        where, userland = "", "this machine's own userland"
        if self.engine:
            where, userland = f", in a container of {self.engine}", "the container's userland"
        disk = f"the image {self.image}" if self.image else userland
        first = (
            f"Using the embedded service on this machine{where} (isolation: {self.isolation}). "
            f"Its devboxes have {disk}. Set RUNLOOP_API_KEY to use Runloop's cloud."
        )
        return (first, *self.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about weak isolation; empty with full isolation."""
        if self.isolation in (None, "namespaces"):
            return ()
        return self.notes or (
            "Commands run without full isolation: they can reach files and processes of this machine.",
        )


def from_environment(environ: Mapping[str, str]) -> Connection | None:
    """The service that RUNLOOP_API_KEY and RUNLOOP_BASE_URL name; None stands for the embedded one."""
    key, url = environ.get("RUNLOOP_API_KEY", "").strip(), environ.get("RUNLOOP_BASE_URL", "").strip()
    if url:
        url = checked_url(url, f"RUNLOOP_BASE_URL is {url!r}, which", "RUNLOOP_BASE_URL")
    if url and not key:
        raise UsageError(
            f"RUNLOOP_BASE_URL is {url}, but RUNLOOP_API_KEY is not set: set both, or neither for the embedded service."
        )
    return Connection(url or CLOUD_URL, key) if key else None


def checked_url(url: str, what: str, name: str = "The URL") -> str:
    """Check the URL of a service. Raises `UsageError`; `what` begins its message that this is not a URL.

    `name` is the variable's or option's name, for a URL with a password, which must not be shown.
    """
    if "@" in url.partition("//")[2].partition("/")[0]:  # would be shown with the URL, and sent instead of the key
        raise UsageError(f"{name} has a user name or a password in it: leave that out, the key is RUNLOOP_API_KEY.")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port is not a number, or an IPv6 address is incomplete
        good = False
    if not good:
        raise UsageError(f"{what} is not a URL: write it like {CLOUD_URL}.")
    return url.rstrip("/")
