"""Builds the layers below every sandbox: the account `user`, `sudo`, and covers over private files of this machine.

A sandbox may see what any account of this machine may read. If the service is root, the rest is covered. If it is
unprivileged, the kernel protects the rest, but this machine's folders belong to uids that the sandbox lacks: a second
layer, the skeleton, contains them again, to make them writable. It takes seconds to build, so it is built separately.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_local.sandbox import furnishing, host_mounts, rootfs, sudo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runloop_local.sandbox.host_mounts import HostMount

_PRIVATE_TREES = ("etc", "var", "opt", "srv")
_OWN_FOLDERS = {"home": 0o755, "root": 0o700, "tmp": 0o1777, "mnt": 0o755, "media": 0o755}
_MOUNT_POINTS = ("proc", "sys", "dev", "run")
_NOT_COPIED = "/var/cache/apt"
_COPY_LIMIT = 8 << 20
_LOCKED_ACCOUNT = "*:19000:0:99999:7:::"
_APT = r"""DPkg::Pre-Install-Pkgs {"while read d; do dpkg -L $(dpkg-deb -f $d Package) 2>/dev/null; done | while read f; do [ -f $f ] && [ ! -L $f ] && [ ! -O $f ] && cp -p $f $f.own && mv -f $f.own $f; done; true";};
"""  # noqa: E501 - dpkg hard-links the old files on an upgrade, which fails for files of other uids: copy them first


_PIP = Path("/etc/pip.conf")
_PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build(layers: str, shift: int, *, real_accounts: bool) -> None:
    """Build the base layer in this folder of layers, atomically. `shift` is added to every uid and gid."""
    layer, unfinished = _start_layer(layers, rootfs.BASE)
    _make_rest(unfinished / rootfs.REST)
    if real_accounts:
        _mask_private(unfinished)
    _make_accounts(unfinished / "etc")
    _make_python(unfinished)
    _make_chromium_setting(unfinished / "etc")
    _make_sudo(unfinished / "usr/local", real_accounts=real_accounts)
    if real_accounts:
        _shift_owners(unfinished, shift)
    unfinished.rename(layer)


def build_skeleton(layers: str) -> None:
    """Build the skeleton layer: this machine's folders, owned by this account, and copies of files in /etc and /var."""
    layer, unfinished = _start_layer(layers, rootfs.SKELETON)
    mounted = host_mounts.by_folder()
    for top in rootfs.overlaid():
        for folder, folders, files in os.walk(f"/{top}"):
            _copy_folder(unfinished, folder, folders, mounted)
            folders[:] = [name for name in folders if f"{folder}/{name}" not in mounted]
            if top in rootfs.COPIED and not folder.startswith(_NOT_COPIED):
                for name in files:
                    _copy_file(f"{folder}/{name}", f"{unfinished}{folder}/{name}", mounted)
    apt = unfinished / "etc/apt/apt.conf.d"
    if apt.is_dir():
        _write_lines(apt / "99devbox", [*furnishing.APT_AS_ROOT.splitlines(), *_APT.splitlines()])
    unfinished.rename(layer)


def _start_layer(layers: str, name: str) -> tuple[Path, Path]:
    """The layer's folder, and a new temporary one to be renamed to it; what is left of earlier ones is deleted."""
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
    _write_lines(etc / "passwd", accounts)
    _write_lines(etc / "group", groups)
    _write_lines(etc / "shadow", [f"{name}:{_LOCKED_ACCOUNT}" for name in _names(accounts)], 0o600)
    _write_lines(etc / "gshadow", [f"{name}:!::" for name in _names(groups)], 0o600)
    _write_lines(etc / "hosts", ["127.0.0.1 localhost", "::1 localhost"])
    _write_lines(etc / "resolv.conf", _resolver(Path("/etc/resolv.conf")))


def _resolver(machine: Path) -> list[str]:
    """The lines of a resolv.conf like this machine's: whatever server it names, queries are captured on their way."""
    lines = machine.read_text(errors="replace").splitlines() if machine.is_file() else []
    usable = [line for line in lines if line.split()[:1] != ["nameserver"] or furnishing.USABLE_SERVER.match(line)]
    return usable if any(map(furnishing.USABLE_SERVER.match, usable)) else [*usable, furnishing.SERVER]


def _make_python(layer: Path) -> None:
    """Let pip install into the system's Python, put its scripts on the PATH, and add `python` if it is missing."""
    pip = ConfigParser(interpolation=None, strict=False)
    with suppress(ConfigParserError, OSError, UnicodeError):  # missing or unreadable
        # A link is not followed: its target may be private.
        if not _PIP.is_symlink() and not _is_private(str(_PIP), 0o004, host_mounts.by_folder()):
            pip.read(_PIP)
    if not pip.has_section("global"):
        pip.add_section("global")
    pip["global"].update({"break-system-packages": "true", "root-user-action": "ignore"})
    with (layer / "etc/pip.conf").open("w") as file:
        pip.write(file)
    (layer / "etc/profile.d").mkdir(exist_ok=True)
    _write_lines(layer / "etc/profile.d/devbox.sh", furnishing.PROFILE.splitlines())
    programs = layer / "usr/local/bin"
    programs.mkdir(parents=True, exist_ok=True)
    if shutil.which("python", path=_PROGRAMS) is None and shutil.which("python3", path="/usr/bin") is not None:
        (programs / "python").symlink_to("/usr/bin/python3")


