"""Manifests, indexes and configurations of images, by Docker's and OCI's formats, as anyone may have written them."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from runloop_local.images.errors import NotThereError, SourceError, WrongDigestError
from runloop_local.images.image import ImageConfig
from runloop_local.validation import located

MAX_DOCUMENT = 8 << 20
"""The limit for a manifest, an index or a configuration."""
MAX_LAYERS = 200
"""The limit for the layers of an image: their names must fit into the options of a mount."""
_DOCKER = "application/vnd.docker.distribution.manifest"
_OCI = "application/vnd.oci.image"
INDEXES = (f"{_DOCKER}.list.v2+json", f"{_OCI}.index.v1+json")
MANIFESTS = (f"{_DOCKER}.v2+json", f"{_OCI}.manifest.v1+json")
CONFIGS = ("application/vnd.docker.container.image.v1+json", f"{_OCI}.config.v1+json")
ACCEPTED = ", ".join((*MANIFESTS, *INDEXES))
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
_VARIANTS = {"x86_64": ("", "v1"), "aarch64": ("v8",), "armv7l": ("v7", "v6", "v5"), "armv6l": ("v6", "v5")}
"""The variants of an architecture that a machine runs, best first; also those that an image does not name."""
_MOST_SHOWN = 12


Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    """What Docker and OCI name by camel case."""


class Platform(_Document, frozen=True):
    """What an image runs on."""

    architecture: str = ""
    os: str = ""
    variant: str | None = None

    def __str__(self) -> str:
        """As `docker --platform` has it."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(_Document, frozen=True, kw_only=True):
    """Names a blob or a manifest by its digest."""

    digest: Digest
    media_type: str = ""
    size: Annotated[int, Meta(ge=0)]
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Manifest(_Document, frozen=True, kw_only=True):
    """One image: its configuration and its layers, lowest first."""

    media_type: str = ""
    config: Descriptor
    layers: Annotated[Sequence[Descriptor], Meta(max_length=MAX_LAYERS)]


class Index(_Document, frozen=True, kw_only=True):
    """Several manifests, of an image for several platforms or of several images."""

    media_type: str = ""
    manifests: Annotated[Sequence[Descriptor], Meta(max_length=10_000)]


class _RootFS(msgspec.Struct, frozen=True):
    diff_ids: Annotated[Sequence[Digest], Meta(max_length=MAX_LAYERS)] = ()


class _Settings(msgspec.Struct, frozen=True, rename="pascal"):
    """The `config` of a configuration; each field may be null."""

    env: Sequence[str] | None = None
    user: str | None = None
    working_dir: str | None = None
    shell: Sequence[str] | None = None
    entrypoint: Sequence[str] | None = None
    cmd: Sequence[str] | None = None
    labels: dict[str, str] | None = None
    on_build: Sequence[str] | None = None


