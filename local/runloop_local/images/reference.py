"""Names of images, as Docker reads them: `python:3.12-slim`, `ghcr.io/org/x@sha256:...`, `oci-archive:x.tar`."""

from __future__ import annotations

import re
from typing import Literal, cast, get_args

import msgspec

from runloop_local.images.errors import ImageError

Transport = Literal["registry", "docker-daemon", "podman", "oci", "oci-archive", "docker-archive"]
"""Where an image comes from: a registry, an engine on this machine, or a folder or archive."""

DOCKER_HUB = "docker.io"
_OFFICIAL = "library/"
_FILES = ("oci", "oci-archive", "docker-archive")
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_NAME = 255


class Reference(msgspec.Struct, frozen=True):
    """The full name of an image; equal for texts of the same meaning, as `python` and `docker.io/library/python`."""

    transport: Transport
    name: str
    """`docker.io/library/python`; for a folder or an archive its path."""
    tag: str | None = None
    """None if there is a digest, which says more, or if a folder or archive has one image only."""
    digest: str | None = None
    """The digest of a manifest or of an index: `sha256:...`."""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference; raises ImageError if it is none."""
        transport, found, rest = text.partition(":")
        if found and transport in get_args(Transport):
            of_file = transport in _FILES
            return (_parse_file if of_file else _parse_name)(text, cast("Transport", transport), rest)
        return _parse_name(text, "registry", text.removeprefix("docker://"))

    @property
    def registry(self) -> str:
        """The registry's host, with its port if it has one."""
        return self.name.partition("/")[0]

    @property
    def repository(self) -> str:
        """The name in the registry."""
        return self.name.partition("/")[2]

    def __str__(self) -> str:
        """The short form, which `parse` reads."""
        name = self.name
        if self.transport not in _FILES:
            name = name.removeprefix(f"{DOCKER_HUB}/").removeprefix(_OFFICIAL)
            if name.partition("/")[0] == "" or _is_host(name.partition("/")[0]):
                name = self.name
        of = "" if self.transport == "registry" else f"{self.transport}:"
        return of + name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _parse_name(text: str, transport: Transport, rest: str) -> Reference:
    rest, _, digest = rest.partition("@")
    name, tag = _split_tag(rest)
    host, path = _split_host(name)
    path = f"{_OFFICIAL}{path}" if host == DOCKER_HUB and "/" not in path else path
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise ImageError(f"{text!r} does not end with a digest: write @sha256: and 64 digits of 0 to 9 and a to f.")
    if tag is not None and not _TAG.fullmatch(tag):
        raise ImageError(f"{text!r} is no image: {tag!r} is no tag, which has letters, digits, '_', '.' and '-'.")
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        raise ImageError(f"{text!r} is no image: names are written in lower case, {path.lower()!r}.")
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(path) or len(f"{host}/{path}") > _MAX_NAME:
        raise ImageError(f"{text!r} is no image: write a name as in python:3.12-slim or ghcr.io/org/name:tag.")
    if digest:
        return Reference(transport, f"{host}/{path}", None, digest)
    return Reference(transport, f"{host}/{path}", tag or "latest")


def _split_tag(name: str) -> tuple[str, str | None]:
    """The name and its tag; a colon before the last slash begins a port."""
    before, colon, tag = name.rpartition(":")
    return (before, tag) if colon and "/" not in tag else (name, None)


def _split_host(name: str) -> tuple[str, str]:
    """The registry and the rest. As in Docker, a first part is a host if it cannot be the name of an account."""
    first, slash, rest = name.partition("/")
    if not slash or not _is_host(first):
        return DOCKER_HUB, name
    return DOCKER_HUB if first in _HUB_NAMES else first, rest


def _is_host(first: str) -> bool:
    return first == "localhost" or any(character in first for character in ".:[") or first != first.lower()


def _parse_file(text: str, transport: Transport, rest: str) -> Reference:
    """Read `oci:PATH`, `oci:PATH:TAG` and so on, as skopeo does: a path has no colon."""
    path, _, tag = rest.partition(":")
    if not path or "\0" in path:
        raise ImageError(f"{text!r} names no file: write {transport}:/path, or {transport}:/path:tag for one of many.")
    return Reference(transport, path, tag or None)
