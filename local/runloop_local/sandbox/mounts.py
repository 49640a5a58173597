"""Mounts of a sandbox beside its disk: created detached before its root is entered, and attached once it is.

A mount point is a path inside the sandbox, where its programs may have put symbolic links. It is resolved after the
root was entered, when only the sandbox's own files can be reached. Missing mount points are created, and reported to
the service, which removes them afterwards.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runloop_local.sandbox import host_mounts, linux, rootfs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runloop_local.sandbox.frames import Message
    from runloop_local.sandbox.rootfs import Owner


class DetachedMount(NamedTuple):
    """A detached mount and its mount point."""

    descriptor: int
    target: str

    @property
    def is_folder(self) -> bool:
        """True if its root is a folder, not a file."""
        return stat.S_ISDIR(os.fstat(self.descriptor).st_mode)


class MountContext(NamedTuple):
    """The sandbox that mounts are prepared for."""

    folder: str
    """The folder of sandboxes, layers and caches."""
    sandbox: str
    owner: Owner
    first_uid_on_disk: int
    """The uid on disk of files that belong to its root."""

    @property
    def own(self) -> str:
        """The sandbox's own folder."""
        return f"{self.folder}/sandboxes/{self.sandbox}"


def prepare(mounts: list[Message], context: MountContext) -> list[DetachedMount]:
    """Create the detached mounts, in the order in which they are to be attached."""
    makers = {"tmpfs": _tmpfs, "file": _file, "cache": _cache, "disk": _disk}
    return [makers[mount["kind"]](mount, number, context) for number, mount in enumerate(mounts)]


def attach(trees: Sequence[DetachedMount], owner: Owner) -> list[str]:
    """Attach the mounts, with the sandbox's root as working directory; returns the mount points that were created."""
    made: list[str] = []
    for tree in trees:
        try:
            mount_point = _open_mount_point(tree.target, owner, made, folder=tree.is_folder)
            if stat.S_ISDIR(os.fstat(mount_point).st_mode) != tree.is_folder:
                raise OSError(errno.ENOTDIR if tree.is_folder else errno.EISDIR, "")
            linux.attach(tree.descriptor, mount_point)
            os.close(mount_point)
        except OSError as error:
            what = os.strerror(error.errno or 0)
            raise OSError(error.errno, f"nothing can be mounted at {tree.target}: {what}") from error
        os.close(tree.descriptor)
    return made


def used_memory(table: bytes) -> int:
    """The memory that the tmpfs in a mount table use, in bytes; those of device nodes are this machine's."""
    folders: dict[int, str] = {}
    for mount in host_mounts.parsed(table):
        with suppress(OSError):  # renamed meanwhile
            found = Path(mount.folder).stat()
            if mount.kind == "tmpfs" and not stat.S_ISCHR(found.st_mode):
                folders[found.st_dev] = mount.folder
    used = [os.statvfs(folder) for folder in folders.values()]
    return sum((system.f_blocks - system.f_bfree) * system.f_frsize for system in used)


def remove_mount_points(upper: Path, made: list[str]) -> None:
    """Remove mount points that were created for mounts from a sandbox's disk, if nothing was put into them."""
    for path in reversed(made):
        top, _, rest = path.lstrip("/").partition("/")
        whole = path.lstrip("/")
        base, below = (upper / top, rest) if rest and (upper / top).is_dir() else (upper / rootfs.REST, whole)
        with suppress(OSError):  # it is gone, or not empty
            _remove_empty(base, below)


def _remove_empty(base: Path, below: str) -> None:
    """Remove an empty file or folder below `base` without following links, which the sandbox may have planted."""
    *folders, name = below.split("/")
    if ".." in (*folders, name):
        raise OSError(errno.EINVAL, "not a mount point that was created")
    # Each step is opened relative to the one before: a path as a whole could be redirected by a link in its middle.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(base, flags)
    try:
        for part in folders:
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        found = os.lstat(name, dir_fd=folder)
        if stat.S_ISDIR(found.st_mode):
            os.rmdir(name, dir_fd=folder)
        elif stat.S_ISREG(found.st_mode) and not found.st_size:
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)


