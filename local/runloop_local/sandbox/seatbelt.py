"""Closes this machine's files to programs, by the `sandbox-exec` of macOS (Seatbelt): for Macs without an engine."""

from __future__ import annotations

import os

PROGRAM = "/usr/bin/sandbox-exec"

# The last rule that fits decides. Reading is closed where people keep files, not everywhere: programs of macOS read
# all over the system, and one that is refused a library does not start.
_PROFILE = """\
(version 1)
(allow default)
(deny file-write*)
(allow file-write*
  (subpath (param "DISK"))
  (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty") (literal "/dev/ptmx")
  (literal "/dev/dtracehelper") (regex #"^/dev/ttys[0-9]+$") (subpath "/dev/fd"))
(deny file-read*
  (subpath "/Users") (subpath "/Volumes") (subpath "/Network") (subpath "/home")
  (subpath "/private/tmp") (subpath "/private/var/folders") (subpath "/private/var/root") (subpath (param "DISKS")))
(allow file-read-metadata)
(allow file-read* (subpath (param "DISK")))
"""


def confined(argv: tuple[str, ...], disk: str, disks: str) -> tuple[str, ...]:
    """The arguments that run a program with the files of `disk` and the system's, but not with others of `disks`."""
    # Rules are about true paths: /tmp is /private/tmp on a Mac.
    parameters = (f"DISK={os.path.realpath(disk)}", f"DISKS={os.path.realpath(disks)}")
    return (PROGRAM, *(part for each in parameters for part in ("-D", each)), "-p", _PROFILE, *argv)
