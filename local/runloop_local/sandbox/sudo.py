"""`sudo` inside a devbox, independent of this machine's: `user` may run anything without a password.

Where the devbox has several uids, a set-uid executable of a few instructions becomes root and executes the script.
Where it has only one, the script enters a user namespace that maps it to root.
"""

from __future__ import annotations

import struct

SCRIPT_PATH = "/usr/local/lib/devbox/sudo"

SCRIPT = r"""#!/bin/sh
# sudo of a devbox: everything is allowed, without a password.
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin
[ "$(id -u)" = 0 ] || exec unshare --map-root-user -- "$0" "$@"
user=root shell= login= keep=
while [ $# -gt 0 ]; do
  case $1 in
    -u|--user|-[AbEHknPS]*u) user=$2; shift ;;
    --user=*) user=${1#*=} ;;
    -u*) user=${1#-u} ;;
    -g|-h|-p|-C|-T|-r|-t|-D|-R|-U|--group|--host|--prompt|--chdir|--chroot) shift ;;
    -i|--login) login=1 ;;
    -s|--shell) shell=1 ;;
    -E|--preserve-env|-[AbHknPS]*E*) keep=1 ;;
    --) shift; break ;;
    -*) ;;
    *=*) export "$1" ;;
    *) break ;;
  esac
  shift
done
entry=$(getent passwd "$user" 2>/dev/null) || while IFS= read -r line; do
  case $line in "$user":*) entry=$line; break ;; esac
done </etc/passwd
[ -n "$entry" ] || {
  echo "sudo: unknown user $user" >&2
  exit 1
}
IFS=: read -r _ _ _ _ _ home program <<END
$entry
END
[ -n "$keep" ] || export HOME="$home"
export USER="$user" LOGNAME="$user" SUDO_USER=user SUDO_UID=1000 SUDO_GID=1000
if [ -n "$login$shell" ]; then
  [ -z "$login" ] || cd "$home" || exit 1
  if [ $# -gt 0 ]; then set -- "$program" ${login:+-l} -c "$*"; else set -- "$program" ${login:+-l}; fi
fi
[ $# -gt 0 ] || exit 0
[ "$user" = root ] && exec "$@"
case $(setpriv --help 2>&1) in
  *--reuid*) exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@" ;;
esac
exec su -s /bin/sh "$user" -c 'exec "$0" "$@"' "$@"
"""

_BASE = 0x400000
_HEADERS = 64 + 56
_MACHINES = {"x86_64": 62, "aarch64": 183}


def program(machine: str) -> bytes | None:
    """A static executable that becomes root and runs the script with its arguments; None for an unknown machine."""
    if machine not in _MACHINES:
        return None
    path = SCRIPT_PATH.encode() + b"\0"
    code = _x86_64() if machine == "x86_64" else _aarch64()
    size = _HEADERS + len(code) + len(path)
    return _headers(_MACHINES[machine], size) + code + path


def _headers(machine: int, size: int) -> bytes:
    """The ELF headers, with one read-execute segment that spans the whole file."""
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    file = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return identity + file + segment


def _x86_64() -> bytes:
    zero = b"\x31\xff\x31\xf6\x31\xd2"  # edi = esi = edx = 0
    calls = [zero + b"\xb8" + struct.pack("<I", number) + b"\x0f\x05" for number in (116, 119, 117)]
    execute = (
        b"\x48\x8b\x0c\x24"  # rcx = argc
        b"\x48\x8d\x74\x24\x08"  # rsi = argv
        b"\x48\x8d\x54\xce\x08"  # rdx = the environment behind it
        b"\x48\x8d\x3d\x10\x00\x00\x00"  # rdi = the path behind the code
        b"\xb8\x3b\x00\x00\x00\x0f\x05"  # execve
        b"\xb8\x3c\x00\x00\x00\x0f\x05"  # exit
        b"\x0f\x0b"
    )
    return b"".join(calls) + execute  # setgroups, setresgid, setresuid


def _aarch64() -> bytes:
    zero, supervisor = (0xD2800000, 0xD2800001, 0xD2800002), 0xD4000001
    calls = [(*zero, _number(number), supervisor) for number in (159, 149, 147)]
    execute = (
        0xF94003E3,  # x3 = argc
        0x910023E1,  # x1 = argv
        0x8B030C22,  # x2 = x1 + 8 * argc
        0x91002042,  # x2 += 8: the environment
        0x100000A0,  # x0 = the path, five instructions on
        _number(221),
        supervisor,
        _number(93),
        supervisor,
    )
    words = [word for call in (*calls, execute) for word in call]
    return struct.pack(f"<{len(words)}I", *words)


def _number(call: int) -> int:
    return 0xD2800008 | call << 5  # x8 = call
