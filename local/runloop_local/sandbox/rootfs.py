"""Builds a sandbox's root: overlays, and a separate /proc, /dev and /run.

The root is this machine's userland, with an overlay over each of its folders, or an image, with a single overlay.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from functools import cache
from typing import NamedTuple

from runloop_local.sandbox import host_mounts, linux
from runloop_local.sandbox.base import SCRATCH, is_image
from runloop_local.sandbox.linux import BIND, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY, REMOUNT

REST = "@"
"""The overlay of everything outside this machine's overlaid folders: /home, /root, /tmp and new entries in /.

For an image it is all of the root.
"""
BASE = "base"
"""The lowest layer, built from this machine by `base_layer`."""

SKELETON = "skeleton"
"""The layer below it, used by the unprivileged driver only."""

COPIED = ("etc", "var")
"""The folders of this machine of which the skeleton has the files, not only the folders."""
MACHINE = (BASE, SKELETON, ".")
"""The layers below those of snapshots on this machine's userland; the last stands for its own folders."""

_MOST_OPTIONS = 4000
"""The length up to which the options of a mount fit into a page."""
_LOWEST = "low"
_EMPTY = ".nothing"
_FOLDERS = ("usr", "etc", "var", "opt", "srv", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_OPTIONAL = ("opt", "srv")
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "dev/ptmx": "pts/ptmx",
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "fd/0",
    "dev/stdout": "fd/1",
    "dev/stderr": "fd/2",
}
_MASKED = ("keys", "key-users", "kcore", "timer_list", "sysrq-trigger")
_LOCKED = ("sys", "irq", "bus", "fs")
_MOUNT_POINTS = ("proc", "sys", "dev", "run")


class IdMapping(NamedTuple):
    """The user namespaces of idmapped mounts."""

    machine: int
    """For this machine's folders."""
    disks: int
    """For the disks and layers of sandboxes."""


class Owner(NamedTuple):
    """The ownership of a sandbox's files, as the file system sees it."""

    uid: int = 0
    overlay_options: str = ""
    mapped: IdMapping | None = None
    """The id mapping of mounts, if they are idmapped."""
    has_accounts: bool = True
    """True if files can belong to other accounts than root."""


