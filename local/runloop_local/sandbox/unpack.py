"""Unpacks a layer of an image, a tar archive by anyone, in a process whose root is the layer's own folder.

Nothing else is mounted there, so whatever names and links the archive has, they lead to nothing of this machine. Names
are bytes, as archives have them. What hides files of lower layers becomes what overlayfs reads.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import stat
import struct
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from runloop_local.sandbox import linux
from runloop_local.sandbox.layer_archive import LayerError, Source, clean, members, shown
from runloop_local.sandbox.linux import BIND, NO_DEV, NO_EXEC, NO_SUID, REMOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runloop_local.sandbox.layer_archive import Kind, Member

ROOT = "@"
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
_MAX_IMPLIED = 100_000
_HIGHEST = 1 << 16
_WHITEOUT, _AUFS, _OPAQUE = b".wh.", b".wh..wh.", b".wh..wh..opq"
_UID_COUNT = 1 << 16
_NOBODY = 65534
_CAPABILITY_V2, _CAPABILITY_V3 = 0x02000000, 0x03000000
_VERSION_MASK = 0xFF000000
_LEFT_OUT = (errno.ENOTSUP, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EPERM, errno.EINVAL)
_TYPES = "files, folders, links and pipes"


class Owners(NamedTuple):
    """How a layer's owners, and what only the mounter's root may set, are kept on disk."""

    shift: int = 0
    """Added to each uid and gid."""
    real: bool = True
    """False if all files belong to this account."""

    def on_disk(self, number: int) -> int | None:
        """A uid or gid as the disk has it; None if devboxes do not have it."""
        return number + self.shift if 0 <= number < _UID_COUNT else None

    @property
    def opaque(self) -> str:
        """The attribute of a folder that hides those below."""
        return f"{'trusted' if self.real else 'user'}.overlay.opaque"

    def capability(self, value: bytes) -> bytes | None:
        """File capabilities as the disk has them: granted by the devbox's root, which on disk has another uid."""
        if not self.real or len(value) != 20 or struct.unpack_from("<I", value)[0] & _VERSION_MASK != _CAPABILITY_V2:
            return None
        if not self.shift:
            return value
        flags = struct.unpack_from("<I", value)[0] & ~_VERSION_MASK
        return struct.pack("<I", flags | _CAPABILITY_V3) + value[4:] + struct.pack("<I", self.shift)


