"""A sandbox's root: overlays of this machine's own folders, and its own /proc, /dev and /run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

from runloop_local.sandbox import host_mounts, linux
from runloop_local.sandbox.linux import BIND, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY, REMOUNT

REST = "@"
"""The overlay of everything that is no overlaid folder of this machine: /home, /root, /tmp and what is made in /."""
BASE = "base"
"""The lowest layer, made from this machine by `base_layer`."""

SKELETON = "skeleton"
"""Below it, without privileges only."""

_LOWEST = "low"
_NOTHING = ".nothing"
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


@dataclass(frozen=True, slots=True)
class Mapped:
    """The user namespaces by which mounts translate the accounts of files."""

    machine: int
    """For this machine's folders."""
    disks: int
    """For sandboxes' disks and layers."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is root in a sandbox as the file system sees it."""

    uid: int = 0
    overlay_options: str = ""
    mapped: Mapped | None = None
    """How accounts of files are translated, where they are."""
    has_accounts: bool = True
    """Whether files can belong to others than root."""


@cache  # places are made for them once, so what is mounted meanwhile changes nothing
def overlaid() -> tuple[str, ...]:
    """The top-level folders of this machine that a sandbox sees; not one that it can do without and that may hang."""
    hanging = host_mounts.hanging()
    known = [name for name in _FOLDERS if name not in _OPTIONAL or f"/{name}" not in hanging]
    return tuple(name for name in known if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"))  # noqa: PTH112, PTH114 - names, no paths


def linked() -> dict[str, str]:
    """The top-level links of this machine, such as /bin to usr/bin."""
    return {name: os.readlink(f"/{name}") for name in _FOLDERS if os.path.islink(f"/{name}")}  # noqa: PTH114, PTH115 - names


def prepare_lowest(folder: str) -> None:
    """Make the places where a sandbox mounts this machine's folders, before it mounts its own on them."""
    for name in (_NOTHING, *overlaid()):
        os.makedirs(f"{folder}/{_LOWEST}/{name}", exist_ok=True)  # noqa: PTH103 - beside the calls that take strings


def build(folder: str, sandbox_id: str, layers: list[str], owner: Owner) -> None:
    """Mount a sandbox's root, which becomes the working directory. The caller is in its own mount namespace."""
    if owner.mapped is not None:
        _mount_mapped(folder, sandbox_id, owner.mapped)
    os.chdir(f"{folder}/layers")  # names relative to it: short, and they show no path of this machine
    overlay_all(f"../sandboxes/{sandbox_id}", layers, owner)
    os.chdir(f"../sandboxes/{sandbox_id}/m")
    linux.mount("proc", "proc", "proc", NO_SUID | NO_DEV | NO_EXEC)
    _tmpfs("run", owner, "mode=755")
    _devices(owner)


def overlay_all(place: str, layers: list[str], owner: Owner) -> None:
    """Mount the whole disk that layers are at `m` in a folder, which gets what is written. Works in the layers' one."""
    for name in [REST, *overlaid()]:
        _overlay(name, place, [*layers, BASE, SKELETON], owner)


def _mount_mapped(folder: str, sandbox_id: str, mapped: Mapped) -> None:
    """Mount disks and this machine's folders with the accounts that the sandbox knows."""
    for own in (f"{folder}/layers", f"{folder}/sandboxes/{sandbox_id}"):
        linux.mount_idmapped(own, own, mapped.disks)
    os.chdir(f"{folder}/{_LOWEST}")
    for name in overlaid():
        linux.mount_idmapped(f"/{name}", name, mapped.machine)
        with linux.without_file_capabilities():
            # An overlay opens what lies below with the rights of who mounted it: here those of any account.
            linux.mount("overlay", name, "overlay", READ_ONLY | NO_DEV, f"lowerdir={name}:{_NOTHING}")


def _overlay(name: str, sandbox: str, layers: list[str], owner: Owner) -> None:
    lower = [f"{layer}/{name}" for layer in layers if os.path.isdir(f"{layer}/{name}")]  # noqa: PTH112 - relative
    if name != REST:
        lower.append(f"../{_LOWEST}/{name}" if owner.mapped is not None else f"/{name}")
    upper, work = f"{sandbox}/upper/{name}", f"{sandbox}/work/{name}"
    _own_folder(upper, owner.uid)
    _own_folder(work, owner.uid)
    target = f"{sandbox}/m" if name == REST else f"{sandbox}/m/{name}"
    # Without an index, a frozen disk may be mounted anew while its earlier mount is on its way out.
    options = f"index=off,{owner.overlay_options}lowerdir={':'.join(lower)},upperdir={upper},workdir={work}"
    linux.mount("overlay", target, "overlay", NO_DEV, options)


def _own_folder(path: str, uid: int) -> None:
    if not os.path.isdir(path):  # noqa: PTH112 - relative
        os.makedirs(path, 0o755)  # noqa: PTH103 - relative
        os.chown(path, uid, uid)


def _tmpfs(target: str, owner: Owner, options: str, flags: int = NO_SUID | NO_DEV) -> None:
    linux.mount("tmpfs", target, "tmpfs", flags, f"uid={owner.uid},gid={owner.uid},size=50%,{options}")


def _devices(owner: Owner) -> None:
    _tmpfs("dev", owner, "mode=755", NO_SUID)
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
    """Cover what tells about this machine; the working directory is the sandbox's root."""
    for name in _MASKED:
        if os.path.exists(f"proc/{name}"):  # noqa: PTH110 - relative
            linux.mount("dev/null", f"proc/{name}", None, BIND)


def lock_devices() -> None:
    """Make this machine's nodes read-only, where the sandbox's root could change their modes; they work as before."""
    for node in _NODES:
        linux.mount(None, f"dev/{node}", None, BIND | REMOUNT | READ_ONLY | NO_SUID | NO_EXEC)


def lock_proc() -> None:
    """Make the kernel's settings read-only, where the sandbox's root is this machine's root too."""
    for name in _LOCKED:
        if os.path.exists(f"proc/{name}"):  # noqa: PTH110 - relative
            linux.mount(f"proc/{name}", f"proc/{name}", None, BIND)
            linux.mount(None, f"proc/{name}", None, BIND | REMOUNT | READ_ONLY | NO_SUID | NO_DEV | NO_EXEC)