class _Configuration(msgspec.Struct, frozen=True, kw_only=True):
    architecture: str = ""
    os: str = ""
    variant: str | None = None
    config: _Settings | None = None
    rootfs: _RootFS


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration, and the digests of the uncompressed layers, lowest first."""

    image: ImageConfig
    platform: Platform
    diff_ids: tuple[str, ...]


_Model = TypeVar("_Model", bound=msgspec.Struct)


def read_manifest(content: bytes) -> Manifest | Index:
    """Read a manifest or an index; raises SourceError for anything else."""
    head = _read(_Head, content, "its manifest")
    if head.manifests is not None:
        return _read(Index, content, "its index")
    if head.schema_version == 1:
        raise SourceError("it has a manifest of Docker's first format, which was given up in 2017: push it again")
    manifest = _read(Manifest, content, "its manifest")
    if manifest.config.media_type not in CONFIGS:
        raise SourceError(
            f"it is no image of a container, but {_short(manifest.config.media_type) or 'something else'}"
        )
    for layer in manifest.layers:
        if "encrypted" in layer.media_type:
            raise SourceError(f"its layer {layer.digest} is encrypted")
    return manifest


class _Head(_Document, frozen=True):
    schema_version: int | None = None
    manifests: Sequence[object] | None = None


def read_configuration(content: bytes, layers: int) -> Configuration:
    """Read the configuration of an image with this many layers; raises SourceError."""
    found = _read(_Configuration, content, "its configuration")
    if len(found.rootfs.diff_ids) != layers:
        raise SourceError(f"its manifest has {layers} layers, and its configuration {len(found.rootfs.diff_ids)}")
    said = found.config or _Settings()
    _refuse_nul(said)
    image = ImageConfig(
        # What is no variable is left out, as container engines do.
        env={
            name: value for name, is_set, value in (text.partition("=") for text in said.env or ()) if name and is_set
        },
        user=said.user or "",
        working_dir=said.working_dir or "",
        shell=tuple(said.shell or ()),
        entrypoint=tuple(said.entrypoint or ()),
        cmd=tuple(said.cmd or ()),
        labels=said.labels or {},
        architecture=found.architecture,
        os=found.os,
        onbuild=tuple(said.on_build or ()),
    )
    on = Platform(architecture=found.architecture, os=found.os, variant=found.variant)
    return Configuration(image, on, tuple(found.rootfs.diff_ids))


def _refuse_nul(said: _Settings) -> None:
    """Raise SourceError for a text that no program can be given."""
    lists = (said.env, said.shell, said.entrypoint, said.cmd, said.on_build)
    texts = [text for each in lists for text in each or ()]
    if any("\0" in text for text in (said.user or "", said.working_dir or "", *texts)):
        raise SourceError("its configuration is wrong: it has a text with a NUL character")


def _read(model: type[_Model], content: bytes, what: str) -> _Model:
    try:
        return msgspec.json.decode(content, type=model, strict=False)
    except RecursionError:
        raise SourceError(f"{what} is wrong: it is nested too deeply") from None
    except msgspec.DecodeError as error:
        where, reason = located(error)
        if "matching regex" in reason:
            reason = "is no sha256 digest"  # as no other text has a pattern
        raise SourceError(f"{what} is wrong: {f'{_short(where)}: ' if where else ''}{reason}") from None


def _short(text: str) -> str:
    printable = "".join(character for character in text if character.isprintable())
    return printable if len(printable) <= 100 else f"{printable[:100]}..."


def this_platform(machine: str | None = None) -> tuple[Platform, ...]:
    """The platforms whose images run on this machine, best first."""
    name = machine or platform.machine()
    architecture = _MACHINES.get(name, name)
    variants = _VARIANTS.get(name, ("",))
    return tuple(Platform(os="linux", architecture=architecture, variant=variant or None) for variant in variants)


def choose(index: Index, wanted: Sequence[Platform]) -> Descriptor:
    """The manifest of an index that fits this machine best; raises NotThereError if none does."""
    for platform_wanted in wanted:
        for found in index.manifests:
            if found.platform is not None and fits(found.platform, platform_wanted):
                return found
    if len(index.manifests) == 1 and index.manifests[0].platform is None:  # an archive of one image names none
        return index.manifests[0]
    raise NotThereError(f"it has no image for {wanted[0]}{_what_it_has(index)}")


def _what_it_has(index: Index) -> str:
    known = [str(found.platform) for found in index.manifests if found.platform is not None]
    real = sorted({_short(name) for name in known if "unknown" not in name})[:_MOST_SHOWN]
    return f", only for {', '.join(real)}" if real else ""


def fits(found: Platform, wanted: Platform) -> bool:
    """True if an image for `found` runs where `wanted` is; one that says nothing does."""
    if found.os not in ("", wanted.os) or found.architecture not in ("", wanted.architecture):
        return False
    return not found.variant or found.variant == wanted.variant


def check(content: bytes, digest: str, what: str) -> bytes:
    """The content, if it has this digest; raises WrongDigestError."""
    found = digest_of(content)
    if found != digest:
        raise WrongDigestError(f"{what} should be {digest}, but what came is {found}")
    return content


def digest_of(content: bytes) -> str:
    """The digest of a document."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def chain_names(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """The ChainID of each layer, lowest first: the digest of it and all below, so that a folder stands on the right."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