def _make_chromium_setting(etc: Path) -> None:
    """Turn off Chromium's own sandbox: it needs user namespaces, which devboxes cannot create."""
    (etc / "chromium.d").mkdir()
    _write_lines(etc / "chromium.d/devbox", furnishing.CHROMIUM.splitlines())


def _lines(path: str, *, but: str) -> list[str]:
    """The entries of an account file, except that name and the id 1000."""
    entries = [line.split(":") for line in Path(path).read_text().splitlines() if line.count(":") > 2]
    return [":".join(entry) for entry in entries if entry[0] != but and entry[2] != "1000"]


def _names(lines: list[str]) -> list[str]:
    return [line.split(":")[0] for line in lines]


def _write_lines(path: Path, lines: list[str], mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(mode)


def _make_sudo(local: Path, *, real_accounts: bool) -> None:
    script = local / "lib/devbox/sudo"
    script.parent.mkdir(parents=True, exist_ok=True)
    _write_lines(script, sudo.SCRIPT.splitlines(), 0o755)
    program = sudo.program(platform.machine())
    if not real_accounts:
        (local / "bin/sudo").symlink_to(sudo.SCRIPT_PATH)
    elif program is not None:
        (local / "bin/sudo").write_bytes(program)
        (local / "bin/sudo").chmod(0o4755)


def _mask_private(layer: Path) -> None:
    """Hide what other accounts of this machine may not read: whiteouts for files, opaque empty folders for folders.

    Mount points are always masked, because an overlay shows what lies below a mount.
    """
    mounted = host_mounts.by_folder()
    visible = [f"/{top}" for top in rootfs.overlaid() if top in _PRIVATE_TREES]
    while visible:
        folder = visible.pop()
        for entry in _entries(folder):
            if entry.is_symlink():
                continue  # what it leads to is looked at where that is
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and entry.path in mounted:
                _mask_folder(layer, folder, entry.name, is_mounted=True)
            elif not _is_private(entry.path, 0o005 if is_folder else 0o004, mounted):
                if is_folder:
                    visible.append(entry.path)
            elif is_folder:
                _mask_folder(layer, folder, entry.name, is_mounted=False)
            else:
                _create_parents(layer, folder)
                os.mknod(f"{layer}{folder}/{entry.name}", stat.S_IFCHR, 0)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """The entries of a folder, with their kinds; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # deleted meanwhile, or not accessible
        return []


def _is_private(path: str, wanted: int, mounted: Mapping[str, HostMount]) -> bool:
    if path in mounted and mounted[path].may_hang:
        return True
    try:
        mode = os.lstat(path).st_mode
    except OSError:  # deleted meanwhile, or not accessible
        return True
    return not stat.S_ISLNK(mode) and mode & wanted != wanted


def _mask_folder(layer: Path, folder: str, name: str, *, is_mounted: bool) -> None:
    if is_mounted:
        _create_parents(layer, folder)
        Path(f"{layer}{folder}/{name}").mkdir()
    else:
        _create_parents(layer, f"{folder}/{name}")
    os.setxattr(f"{layer}{folder}/{name}", "trusted.overlay.opaque", b"y")


def _create_parents(layer: Path, folder: str) -> None:
    """Create a folder and its parents in the layer, with their modes and owners on this machine."""
    target = Path(f"{layer}{folder}")
    if target.exists():
        return
    if folder.count("/") > 1:
        _create_parents(layer, os.path.dirname(folder))  # noqa: PTH120 - a string from os.walk
    target.mkdir(parents=True)
    found = Path(folder).stat()
    os.chown(target, found.st_uid, found.st_gid)
    target.chmod(stat.S_IMODE(found.st_mode))


def _shift_owners(layer: Path, shift: int) -> None:
    """Shift all owners, and give the home folder to `user`. chown clears set-uid bits, so modes are set again."""
    home = layer / rootfs.REST / "home/user"
    for path in _walk(layer):
        found = path.lstat()
        inside = path == home or home in path.parents
        owner = (1000, 1000) if inside else (found.st_uid, found.st_gid)
        os.chown(path, owner[0] + shift, owner[1] + shift, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            path.chmod(stat.S_IMODE(found.st_mode))


def _walk(layer: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(layer):
        for name in (*folders, *files):
            yield Path(folder, name)


def _copy_folder(layer: Path, folder: str, inner: list[str], mounted: Mapping[str, HostMount]) -> None:
    target = Path(f"{layer}{folder}")
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(stat.S_IMODE(Path(folder).stat().st_mode) | 0o700)
    for name in inner:
        if f"{folder}/{name}" in mounted or not os.access(f"{folder}/{name}", os.R_OK | os.X_OK):
            (target / name).mkdir()
            os.setxattr(target / name, "user.overlay.opaque", b"y")


def _copy_file(source: str, target: str, mounted: Mapping[str, HostMount]) -> None:
    if source in mounted and mounted[source].may_hang:
        return
    found = os.lstat(source)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _COPY_LIMIT:
        return
    try:
        shutil.copy2(source, target)
    except PermissionError:
        Path(target).touch()  # an empty file covers one that this account may not read
