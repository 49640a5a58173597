"""The accounts of a disk, read from its own /etc/passwd and /etc/group.

The name service is never asked: its libraries would be the disk's code, run in the agent.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LARGEST = 4 << 20
"""The size in bytes up to which these files are read."""
_IDS = 1 << 32


class UnknownAccountError(OSError):
    """A disk has no such account or group; the text is part of a sentence."""


class Account(NamedTuple):
    """The ids of a program, and its home folder."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups."""
    home: str = "/"


def account_of(spec: str) -> Account:
    """The account that `user` or `user:group` names on the current root; raises `UnknownAccountError`."""
    return find(spec, lines_of("/etc/passwd"), lines_of("/etc/group"))


def find(spec: str, passwd: Iterable[str], group: Iterable[str]) -> Account:
    """The account that `user` or `user:group` names, by names or numbers; raises `UnknownAccountError`.

    As in Docker, a number need not have an entry: it then has the group 0, and / as its home.
    """
    user, _, named_group = spec.partition(":")
    groups = list(_entries(group, 3))
    accounts = list(_entries(passwd, 6))
    found = next((entry for field in (0, 2) for entry in accounts if entry[field] == user), None)
    if found is None and not _is_id(user):
        raise UnknownAccountError(f"there is no account {user}")
    gid = _gid(named_group, groups) if named_group else 0 if found is None else int(found[3])
    if found is None:
        return Account(int(user), gid)
    # A group that is named takes the place of all others.
    more = [] if named_group else [int(entry[2]) for entry in groups if found[0] in "".join(entry[3:4]).split(",")]
    return Account(int(found[2]), gid, tuple(dict.fromkeys([gid, *more])), found[5] or "/")


def owner(spec: str, passwd: Iterable[str], group: Iterable[str]) -> tuple[int, int]:
    """The ids of the owner that `user`, `user:group` or `:group` names; a number alone is both of them."""
    user, _, named_group = spec.partition(":")
    if not user:
        return 0, _gid(named_group, list(_entries(group, 3)))
    found = find(spec, passwd, group)
    return found.uid, found.uid if not named_group and not found.groups else found.gid


def owner_of(spec: str) -> tuple[int, int]:
    """The ids of the owner that this names on the current root; raises `UnknownAccountError`."""
    return owner(spec, lines_of("/etc/passwd"), lines_of("/etc/group"))


def lines_of(path: str) -> list[str]:
    """The lines of an account file of the current root; none if it is missing, or no file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not keep us waiting
    except OSError:
        return []
    try:
        data = os.read(file, _LARGEST) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)
    return data.decode("utf-8", "surrogateescape").split("\n")


def switch(account: Account) -> None:
    """Become this account for good; the caller must be the sandbox's root."""
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def _gid(name: str, groups: list[list[str]]) -> int:
    found = next((int(entry[2]) for entry in groups if entry[0] == name), None)
    if found is None and not _is_id(name):
        raise UnknownAccountError(f"there is no group {name}")
    return int(name) if found is None else found


def _entries(lines: Iterable[str], fields: int) -> Iterator[list[str]]:
    """The entries that have so many fields at least, with numbers for ids; others are no accounts."""
    for line in lines:
        entry = line.split(":")
        if len(entry) >= fields and all(map(_is_id, entry[2 : 4 if fields > 3 else 3])):
            yield entry


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < _IDS
