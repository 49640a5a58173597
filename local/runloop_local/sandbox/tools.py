"""Programs of the service that run in a sandbox, whatever its disk has: they are the agent's code, not the disk's.

Each is called in a forked child of the agent that has the sandbox's root and account already. So no link leads out of
it, and nothing may be imported or asked of the name service.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import TYPE_CHECKING

from runloop_local.sandbox import accounts, furnishing, shells
from runloop_local.sandbox.layer_archive import LayerError, Source, members, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runloop_local.sandbox.layer_archive import Member

_CHUNK = 1 << 20
_RECORD = 1 << 18
"""The size in bytes in which a tar stream is read and written."""


def run(argv: Sequence[str]) -> int:
    """Run a tool; returns its exit status. A failure is told on standard output, in one line."""
    os.umask(0o022)
    try:
        answer = _TOOLS[argv[0]](*argv[1:])
    except LayerError as error:
        answer, status = f"what is to be unpacked {error}", 1
    except (OSError, tarfile.TarError) as error:
        answer = _reason(error)
        status = 1
    else:
        status = 0
    os.write(1 if argv[0] != "pack" else 2, answer.encode("utf-8", "surrogateescape"))
    return status


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"


def resolve(path: str) -> str:
    """The path without symbolic links; it must exist."""
    return os.path.realpath(path, strict=True)


def is_folder(path: str) -> str:
    """Fails unless there is a folder, or a link to one."""
    if not os.path.isdir(path):  # noqa: PTH112 - a Path would import more once the root is entered
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return ""


def make_folder(path: str, owner: str) -> str:
    """Create a folder and those above it; `owner` gets the folder if it is new."""
    if not os.path.isdir(path):  # noqa: PTH112 - as above
        os.makedirs(path, 0o755)  # noqa: PTH103 - as above
        if owner:
            os.chown(path, *accounts.owner_of(owner))
    return ""


def owner(spec: str) -> str:
    """The uid and gid of an owner."""
    return "{} {}".format(*accounts.owner_of(spec))


def unpack(target: str) -> str:
    """Unpack the tar stream on standard input into a folder, which is created.

    Folders that exist, also by a link, stay as they are; all else is replaced.
    """
    os.makedirs(target, 0o755, exist_ok=True)  # noqa: PTH103 - as above
    with os.fdopen(os.dup(0), "rb", _RECORD) as stream:
        source = Source(stream)
        unpacker = _Unpacker(os.fsencode(target), source)
        for member in members(source):  # to its end, padding included: who writes it must not see a broken pipe
            unpacker.put(member)
    unpacker.finish()
    return ""


class _Unpacker:
    """Puts members of an archive into a folder."""

    def __init__(self, target: bytes, source: Source) -> None:
        self._target = target.rstrip(b"/")
        self._source = source
        self._is_root = os.geteuid() == 0
        self._known: set[bytes] = {self._target}
        """Folders that exist."""
        self._times: list[tuple[bytes, int]] = []

    def put(self, member: Member) -> None:
        """Put one member in place."""
        path = self._target + b"/" + member.path
        if member.kind == "folder":
            if member.path:
                self._folder(path, member)
            return
        self._make_above(path.rpartition(b"/")[0])
        if member.kind == "file":
            self._file(path, member)
        elif member.kind == "symbolic link":
            _remove(path)
            os.symlink(member.link, path)  # noqa: PTH211 - as above
            self._own(path, member)
            os.utime(path, ns=(member.mtime, member.mtime), follow_symlinks=False)
        else:
            raise OSError(errno.EOPNOTSUPP, "only files, folders and symbolic links can be copied", os.fsdecode(path))

    def finish(self) -> None:
        """Set the times of new folders, which their contents have changed."""
        for path, time in reversed(self._times):
            os.utime(path, ns=(time, time))

    def _make_above(self, folder: bytes) -> None:
        if folder not in self._known:
            os.makedirs(folder, 0o755, exist_ok=True)  # noqa: PTH103 - as above
            self._known.add(folder)

    def _folder(self, path: bytes, member: Member) -> None:
        path = path.rstrip(b"/")
        self._make_above(path.rpartition(b"/")[0])
        if not os.path.isdir(path):  # noqa: PTH112 - as above
            _remove(path)
            os.mkdir(path, 0o700)  # noqa: PTH102 - as above
            self._own(path, member)
            os.chmod(path, stat.S_IMODE(member.mode))  # noqa: PTH101 - as above
            self._times.append((path, member.mtime))
        self._known.add(path)

    def _file(self, path: bytes, member: Member) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
        except FileExistsError:
            _remove(path)
            file = os.open(path, flags, 0o600)
        try:
            self._write(file, member)
            if self._is_root:
                os.fchown(file, member.uid, member.gid)
            os.fchmod(file, stat.S_IMODE(member.mode))  # after the owner: a change of that clears set-uid
            os.utime(file, ns=(member.mtime, member.mtime))
        finally:
            os.close(file)

    def _write(self, file: int, member: Member) -> None:
        left = member.size
        while left:
            piece = self._source.content(min(left, _CHUNK))
            if not piece:
                raise LayerError(f"ends within {shown(member.path)}")
            left -= len(piece)
            while piece:
                piece = piece[os.write(file, piece) :]

    def _own(self, path: bytes, member: Member) -> None:
        if self._is_root:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)


def _remove(path: bytes) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - as above
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # the latter on macOS
        os.rmdir(path)  # noqa: PTH106 - as above


def pack(*paths: str) -> str:
    """Write these paths, relative to the root and with all below them, to standard output as a tar stream."""
    with (
        os.fdopen(os.dup(1), "wb", _RECORD) as sink,
        tarfile.open(fileobj=sink, mode="w|", bufsize=_RECORD, format=tarfile.GNU_FORMAT, encoding="utf-8") as tar,
    ):
        for path in paths:
            _pack(tar, path)
    return ""


def _pack(tar: tarfile.TarFile, path: str) -> None:
    info = _header(path, os.lstat(f"/{path}"))
    if info is None:
        return
    if not info.isreg():
        tar.addfile(info)
    else:
        with open(f"/{path}", "rb") as content:  # noqa: PTH123 - as above
            tar.addfile(info, content)
    if info.isdir():
        for name in sorted(os.listdir(f"/{path}")):  # noqa: PTH208 - as above
            _pack(tar, f"{path}/{name}")


_KINDS: tuple[tuple[Callable[[int], bool], bytes], ...] = (
    (stat.S_ISREG, tarfile.REGTYPE),
    (stat.S_ISDIR, tarfile.DIRTYPE),
    (stat.S_ISLNK, tarfile.SYMTYPE),
    (stat.S_ISFIFO, tarfile.FIFOTYPE),
    (stat.S_ISCHR, tarfile.CHRTYPE),
    (stat.S_ISBLK, tarfile.BLKTYPE),
)


def _header(path: str, found: os.stat_result) -> tarfile.TarInfo | None:
    """The header of a file, by hand: `TarFile.gettarinfo` asks the name service. None for a socket."""
    kind = next((kind for fits, kind in _KINDS if fits(found.st_mode)), None)
    if kind is None:
        return None
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.mtime = kind, stat.S_IMODE(found.st_mode), int(found.st_mtime)
    info.uid, info.gid = found.st_uid, found.st_gid
    info.size = found.st_size if kind == tarfile.REGTYPE else 0
    if kind == tarfile.SYMTYPE:
        info.linkname = os.readlink(f"/{path}")  # noqa: PTH115 - as above
    return info


def furnish(path: str, folder: str) -> str:
    """Add to an image's disk what devboxes have, and its working folder; tells what, in a line each.

    `path` is the PATH of the image.
    """
    os.makedirs(folder, 0o755, exist_ok=True)  # noqa: PTH103 - as above
    return "\n".join(furnishing.furnish(path))


def furnish_names() -> str:
    """Add to an image's disk what programs look names up by."""
    furnishing.furnish_names()
    return ""


def has_user() -> str:
    """Fails unless the disk has the account `user` that devboxes have; an image may have one of its own."""
    if not furnishing.is_user(accounts.lines_of("/etc/passwd")):
        raise accounts.UnknownAccountError("there is no account user")
    return ""


def find_shell(name: str) -> str:
    """The path of a shell; fails if the disk has none."""
    found = shells.find(name)
    if not found:
        raise FileNotFoundError(errno.ENOENT, shells.missing(name))
    return found


_TOOLS: dict[str, Callable[..., str]] = {
    "find-shell": find_shell,
    "resolve": resolve,
    "is-folder": is_folder,
    "make-folder": make_folder,
    "owner": owner,
    "unpack": unpack,
    "pack": pack,
    "furnish": furnish,
    "furnish-names": furnish_names,
    "has-user": has_user,
}