def _tmpfs(mount: Message, number: int, context: MountContext) -> DetachedMount:
    size = f"{mount['size']}" if mount["size"] else "50%"
    folder = _mount_tmpfs(f"{context.own}/t{number}", context.owner, f"size={size},mode=1777")
    return _detach(mount, folder, folder)


def _file(mount: Message, number: int, context: MountContext) -> DetachedMount:
    folder = _mount_tmpfs(f"{context.own}/t{number}", context.owner, "size=1m,mode=755")
    file = Path(folder, "file")
    file.write_bytes(mount["content"].encode("utf-8", "surrogatepass"))
    _set_ownership(file, context.owner.uid, mount, context)
    return _detach(mount, str(file), folder)


def _mount_tmpfs(folder: str, owner: Owner, options: str) -> str:
    Path(folder).mkdir(exist_ok=True)
    flags = linux.NO_SUID | linux.NO_DEV
    linux.mount("tmpfs", folder, "tmpfs", flags, f"uid={owner.uid},gid={owner.uid},{options}")
    return folder


def _detach(mount: Message, path: str, mounted: str) -> DetachedMount:
    """A detached mount of `path`, which is at or in the mount at `mounted`; that one is unmounted."""
    tree = linux.open_tree(path)
    linux.detach(mounted)
    return _with_attributes(tree, mount)


def _cache(mount: Message, _number: int, context: MountContext) -> DetachedMount:
    content = Path(f"{context.folder}/{mount['folder']}")
    if not content.exists():
        # Renamed once it has its owner and mode, as a folder that exists is taken for complete.
        unfinished = content.with_suffix(".new")
        unfinished.mkdir(exist_ok=True)
        _set_ownership(unfinished, context.first_uid_on_disk, mount, context)
        unfinished.rename(content)
    tree = linux.open_tree(str(content))
    if context.owner.mapped is not None:
        linux.set_attributes(tree, users=context.owner.mapped.disks)
    return _with_attributes(tree, mount)


def _set_ownership(path: Path, root: int, mount: Message, context: MountContext) -> None:
    """Set owner and mode; the owner only where the sandbox has more than one uid."""
    if context.owner.has_accounts:
        os.chown(path, root + mount["uid"], root + mount["gid"])
    path.chmod(mount["mode"])


def _disk(mount: Message, number: int, context: MountContext) -> DetachedMount:
    """A detached mount of a part of another disk; writes go to a folder that is deleted when the sandbox ends."""
    os.chdir(f"{context.folder}/layers")
    root = f"../sandboxes/{context.sandbox}/b{number}"
    Path(root, "m").mkdir(parents=True, exist_ok=True)
    rootfs.overlay_all(root, mount["layers"], context.owner)
    os.chdir(f"{root}/m")
    try:
        found = linux.open_in_root(".", mount["source"])
    except OSError as error:
        raise OSError(error.errno, f"{mount['source']}, which is to be mounted, does not exist") from error
    return _with_attributes(linux.open_tree(found, recursive=True), mount)


def _with_attributes(tree: int, mount: Message) -> DetachedMount:
    linux.set_attributes(tree, read_only=mount["read_only"])
    return DetachedMount(tree, mount["target"])


def _open_mount_point(path: str, owner: Owner, made: list[str], *, folder: bool) -> int:
    """A descriptor of the mount point at `path`, which is created if it does not exist, with its parents."""
    try:
        return linux.open_in_root(".", path)
    except FileNotFoundError:
        above, name = os.path.split(path)
        if not name:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    parent = _open_mount_point(above, owner, made, folder=True)
    try:
        _create(name, parent, folder=folder)
        os.chown(name, owner.uid, owner.uid, dir_fd=parent, follow_symlinks=False)
        made.append(f"{os.readlink(f'/proc/self/fd/{parent}').rstrip('/')}/{name}")  # noqa: PTH115 - a name, no path
    finally:
        os.close(parent)
    return linux.open_in_root(".", path)


def _create(name: str, parent: int, *, folder: bool) -> None:
    if folder:
        os.mkdir(name, 0o755, dir_fd=parent)
    else:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