class Unpacker:
    """Unpacks one archive into the working directory, which must be the process's root or trusted."""

    def __init__(self, source: Source, owners: Owners, *, max_bytes: int, max_members: int) -> None:
        self._source = source
        self._owners = owners
        self._max_bytes = max_bytes
        self._max_members = max_members
        self._bytes = 0
        self._members = 0
        self._folders: set[bytes] = {b""}
        self._times: dict[bytes, int] = {}
        self._implied: dict[bytes, None] = {}
        self._left_out: Counter[str] = Counter()
        self._by_kind: Mapping[Kind, Callable[[Member], None]] = {
            "file": self._file,
            "folder": self._folder,
            "symbolic link": self._symbolic_link,
            "hard link": self._hard_link,
            "pipe": self._pipe,
            "device": self._device,
        }

    def run(self) -> dict[str, object]:
        """Unpack all members; returns what there is to tell. Raises LayerError or OSError."""
        for member in members(self._source):
            self._count(1, member.size if member.kind == "file" else 0)
            self._unpack(member)
        for folder, time in self._times.items():
            with suppress(FileNotFoundError, NotADirectoryError):  # replaced by a later member
                os.utime(folder, ns=(time, time), follow_symlinks=False)
        implied = [name.decode("utf-8", "surrogateescape") for name in self._implied]
        return {"bytes": self._bytes, "members": self._members, "implied": implied, "left_out": dict(self._left_out)}

    def _count(self, members: int, size: int) -> None:
        self._members += members
        self._bytes += size
        if self._members > self._max_members:
            raise LayerError(f"has more than {self._max_members:,} files, the limit for an image")
        if self._bytes > self._max_bytes:
            raise LayerError(f"has more than {self._max_bytes:,} bytes of files, the limit for an image")

    def _unpack(self, member: Member) -> None:
        path = member.path
        try:
            folder, _, name = path.rpartition(b"/")
            if name.startswith(_WHITEOUT):
                self._hide(folder, name)
                return
            unpack = self._by_kind.get(member.kind)
            if unpack is None:
                raise LayerError(f"has {shown(path)} of an unknown type, not {_TYPES}")
            if not path and member.kind != "folder":
                raise LayerError("has a root that is no folder")
            self._make_parents(folder)
            unpack(member)
        except (OSError, ValueError) as error:
            raise _failure(path, error) from error

    def _file(self, member: Member) -> None:
        mode = member.mode & 0o7777
        target = self._create(member.path, mode & 0o777)
        try:
            if member.pieces is None:
                self._write(target, member.size, member.path)
            else:
                self._write_sparse(target, member, member.pieces)
            self._set_owner(target, member)
            if mode & 0o7000:
                os.fchmod(target, mode)  # after the owner, as a change of that takes set-uid away
            self._set_attributes(target, member)
            os.utime(target, ns=(member.mtime, member.mtime))
        finally:
            os.close(target)

    def _create(self, path: bytes, mode: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags, mode)
        except FileExistsError:
            self._remove(path)
            return os.open(path, flags, mode)

    def _write(self, target: int, size: int, path: bytes) -> None:
        while size:
            piece = self._source.content(min(size, _CHUNK))
            if not piece:
                raise LayerError(f"ends within {shown(path)}")
            size -= len(piece)
            if not piece[0] and len(piece) >= 4096 and piece == _ZEROS[: len(piece)]:
                # Not written: a file of zeros takes no room. Its size is set in case that it ends with them.
                os.ftruncate(target, os.lseek(target, len(piece), os.SEEK_CUR))
            else:
                write(target, piece)

    def _write_sparse(self, target: int, member: Member, pieces: Sequence[tuple[int, int]]) -> None:
        for offset, size in pieces:
            if offset < 0 or size < 0 or offset + size > member.size:
                raise LayerError(f"has {shown(member.path)}, a sparse file that is larger than it says")
            os.lseek(target, offset, os.SEEK_SET)
            self._write(target, size, member.path)
        os.ftruncate(target, member.size)

    def _folder(self, member: Member) -> None:
        path = member.path
        if path:
            self._make_folder(path)
        here = path or b"."
        self._set_owner(here, member)
        os.chmod(here, member.mode & 0o7777)
        self._set_attributes(here, member)
        self._times[here] = member.mtime
        self._implied.pop(path, None)

    def _make_folder(self, path: bytes, mode: int = 0o700) -> None:
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                return
            self._remove(path)
            os.mkdir(path, mode)
            if is_whiteout(found):
                os.setxattr(path, self._owners.opaque, b"y")  # what it has hidden stays hidden
        self._folders.add(path)

    def _symbolic_link(self, member: Member) -> None:
        path = member.path
        try:
            os.symlink(member.link, path)
        except FileExistsError:
            self._remove(path)
            os.symlink(member.link, path)
        self._set_owner(path, member)
        os.utime(path, ns=(member.mtime, member.mtime), follow_symlinks=False)

    def _hard_link(self, member: Member) -> None:
        path, target = member.path, clean(member.link)
        if target == path:
            return
        try:
            if stat.S_ISDIR(os.lstat(target).st_mode):
                raise LayerError(f"has {shown(path)}, a hard link to the folder {shown(target)}")
        except FileNotFoundError:
            raise LayerError(f"has {shown(path)}, a hard link to {shown(target)}, which is not in it") from None
        try:
            os.link(target, path, follow_symlinks=False)
        except FileExistsError:
            self._remove(path)
            os.link(target, path, follow_symlinks=False)

    def _pipe(self, member: Member) -> None:
        self._remove(member.path)
        os.mkfifo(member.path, member.mode & 0o777)
        self._set_owner(member.path, member)

    def _device(self, member: Member) -> None:
        """Leave it out: a devbox has its own /dev, and no other devices."""
        self._left_out["devices"] += 1

    def _hide(self, folder: bytes, name: bytes) -> None:
        """Hide a file of the layers below, or all of a folder."""
        if name == _OPAQUE:
            if not folder:
                raise LayerError("hides all layers below it, which is not supported")
            self._make_parents(folder)
            os.setxattr(folder, self._owners.opaque, b"y")
        elif not name.startswith(_AUFS):
            hidden = clean(name.removeprefix(_WHITEOUT))
            if not hidden:
                raise LayerError(f"has {shown(name)}, which hides no name")
            self._make_parents(folder)
            self._hide_name(folder + b"/" + hidden if folder else hidden)

    def _hide_name(self, path: bytes) -> None:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            os.mknod(path, stat.S_IFCHR, 0)
            return
        if stat.S_ISDIR(found.st_mode):  # of this layer, so only what lies below is hidden
            os.setxattr(path, self._owners.opaque, b"y")

    def _make_parents(self, folder: bytes) -> None:
        if folder in self._folders:
            return
        parts = folder.split(b"/")
        for count in range(1, len(parts) + 1):
            parent = b"/".join(parts[:count])
            if parent not in self._folders:
                self._make_parent(parent)
                self._folders.add(parent)

    def _make_parent(self, folder: bytes) -> None:
        try:
            found = os.stat(folder)
        except FileNotFoundError:
            if os.path.lexists(folder):
                raise LayerError(f"has files in {shown(folder)}, a link to nothing in it") from None
            self._imply(folder)
        else:
            if is_whiteout(found):
                self._imply(folder)
            elif not stat.S_ISDIR(found.st_mode):
                raise LayerError(f"has files in {shown(folder)}, which is no folder")

    def _imply(self, folder: bytes) -> None:
        """Make a folder that the archive does not describe; `adopt` gives it the attributes of that below."""
        self._count(1, 0)
        if len(self._implied) >= _MAX_IMPLIED:
            raise LayerError(f"has more than {_MAX_IMPLIED:,} folders that it does not describe")
        self._make_folder(folder, 0o755)
        if self._owners.real:
            os.chown(folder, self._owners.shift, self._owners.shift)
        self._implied[folder] = None

    def _remove(self, path: bytes) -> None:
        """Remove an earlier member of the same name."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(path)
            self._folders = {b""}  # looked up again: it may have had many

    def _set_owner(self, target: int | bytes, member: Member) -> None:
        if not self._owners.real:
            return
        uid, gid = (self._owners.on_disk(number) for number in (member.uid, member.gid))
        if uid is None or gid is None:
            self._left_out["owners"] += 1
        nobody = _NOBODY + self._owners.shift
        uid, gid = nobody if uid is None else uid, nobody if gid is None else gid
        if isinstance(target, int):
            os.fchown(target, uid, gid)
        else:
            os.lchown(target, uid, gid)

    def _set_attributes(self, target: int | bytes, member: Member) -> None:
        for name, archived in member.attributes.items():
            value = self._attribute(name, archived)
            try:
                if value is None:
                    self._left_out["attributes"] += 1
                else:
                    os.setxattr(target, name, value)
            except OSError as error:
                if error.errno not in _LEFT_OUT:
                    raise
                self._left_out["attributes"] += 1

    def _attribute(self, name: str, value: bytes) -> bytes | None:
        """The value on disk of an extended attribute; None if it may not be set."""
        if name == "security.capability":
            return self._owners.capability(value)
        # An archive must not speak to overlayfs.
        return value if name.startswith("user.") and not name.startswith("user.overlay.") else None


def is_whiteout(found: os.stat_result) -> bool:
    """True for what overlayfs takes for a deleted file."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def write(target: int, piece: bytes) -> None:
    """Write all of it."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(target, rest) :]


def _failure(path: bytes, error: OSError | ValueError) -> Exception:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return error
    reason = error.strerror if isinstance(error, OSError) else error
    return LayerError(f"has {shown(path)}, which cannot be unpacked: {reason}")


def enter(folder: str) -> None:
    """Make this folder the root, in a mount namespace of its own in which there is nothing else."""
    linux.unshare(linux.NEW_MOUNTS)
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    linux.mount(folder, folder, None, BIND)
    linux.mount(None, folder, None, BIND | REMOUNT | NO_SUID | NO_DEV | NO_EXEC)
    os.chdir(folder)
    linux.pivot_root_to_cwd()


def main(
    layers: str, owners: Owners, as_owner: Callable[[], None], name: str, max_bytes: str, max_members: str
) -> None:
    """Unpack the archive on stdin into `NAME/@` in this folder of layers; writes a report to stdout, as JSON.

    What is wrong with the archive is reported; OSError is raised for what this machine lacks.
    """
    os.umask(0)
    as_owner()
    linux.die_with_parent(signal.SIGKILL)
    os.closerange(3, _HIGHEST)
    root = f"{layers}/{name}/{ROOT}"
    os.makedirs(root, 0o755)
    if owners.real:
        os.chown(root, owners.shift, owners.shift)
    enter(root)
    # From here on a module found anywhere would be the archive's.
    sys.path.clear()
    source = Source(io.BufferedReader(io.FileIO(0, closefd=False), _CHUNK))
    try:
        report = Unpacker(source, owners, max_bytes=int(max_bytes), max_members=int(max_members)).run()
    except LayerError as error:
        report = {"refused": str(error)}
    except RecursionError:
        report = {"refused": "has folders too deep in each other"}
    write(1, json.dumps(report).encode())
