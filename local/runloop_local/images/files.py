"""Reads images from OCI layouts and from what `docker save` and `podman save` write, as folders or as tar archives."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from runloop_local.images import manifest
from runloop_local.images.errors import NotThereError, SourceError
from runloop_local.images.manifest import CONFIGS, MANIFESTS, MAX_DOCUMENT, Descriptor, Index
from runloop_local.images.source import Blob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_MEMBERS = 100_000
_MAX_LINKS = 8
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


class Files(Protocol):
    """The files of a layout, by name."""

    def open(self, name: str) -> Blob | None:
        """A regular file; None if there is none."""
        ...


class FolderFiles:
    """Files of a folder, in which links are not followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> Blob | None:
        """A regular file of the folder."""
        path = self._folder / name
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Blob(path, 0, found.st_size) if stat.S_ISREG(found.st_mode) else None


class TarFiles:
    """Files of an uncompressed tar archive, which are read where they lie."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                for count, member in enumerate(archive):
                    if count >= _MAX_MEMBERS:
                        raise SourceError(f"{path} has more than {_MAX_MEMBERS:,} files")
                    self._members[os.path.normpath(member.name)] = member
        except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
            raise SourceError(f"{path} is no tar archive that can be read: {error}") from error

    def open(self, name: str) -> Blob | None:
        """A regular file of the archive; links, which older archives have for layers, are followed within it."""
        name = os.path.normpath(name)
        for _ in range(_MAX_LINKS):
            member = self._members.get(name)
            if member is None or not (member.issym() or member.islnk()):
                break
            name = member.linkname if member.islnk() else os.path.join(os.path.dirname(name), member.linkname)  # noqa: PTH118, PTH120 - names in an archive
            name = os.path.normpath(name)
        return Blob(self._path, member.offset_data, member.size) if member is not None and member.isreg() else None


def read(blob: Blob, what: str) -> bytes:
    """The content of a small file."""
    if blob.size > MAX_DOCUMENT:
        raise SourceError(f"{what} is larger than {MAX_DOCUMENT >> 20} MB")
    with blob.path.open("rb") as file:
        file.seek(blob.offset)
        return file.read(blob.size)


class LayoutSource:
    """One image of an OCI layout."""

    def __init__(self, files: Files, where: str, tag: str | None) -> None:
        self._files = files
        self._where = where
        self._tag = tag

    async def top(self, known: str | None) -> bytes | None:
        """The manifest or index of the tag, or the only one."""
        content = await asyncio.to_thread(self._read, "index.json", "its index")
        index = manifest.read_manifest(content)
        if not isinstance(index, Index):
            raise SourceError(f"{self._where} has an index.json that is no index")
        wanted = chosen(index, self._tag, self._where)
        return None if wanted.digest == known else await self.document(wanted)

    async def document(self, wanted: Descriptor) -> bytes:
        """A manifest or a configuration."""
        content = await asyncio.to_thread(self._read, _blob_name(wanted), wanted.digest)
        return manifest.check(content, wanted.digest, f"a document of {self._where}")

    def _read(self, name: str, what: str) -> bytes:
        found = self._files.open(name)
        if found is None:
            raise NotThereError(f"{self._where} has no {name}")
        return read(found, what)

    async def blob(self, wanted: Descriptor) -> Blob:
        """A layer, where it lies."""
        found = await asyncio.to_thread(self._files.open, _blob_name(wanted))
        if found is None:
            raise NotThereError(f"{self._where} does not have its layer {wanted.digest}")
        return found


def chosen(index: Index, tag: str | None, where: str) -> Descriptor:
    """The image of a layout with this name, or the only one; raises NotThereError."""
    named = {name: found for found in index.manifests for key in _NAMES if (name := (found.annotations or {}).get(key))}
    if tag is not None and tag in named:
        return named[tag]
    if tag is None and len(index.manifests) == 1:
        return index.manifests[0]
    has = f"it has {', '.join(sorted(named)[:12])}" if named else f"it has {len(index.manifests)} without a name"
    raise NotThereError(f"{where} has no image {tag}: {has}" if tag else f"{where} has several images: {has}")


def _blob_name(wanted: Descriptor) -> str:
    return f"blobs/{wanted.digest.replace(':', '/')}"


class _Saved(msgspec.Struct, kw_only=True):
    Config: str
    RepoTags: list[str] | None = None
    Layers: list[str]


@dataclass(frozen=True, slots=True)
class SavedSource:
    """One image of an archive as `docker save` wrote it before Docker 25, and as `podman save` does by default.

    It has no manifest: one is made of its configuration, whose digests of uncompressed layers are those of its files.
    """

    files: Files
    layers: Mapping[str, str]
    """Names of files by digest."""
    documents: Mapping[str, bytes]
    manifest: bytes

    @classmethod
    def open(cls, files: Files, where: str, tag: str | None) -> SavedSource:
        """Read the archive's list of images; blocks. Raises SourceError."""
        saved = _choose_saved(_read_saved(files, where), tag, where)
        config_file = files.open(saved.Config)
        if config_file is None:
            raise NotThereError(f"{where} has no {saved.Config}")
        config = read(config_file, "its configuration")
        diff_ids = manifest.read_configuration(config, len(saved.Layers)).diff_ids
        blobs = [files.open(name) for name in saved.Layers]
        sizes = [0 if blob is None else blob.size for blob in blobs]
        made = _manifest_of(config, list(zip(diff_ids, sizes, strict=True)))
        layers = dict(zip(diff_ids, saved.Layers, strict=True))
        return cls(files, layers, {manifest.digest_of(config): config}, made)

    async def top(self, known: str | None) -> bytes | None:
        """The manifest."""
        return None if manifest.digest_of(self.manifest) == known else self.manifest

    async def document(self, wanted: Descriptor) -> bytes:
        """The configuration."""
        return self.documents[wanted.digest]

    async def blob(self, wanted: Descriptor) -> Blob:
        """A layer, where it lies."""
        found = await asyncio.to_thread(self.files.open, self.layers[wanted.digest])
        if found is None:
            raise NotThereError(f"the archive does not have its layer {self.layers[wanted.digest]}")
        return found


