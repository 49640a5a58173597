"""The addresses at which an image's registry, and its mirrors, are asked."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runloop_local.images.errors import SourceError
from runloop_local.images.reference import DOCKER_HUB

if TYPE_CHECKING:
    from runloop_local.images.reference import Reference
    from runloop_local.registry_settings import RegistrySettings

_HUB_HOST = "registry-1.docker.io"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry's address."""

    host: str
    """With its port, if it has one; credentials are looked up by it."""
    url: str
    """Without a scheme, if both https and http are to be tried."""
    is_verified: bool = True
    """False if any certificate is accepted."""
    repository: str = ""
    """The repository's name there."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses to try, the safer one first."""
        return (self.url,) if "://" in self.url else (f"https://{self.url}", f"http://{self.url}")


def endpoints(reference: Reference, settings: RegistrySettings) -> tuple[Endpoint, ...]:
    """Where to ask for an image: its mirrors, then its registry."""
    mirrors = settings.mirrors.get(reference.registry, ())
    found = [_mirror(address, reference.repository, settings) for address in mirrors]
    host = _HUB_HOST if reference.registry == DOCKER_HUB else reference.registry
    return (*found, _endpoint(reference.registry, host, "", reference.repository, settings))


def _mirror(address: str, repository: str, settings: RegistrySettings) -> Endpoint:
    scheme, found, rest = address.partition("://")
    host, slash, path = (rest if found else address).rstrip("/").partition("/")
    if (found and scheme not in ("http", "https")) or not host or "@" in host or not _PREFIX.fullmatch(slash + path):
        raise SourceError(f"the mirror {address!r} in the settings is no address: write host:port or https://host/path")
    return _endpoint(host, host, scheme if found else "", f"{path}/{repository}" if path else repository, settings)


def _endpoint(name: str, host: str, scheme: str, repository: str, settings: RegistrySettings) -> Endpoint:
    insecure = name in settings.insecure or host.partition(":")[0] in settings.insecure or is_loopback(host)
    scheme = scheme or ("" if insecure else "https")
    return Endpoint(name, f"{scheme}://{host}" if scheme else host, not insecure, repository)


def is_loopback(host: str) -> bool:
    """True for a host, with or without a port, on this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