@cache  # mount points are created for them once, so later changes of this machine's mounts must not matter
def overlaid() -> tuple[str, ...]:
    """The top-level folders of this machine that sandboxes see, without optional ones on file systems that may hang."""
    hanging = host_mounts.hanging()
    known = [name for name in _FOLDERS if name not in _OPTIONAL or f"/{name}" not in hanging]
    return tuple(name for name in known if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"))  # noqa: PTH112, PTH114 - names, no paths


def linked() -> dict[str, str]:
    """The top-level symbolic links of this machine, such as /bin to usr/bin."""
    return {name: os.readlink(f"/{name}") for name in _FOLDERS if os.path.islink(f"/{name}")}  # noqa: PTH114, PTH115 - names


def prepare_lowest(folder: str) -> None:
    """Create the mount points at which sandboxes mount this machine's folders, as lower layers of their overlays."""
    for name in (_EMPTY, *overlaid()):
        os.makedirs(f"{folder}/{_LOWEST}/{name}", exist_ok=True)  # noqa: PTH103 - beside the calls that take strings


def prepare_scratch(folder: str, owner: int) -> None:
    """Create the empty layer that disks without an image stand on."""
    layer = f"{folder}/layers/{SCRATCH}"
    if not os.path.isdir(layer):  # noqa: PTH112 - as above
        os.makedirs(f"{layer}.new/{REST}", 0o755, exist_ok=True)  # noqa: PTH103 - as above
        os.chown(f"{layer}.new/{REST}", owner, owner)
        os.rename(f"{layer}.new", layer)  # noqa: PTH104 - as above


def mount_lowest(folder: str, mapped: IdMapping) -> None:
    """Mount this machine's folders with their owners mapped to the sandbox's ids."""
    os.chdir(f"{folder}/{_LOWEST}")
    for name in overlaid():
        linux.mount_idmapped(f"/{name}", name, mapped.machine)
        with linux.without_file_capabilities():
            # An overlay opens its lower files with the mounter's credentials. Without the file capabilities these
            # are any account's, so the sandbox's root cannot read private files of this machine.
            linux.mount("overlay", name, "overlay", READ_ONLY | NO_DEV, f"lowerdir={name}:{_EMPTY}")


def build(folder: str, sandbox_id: str, layers: list[str], owner: Owner) -> None:
    """Mount a sandbox's root and make it the working directory. The caller must be in its own mount namespace."""
    if owner.mapped is not None:
        for own in (f"{folder}/layers", f"{folder}/sandboxes/{sandbox_id}"):
            linux.mount_idmapped(own, own, owner.mapped.disks)
    # Relative names are short, and the sandbox's mount table then shows no path of this machine.
    os.chdir(f"{folder}/layers")
    overlay_all(f"../sandboxes/{sandbox_id}", layers, owner)
    os.chdir(f"../sandboxes/{sandbox_id}/m")
    if is_image(layers):
        _make_mount_points(owner)
    linux.mount("proc", "proc", "proc", NO_SUID | NO_DEV | NO_EXEC)
    _tmpfs("run", owner, "mode=755")
    _devices(owner)


def overlay_all(root: str, layers: list[str], owner: Owner) -> None:
    """Mount the disk made of these layers at `m` in a folder that also takes the writes.

    The working directory must be the folder of layers.
    """
    if is_image(layers):
        _overlay(REST, root, layers, owner)
        return
    for name in [REST, *overlaid()]:
        _overlay(name, root, [*layers, BASE, SKELETON], owner)


def _make_mount_points(owner: Owner) -> None:
    """Create what an image lacks of them, and replace what is no folder: a link would lead the mount elsewhere."""
    for name in _MOUNT_POINTS:
        try:
            mode = os.lstat(name).st_mode
        except FileNotFoundError:
            mode = 0
        if not stat.S_ISDIR(mode):
            if mode:
                os.unlink(name)  # noqa: PTH108 - relative
            _make_folder(name, owner.uid)


def _overlay(name: str, sandbox: str, layers: list[str], owner: Owner) -> None:
    # A layer holds only the folders that were written to, and a lower folder that does not exist fails the mount.
    lower = [f"{layer}/{name}" for layer in layers if os.path.isdir(f"{layer}/{name}")]  # noqa: PTH112 - relative
    if name != REST:
        lower.append(f"../{_LOWEST}/{name}" if owner.mapped is not None else f"/{name}")
    _make_folder(f"{sandbox}/upper/{name}", owner.uid)
    _make_folder(f"{sandbox}/work/{name}", owner.uid)
    try:
        _mount_overlay(name, sandbox, lower, owner)
    except OSError as error:
        # Without privileges, a folder that has mounts below it cannot be a lower one: /var where an engine runs
        # containers, /etc within one. Those that are copied are not needed.
        if error.errno != errno.EINVAL or owner.has_accounts or name not in COPIED:
            raise
        _mount_overlay(name, sandbox, [*lower[:-1], f"{SCRATCH}/{REST}"], owner)


def _mount_overlay(name: str, sandbox: str, lower: list[str], owner: Owner) -> None:
    upper, work = f"{sandbox}/upper/{name}", f"{sandbox}/work/{name}"
    target = f"{sandbox}/m" if name == REST else f"{sandbox}/m/{name}"
    if len(_options(lower, upper, work, owner)) <= _MOST_OPTIONS:
        linux.mount("overlay", target, "overlay", NO_DEV, _options(lower, upper, work, owner))
        return
    layers_folder = os.getcwd()  # noqa: PTH109 - a string
    lower = _linked(f"{sandbox}/lower/{name}", lower)
    upper, work = f"../../upper/{name}", f"../../work/{name}"
    target = "../../m" if name == REST else f"../../m/{name}"
    try:
        linux.mount("overlay", target, "overlay", NO_DEV, _options(lower, upper, work, owner))
    finally:
        os.chdir(layers_folder)


def _options(lower: list[str], upper: str, work: str, owner: Owner) -> str:
    # With an index, a frozen disk could not be mounted again while its earlier mount is still going away.
    return f"index=off,{owner.overlay_options}lowerdir={':'.join(lower)},upperdir={upper},workdir={work}"


def _linked(folder: str, paths: list[str]) -> list[str]:
    """Enter a new folder of links to these paths; returns their names, which are as short as can be."""
    targets = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - strings
    if os.path.isdir(folder):  # noqa: PTH112 - relative
        shutil.rmtree(folder)  # of an earlier start
    os.makedirs(folder)  # noqa: PTH103 - relative
    os.chdir(folder)
    for number, target in enumerate(targets):
        os.symlink(target, str(number))  # noqa: PTH211 - relative
    return [str(number) for number in range(len(targets))]


def _make_folder(path: str, uid: int) -> None:
    if not os.path.isdir(path):  # noqa: PTH112 - relative
        os.makedirs(path, 0o755)  # noqa: PTH103 - relative
        os.chown(path, uid, uid)


def _tmpfs(target: str, owner: Owner, options: str, flags: int = NO_SUID | NO_DEV) -> None:
    linux.mount("tmpfs", target, "tmpfs", flags, f"uid={owner.uid},gid={owner.uid},size=50%,{options}")


def _devices(owner: Owner) -> None:
    _tmpfs("dev", owner, "mode=755", NO_SUID)
    # Bind mounts of the host's nodes, as mknod is not allowed in a user namespace.
    for node in _NODES:
        os.close(os.open(f"dev/{node}", os.O_CREAT | os.O_CLOEXEC))
        linux.mount(f"/dev/{node}", f"dev/{node}", None, BIND)
    for name in ("dev/pts", "dev/shm"):
        os.mkdir(name)  # noqa: PTH102 - relative
        os.chown(name, owner.uid, owner.uid)
    _tmpfs("dev/shm", owner, "mode=1777")
    linux.mount("devpts", "dev/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666,mode=620")
    for link, target in _LINKS.items():
        os.symlink(target, link)  # noqa: PTH211 - relative


def mask_proc() -> None:
    """Cover files in /proc that reveal or control this machine; the working directory is the sandbox's root."""
    for name in _MASKED:
        if os.path.exists(f"proc/{name}"):  # noqa: PTH110 - relative
            linux.mount("dev/null", f"proc/{name}", None, BIND)


def lock_devices() -> None:
    """Remount device nodes read-only, so that a sandbox's root that is the host's cannot change their modes."""
    for node in _NODES:
        linux.mount(None, f"dev/{node}", None, BIND | REMOUNT | READ_ONLY | NO_SUID | NO_EXEC)


def lock_proc() -> None:
    """Make the kernel's settings read-only, for sandboxes whose root is the host's."""
    for name in _LOCKED:
        if os.path.exists(f"proc/{name}"):  # noqa: PTH110 - relative
            linux.mount(f"proc/{name}", f"proc/{name}", None, BIND)
            linux.mount(None, f"proc/{name}", None, BIND | REMOUNT | READ_ONLY | NO_SUID | NO_DEV | NO_EXEC)
