"""What macOS is asked to close by Seatbelt: its rules, as its language is described, and how programs are run by it.

No Mac has seen them: `sandbox-exec` is a script here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from runloop_local.sandbox import open_isolation, probe, seatbelt

from .conftest import run

DATA = "/Users/ann/Library/Application Support/runloop-local/data"
DISKS = "/srv/sandboxes"
DISK = f"{DISKS}/box/disk"
WORKS = """#!/bin/sh
while [ "$1" = -D ] || [ "$1" = -p ]; do printf '%s\\n' "$2" >> {seen}; shift 2; done
exec "$@"
"""
REFUSES = "#!/bin/sh\necho 'sandbox-exec: invalid profile' >&2; exit 65\n"


def rules() -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Each rule of the profile: allow or deny, the operation, and what it is about."""
    profile = seatbelt.confined(("true",), DISK, DISKS)[-2]
    assert profile.count("(") == profile.count(")")
    found = []
    for verb, operation, about in re.findall(r"^\((allow|deny) ([a-z*-]+)((?:.|\n  )*)\)$", profile, re.MULTILINE):
        filters = re.findall(r'\((literal|subpath|regex) #?(?:"([^"]*)"|\(param "(\w+)"\))\)', about)
        parameters = {"DISK": DISK, "DISKS": DISKS, "": ""}
        found.append((verb, operation, [(kind, path or parameters[name]) for kind, path, name in filters]))
    assert len(found) == profile.count("(allow") + profile.count("(deny")
    return found


def fits(kind: str, pattern: str, path: str) -> bool:
    if kind == "regex":
        return re.search(pattern, path) is not None
    return path == pattern or (kind == "subpath" and path.startswith(f"{pattern}/"))


def is_allowed(operation: str, path: str) -> bool:
    """As the last rule that fits says."""
    allowed = False
    for verb, about, filters in rules():
        covers = about in ("default", operation) or (about.endswith("*") and operation.startswith(about[:-1]))
        if covers and (not filters or any(fits(kind, pattern, path) for kind, pattern in filters)):
            allowed = verb == "allow"
    return allowed


@pytest.mark.parametrize(
    ("path", "read", "write"),
    [
        (f"{DISK}/home/results.csv", True, True),
        (f"{DISK}/tmp/x", True, True),
        (f"{DATA}/service.db", False, False),
        (f"{DISKS}/another/disk/home/x", False, False),
        ("/Users/ann/.ssh/id_ed25519", False, False),
        ("/Users/ann/work/paper.ipynb", False, False),
        ("/Users/ben/x", False, False),
        ("/Volumes/backup/x", False, False),
        ("/private/tmp/x", False, False),
        ("/private/var/folders/zz/T/x", False, False),
        ("/private/var/root/x", False, False),
        ("/usr/bin/python3", True, False),
        ("/System/Library/Frameworks/x", True, False),
        ("/opt/homebrew/bin/node", True, False),
        ("/private/etc/hosts", True, False),
        ("/Library/Preferences/x", True, False),
        ("/dev/null", True, True),
        ("/dev/ttys003", True, True),
        ("/dev/disk0", True, False),
        ("/Usersx/y", True, False),
    ],
)
def test_what_is_closed(path: str, read: bool, write: bool) -> None:
    assert is_allowed("file-read-data", path) is read
    assert is_allowed("file-write-data", path) is write
    assert is_allowed("file-read-metadata", path)


def test_what_is_not_about_files_stays_open() -> None:
    assert is_allowed("process-exec", "/bin/ls")
    assert is_allowed("network-outbound", "")


def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A machine without namespaces and Landlock, whose sandbox-exec is this script; returns what it is told."""
    program, seen = tmp_path / "sandbox-exec", tmp_path / "seen"
    program.write_text(script.format(seen=seen) if script == WORKS else script)
    program.chmod(0o755)
    monkeypatch.setattr(seatbelt, "PROGRAM", str(program))
    monkeypatch.setattr(probe, "available_drivers", list)
    monkeypatch.setattr(probe, "has_landlock", lambda: False)
    monkeypatch.setattr(probe, "has_seatbelt", lambda: os.access(seatbelt.PROGRAM, os.X_OK))
    return seen


async def test_programs_run_by_it_with_the_true_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = mac(tmp_path, monkeypatch, WORKS)
    (tmp_path / "true").mkdir()
    (tmp_path / "data").symlink_to("true")
    isolation = await open_isolation(tmp_path / "data")
    try:
        assert isolation.name == "seatbelt"
        assert any("Seatbelt keeps them from writing outside their folder" in note for note in isolation.notes)
        assert any("That is against mistakes" in note for note in isolation.notes)
        sandbox = await isolation.create("box")
        await sandbox.start()
        seen.unlink()
        assert (await run(sandbox, "echo $((6 * 7))")).out == "42\n"
        told = seen.read_text()
        assert f"DISK={tmp_path}/true/process/sandboxes/box/disk\nDISKS={tmp_path}/true/process\n(version 1)" in told
        await sandbox.destroy()
    finally:
        await isolation.aclose()


async def test_where_it_refuses_there_is_none_and_the_notes_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac(tmp_path, monkeypatch, REFUSES)
    isolation = await open_isolation(tmp_path / "data")
    try:
        assert isolation.name == "none"
        assert "Seatbelt does not work here: The command `true` ended with status 65 in a sandbox." in isolation.notes
    finally:
        await isolation.aclose()