def _read_saved(files: Files, where: str) -> list[_Saved]:
    found = files.open("manifest.json")
    if found is None:
        raise SourceError(f"{where} is neither an OCI layout nor what docker save writes")
    try:
        return msgspec.json.decode(read(found, "its list of images"), type=list[_Saved])
    except (msgspec.DecodeError, RecursionError):
        raise SourceError(f"{where} has a manifest.json that is wrong") from None


def _choose_saved(saved: Sequence[_Saved], tag: str | None, where: str) -> _Saved:
    if tag is None and len(saved) == 1:
        return saved[0]
    for each in saved:
        if any(tag in (name, name.rpartition(":")[2]) for name in each.RepoTags or ()):
            return each
    names = sorted(name for each in saved for name in each.RepoTags or ())[:12]
    has = f"it has {', '.join(names) or 'none with a name'}"
    raise NotThereError(f"{where} has no image {tag}: {has}" if tag else f"{where} has several images: {has}")


def _manifest_of(config: bytes, layers: Sequence[tuple[str, int]]) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[1],
        "config": {"mediaType": CONFIGS[1], "digest": manifest.digest_of(config), "size": len(config)},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size}
            for digest, size in layers
        ],
    }
    return json.dumps(document, sort_keys=True).encode()


def open_files(path: Path, tag: str | None) -> LayoutSource | SavedSource:
    """The image of a folder or an archive; blocks. Raises SourceError."""
    try:
        found = path.stat()
        files: Files = FolderFiles(path) if stat.S_ISDIR(found.st_mode) else TarFiles(path)
        if files.open("index.json") is not None:
            return LayoutSource(files, str(path), tag)
        return SavedSource.open(files, str(path), tag)
    except FileNotFoundError:
        raise NotThereError(f"there is no {path}") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
