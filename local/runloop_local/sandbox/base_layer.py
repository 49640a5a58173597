"""The layers below every sandbox: the account `user`, `sudo`, and covers for what is private on this machine.

A sandbox sees of this machine what any account may read. Root could read more, so there the rest is covered.
Without privileges the kernel sees to that, but this machine's folders belong to an account that a sandbox does not
have: a second layer, the skeleton, holds them anew, to make them writable. It takes seconds, so it is made apart.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_local.sandbox import rootfs, sudo

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIVATE_TREES = ("etc", "var", "opt", "srv")
_OWN_FOLDERS = {"home": 0o755, "root": 0o700, "tmp": 0o1777, "mnt": 0o755, "media": 0o755}
_MOUNT_POINTS = ("proc", "sys", "dev", "run")
_COPIED = ("etc", "var")
_NOT_COPIED = "/var/cache/apt"
_COPY_LIMIT = 8 << 20
_LOCKED_ACCOUNT = "*:19000:0:99999:7:::"
_APT = r"""APT::Sandbox::User "root";
DPkg::Pre-Install-Pkgs {"while read d; do dpkg -L $(dpkg-deb -f $d Package) 2>/dev/null; done | while read f; do [ -f $f ] && [ ! -L $f ] && [ ! -O $f ] && cp -p $f $f.own && mv -f $f.own $f; done; true";};
"""  # noqa: E501 - a package's host files become ours before an upgrade links them, which others' files refuse


def build(layers: str, shift: int, *, real_accounts: bool) -> None:
    """Make the layer in this folder of layers, whole or not at all. `shift` is added to every owner."""
    layer, unfinished = _begin(layers, rootfs.BASE)
    _make_rest(unfinished / rootfs.REST)
    if real_accounts:
        _cover(unfinished)
    _make_accounts(unfinished / "etc")
    _make_sudo(unfinished / "usr/local", real_accounts=real_accounts)
    if real_accounts:
        _give_away(unfinished, shift)
    unfinished.rename(layer)


def build_skeleton(layers: str) -> None:
    """This machine's folders as folders of our account, and copies of what programs write to."""
    layer, unfinished = _begin(layers, rootfs.SKELETON)
    for top in rootfs.overlaid():
        for folder, folders, files in os.walk(f"/{top}"):
            _own_folder(unfinished, folder, folders)
            if top in _COPIED and not folder.startswith(_NOT_COPIED):
                for name in files:
                    _own_file(f"{folder}/{name}", f"{unfinished}{folder}/{name}")
    apt = unfinished / "etc/apt/apt.conf.d"
    if apt.is_dir():
        _put(apt / "99devbox", _APT.splitlines())
    unfinished.rename(layer)


def _begin(layers: str, name: str) -> tuple[Path, Path]:
    """The layer's folder, and an unfinished one that will be renamed to it."""
    layer, unfinished = Path(layers, name), Path(layers, f"{name}.new")
    for old in (unfinished, layer):
        if old.exists():
            shutil.rmtree(old)
    unfinished.mkdir()
    return layer, unfinished


def _make_rest(rest: Path) -> None:
    modes = {**_OWN_FOLDERS, **dict.fromkeys([*_MOUNT_POINTS, *rootfs.overlaid()], 0o755)}
    for name, mode in modes.items():
        (rest / name).mkdir(parents=True)
        (rest / name).chmod(mode)
    for name, target in rootfs.linked().items():
        (rest / name).symlink_to(target)
    home = rest / "home/user"
    skeleton = Path("/etc/skel")
    if skeleton.is_dir():
        shutil.copytree(skeleton, home, symlinks=True)
    home.mkdir(exist_ok=True)


def _make_accounts(etc: Path) -> None:
    etc.mkdir(exist_ok=True)
    accounts = [*_lines("/etc/passwd", but="user"), "user:x:1000:1000::/home/user:/bin/bash"]
    groups = [*_lines("/etc/group", but="user"), "user:x:1000:"]
    _put(etc / "passwd", accounts)
    _put(etc / "group", groups)
    _put(etc / "shadow", [f"{name}:{_LOCKED_ACCOUNT}" for name in _names(accounts)], 0o600)
    _put(etc / "gshadow", [f"{name}:!::" for name in _names(groups)], 0o600)
    _put(etc / "hosts", ["127.0.0.1 localhost", "::1 localhost"])
    resolver = Path("/etc/resolv.conf")
    _put(etc / "resolv.conf", resolver.read_text().splitlines() if resolver.is_file() else [])


