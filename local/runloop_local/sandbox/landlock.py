"""Restricts this process and its children to parts of the file system, by Linux's Landlock."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from runloop_local.sandbox import host_mounts, linux

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_QUERY_VERSION = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1, 2, 4, 8, 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/proc", "/var/lib/dpkg", "/sys/devices")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PRIVATE_IN_ETC = frozenset({"shadow", "shadow-", "gshadow", "gshadow-", "ssh", "sudoers", "sudoers.d"})


def version() -> int:
    """The Landlock ABI version of the kernel; 0 if it has none."""
    try:
        return linux.call("syscall", _CREATE_RULESET, None, 0, _QUERY_VERSION)
    except OSError:
        return 0


def scopes_signals() -> bool:
    """True if the kernel's Landlock also restricts signals and abstract unix sockets."""
    return version() >= 6


def restrict(folder: str) -> None:
    """Restrict this process and its children to writing in one folder and reading the system's programs."""
    everything = _all_rights()
    ruleset = _create(everything)
    left_out = host_mounts.hanging() & {"/opt"}
    for path in [each for each in (*_READABLE, *_etc()) if each not in left_out]:
        _allow(ruleset, path, _READ, everything)
    for name in _DEVICES:
        _allow(ruleset, f"/dev/{name}", _READ_FILE | _WRITE_FILE | _IOCTL_DEV, everything)
    _allow(ruleset, folder, everything, everything)
    linux.no_new_privileges()
    linux.call("syscall", _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _all_rights() -> int:
    newest = version()  # rights that a kernel does not know are an error, so only those of its version are asked for
    bits = 16 if newest >= 5 else 15 if newest >= 3 else 14 if newest == 2 else 13
    return (1 << bits) - 1


def _create(rights: int) -> int:
    scoped = scopes_signals()
    attributes = struct.pack("QQQ", rights, 0, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if scoped else 0)
    return linux.call("syscall", _CREATE_RULESET, attributes, 24 if scoped else 8, 0)


def _allow(ruleset: int, path: str, rights: int, known: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not Path(path).is_dir():
        rights &= _FILE_RIGHTS
    linux.call("syscall", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights & known, fd), 0)
    os.close(fd)


def _etc() -> list[str]:
    """The world-readable entries of /etc: Landlock rules for the rest would open it to root."""
    hanging = host_mounts.hanging()
    shown = [each for each in os.scandir("/etc") if each.name not in _PRIVATE_IN_ETC and each.path not in hanging]
    open_to_all = [entry for entry in shown if _is_open(entry)]
    return [path for entry in open_to_all for path in _split(entry)]


def _split(entry: os.DirEntry[str]) -> list[str]:
    if entry.name in ("ssl", "pki"):  # they hold private keys beside the certificates that everything needs
        return [inner.path for inner in os.scandir(entry.path) if inner.name != "private" and _is_open(inner)]
    return [entry.path]


def _is_open(entry: os.DirEntry[str]) -> bool:
    try:
        return bool(entry.stat().st_mode & 0o004)
    except OSError:  # a dangling link
        return False
