"""Adds to the disk of an image what every devbox has: the account `user` with its home, `sudo`, /tmp and the PATH.

It runs inside a sandbox on that disk, as its root, so that no link of the image leads out. What the image has stays.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from runloop_local.sandbox import accounts, shells, sudo

if TYPE_CHECKING:
    from collections.abc import Iterator

_USER = 1000
_HOME = "/home/user"
_FOLDERS = {"/tmp": 0o1777, "/etc": 0o755, "/root": 0o700, "/home": 0o755}  # noqa: S108 - the disk's own
_SH = "/bin/sh"
_SUDO = "/usr/local/bin/sudo"
USABLE_SERVER = re.compile(r"\s*nameserver\s+(?!127\.|.*:)\S")
"""A server on the loopback interface would be one on the devbox's own, to which nothing is captured."""
_LOCKED = "user:*:19000:0:99999:7:::"
SERVER = "nameserver 192.0.0.1"
"""The line of a resolv.conf without a usable server: no server has this address, and queries to any are captured."""
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
PROFILE = r"""for each in /usr/local/bin /usr/local/sbin /usr/sbin /sbin; do
    case ":$PATH:" in *":$each:"*) ;; *) PATH="$PATH:$each" ;; esac
done
case ":$PATH:" in *":$HOME/.local/bin:"*) ;; *) PATH="$HOME/.local/bin:$PATH" ;; esac
export PATH
unset each
"""
_ALL_PROFILES = 'for each in /etc/profile.d/*.sh; do . "$each"; done\n'
CHROMIUM = 'export CHROMIUM_FLAGS="$CHROMIUM_FLAGS --no-sandbox"\n'
"""Turns off Chromium's own sandbox: it needs user namespaces, which devboxes cannot create."""
APT_AS_ROOT = 'APT::Sandbox::User "root";\n'
"""For disks where all accounts are one: apt cannot become another."""


def furnish(path: str) -> list[str]:
    """Add what is missing; returns what that was. `path` is the PATH of the image."""
    for folder, mode in _FOLDERS.items():
        _make_folder(folder, mode)
    added = [*_account(), *_home(), *_sudo()]
    _write("/etc/profile.d/devbox.sh", f"PATH={_quoted(path)}\n{PROFILE}")
    if not os.path.lexists("/etc/profile"):
        _write("/etc/profile", _ALL_PROFILES)
    _write("/etc/chromium.d/devbox", CHROMIUM)
    if _is_one_account() and os.path.isdir("/etc/apt/apt.conf.d"):  # noqa: PTH112 - a Path would import more
        _write("/etc/apt/apt.conf.d/99devbox", APT_AS_ROOT)
    furnish_names()
    return added


def furnish_names() -> None:
    """Add what programs look names up by; container engines mount it for each step of a build."""
    if not accounts.lines_of("/etc/hosts")[1:]:
        _write("/etc/hosts", _HOSTS)
    if not any(map(USABLE_SERVER.match, accounts.lines_of("/etc/resolv.conf"))):
        _write("/etc/resolv.conf", f"{SERVER}\n")


def passwd_with_user(lines: list[str], shell: str) -> list[str]:
    """The entries of /etc/passwd with `user` first: so the id 1000 is called that, whatever else has it."""
    return [f"user:x:{_USER}:{_USER}::{_HOME}:{shell}", *_without_user(lines)]


def group_with_user(lines: list[str]) -> list[str]:
    """The entries of /etc/group with `user` first."""
    return [f"user:x:{_USER}:", *_without_user(lines)]


def is_user(lines: list[str]) -> bool:
    """True if /etc/passwd has `user` as devboxes need it."""
    entries = [line.split(":") for line in lines]
    first = next((entry for entry in entries if entry[2:3] == [f"{_USER}"]), [])
    named = next((entry for entry in entries if entry[0] == "user"), [])
    return first[:1] == ["user"] and named[2:3] == [f"{_USER}"] and named[5:6] == [_HOME]


def _without_user(lines: list[str]) -> list[str]:
    return [line for line in lines if line and not line.startswith("user:")]


def _with_root(lines: list[str], entry: str) -> list[str]:
    """The entries of /etc/passwd or /etc/group, with root's, which sudo needs."""
    return lines if any(line.startswith("root:") for line in lines) else [*lines, entry]


def _account() -> Iterator[str]:
    lines = accounts.lines_of("/etc/passwd")
    if is_user(lines):
        return
    shell = shells.find(shells.LOGIN) or _SH
    _write("/etc/passwd", _text(_with_root(passwd_with_user(lines, shell), f"root:x:0:0:root:/root:{shell}")))
    _write("/etc/group", _text(_with_root(group_with_user(accounts.lines_of("/etc/group")), "root:x:0:")))
    shadow = accounts.lines_of("/etc/shadow")
    if shadow:
        _write("/etc/shadow", _text([*_without_user(shadow), _LOCKED]), stat.S_IMODE(os.stat("/etc/shadow").st_mode))  # noqa: PTH116
    others = [line.split(":")[2] for line in lines if line.startswith("user:") and line.count(":") > 2]
    instead = f", instead of the image's with uid {others[0][:10]}" if others and others[0] != f"{_USER}" else ""
    yield f"the account user (uid {_USER}){instead}"


def _home() -> Iterator[str]:
    if os.path.isdir(_HOME):  # noqa: PTH112 - as above
        return
    _make_folder(_HOME, 0o755)
    for name in os.listdir("/etc/skel") if os.path.isdir("/etc/skel") else ():  # noqa: PTH112, PTH208 - as above
        _copy_file(f"/etc/skel/{name}", f"{_HOME}/{name}")
    os.chown(_HOME, _USER, _USER)
    yield f"its home {_HOME}"


def _copy_file(source: str, target: str) -> None:
    if stat.S_ISREG(os.lstat(source).st_mode):
        with open(source, "rb") as file:  # noqa: PTH123 - as above
            _write(target, file.read(1 << 20))
        os.chown(target, _USER, _USER)


def _sudo() -> Iterator[str]:
    if os.path.lexists(_SUDO):
        return
    program = sudo.program(os.uname().machine)
    if _is_one_account():
        _make_folder(os.path.dirname(_SUDO))  # noqa: PTH120 - as above
        os.symlink(sudo.SCRIPT_PATH, _SUDO)  # noqa: PTH211 - as above
    elif program is None:
        return
    else:
        _write(_SUDO, program, 0o4755)
    _write(sudo.SCRIPT_PATH, sudo.SCRIPT, 0o755)
    yield "sudo, without a password"


def _is_one_account() -> bool:
    """True if the sandbox has a single uid, which all its accounts are."""
    with open("/proc/self/uid_map", "rb") as file:  # noqa: PTH123 - as above
        return file.read(4096).split()[2:3] == [b"1"]


def _make_folder(path: str, mode: int = 0o755) -> None:
    """Make a folder, and what its links lead to: images have /home or /usr/local elsewhere, in a folder yet to come."""
    if not os.path.isdir(path):  # noqa: PTH112 - as above
        os.makedirs(os.path.realpath(path))  # noqa: PTH103 - as above
        os.chmod(path, mode)  # noqa: PTH101 - as above


def _write(path: str, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file anew: a link in its place is replaced, not followed."""
    _make_folder(os.path.dirname(path))  # noqa: PTH120 - as above
    part = f"{path}.new"
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        os.write(file, data)
        os.fchmod(file, mode)
    finally:
        os.close(file)
    os.rename(part, path)  # noqa: PTH104 - as above


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines if line)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