def _lines(path: str, *, but: str) -> list[str]:
    """The entries of an account file, but for that name and the number 1000."""
    entries = [line.split(":") for line in Path(path).read_text().splitlines() if line.count(":") > 2]
    return [":".join(entry) for entry in entries if entry[0] != but and entry[2] != "1000"]


def _names(lines: list[str]) -> list[str]:
    return [line.split(":")[0] for line in lines]


def _put(path: Path, lines: list[str], mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(mode)


def _make_sudo(local: Path, *, real_accounts: bool) -> None:
    script = local / "lib/devbox/sudo"
    script.parent.mkdir(parents=True, exist_ok=True)
    _put(script, sudo.SCRIPT.splitlines(), 0o755)
    (local / "bin").mkdir(exist_ok=True)
    program = sudo.program(platform.machine())
    if not real_accounts:
        (local / "bin/sudo").symlink_to(sudo.SCRIPT_PATH)
    elif program is not None:
        (local / "bin/sudo").write_bytes(program)
        (local / "bin/sudo").chmod(0o4755)


def _cover(layer: Path) -> None:
    """Hide what this machine's other accounts may not read: a whiteout for a file, an empty folder for a folder."""
    for top in _PRIVATE_TREES:
        for folder, folders, files in os.walk(f"/{top}"):
            for name in folders.copy():
                if _is_private(f"{folder}/{name}", 0o005):
                    folders.remove(name)
                    _cover_folder(layer, f"{folder}/{name}")
            for name in files:
                if _is_private(f"{folder}/{name}", 0o004):
                    _parents(layer, folder)
                    os.mknod(f"{layer}{folder}/{name}", stat.S_IFCHR, 0)


def _is_private(path: str, wanted: int) -> bool:
    mode = os.lstat(path).st_mode
    return not stat.S_ISLNK(mode) and mode & wanted != wanted


def _cover_folder(layer: Path, path: str) -> None:
    _parents(layer, path)
    os.setxattr(f"{layer}{path}", "trusted.overlay.opaque", b"y")


def _parents(layer: Path, folder: str) -> None:
    """The folder in the layer, it and all above it with the mode and owner that they have on this machine."""
    target = Path(f"{layer}{folder}")
    if target.exists():
        return
    if folder.count("/") > 1:
        _parents(layer, os.path.dirname(folder))  # noqa: PTH120 - a string from os.walk
    target.mkdir(parents=True)
    found = Path(folder).stat()
    os.chown(target, found.st_uid, found.st_gid)
    target.chmod(stat.S_IMODE(found.st_mode))


def _give_away(layer: Path, shift: int) -> None:
    """Shift all owners; the home belongs to `user`. chown takes set-uid bits away, so modes are set again."""
    home = layer / rootfs.REST / "home/user"
    for path in _everything(layer):
        found = path.lstat()
        inside = path == home or home in path.parents
        owner = (1000, 1000) if inside else (found.st_uid, found.st_gid)
        os.chown(path, owner[0] + shift, owner[1] + shift, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            path.chmod(stat.S_IMODE(found.st_mode))


def _everything(layer: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(layer):
        for name in (*folders, *files):
            yield Path(folder, name)


def _own_folder(layer: Path, folder: str, inner: list[str]) -> None:
    target = Path(f"{layer}{folder}")
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(stat.S_IMODE(Path(folder).stat().st_mode) | 0o700)
    for name in inner:
        if not os.access(f"{folder}/{name}", os.R_OK | os.X_OK):
            (target / name).mkdir()
            os.setxattr(target / name, "user.overlay.opaque", b"y")


def _own_file(source: str, target: str) -> None:
    found = os.lstat(source)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _COPY_LIMIT:
        return
    try:
        shutil.copy2(source, target)
    except PermissionError:
        Path(target).touch()  # an empty file of ours covers one that we may not read
