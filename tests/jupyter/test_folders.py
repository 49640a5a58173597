"""Folders that are pushed, pulled, uploaded and downloaded: each case of real use, with what is right."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from tests.jupyter import kernels
from tests.jupyter.remote import remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Kernel

NOTHING = ((), (), ())


@pytest.fixture(scope="module")
def kernel(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        yield started


@pytest.fixture
def here(kernel: Kernel, home: Home, tmp_path: Path) -> Path:
    """An empty folder here, and an empty home there."""
    kernel.run(f"%cd -q {tmp_path}").check()
    remote(home, "chmod -R u+rwx ~/w 2>/dev/null; rm -rf ~/w && mkdir ~/w")
    return tmp_path


def run(kernel: Kernel, line: str) -> str:
    """The sentence that a magic answers; its item is `done` in the kernel."""
    told: str = kernel.run(f"r = {line}\ndone = r.item\nr").check().results[-1]
    return told


def moved(kernel: Kernel, line: str) -> tuple[object, object, object]:
    """What was sent, deleted and made."""
    run(kernel, line)
    found: tuple[object, object, object] = kernel.value("(done.sent, done.deleted, done.made)")
    return found


def test_pull_replaces_a_link_instead_of_writing_through_it(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir w/d && echo theirs > w/d/latest")
    (here / "d").mkdir()
    (here / "d/run1.txt").write_text("mine")
    (here / "d/latest").symlink_to("run1.txt")
    assert moved(kernel, "%devbox pull w/d d") == (("latest",), (), ())
    assert ((here / "d/run1.txt").read_text(), (here / "d/latest").is_symlink()) == ("mine", False)
    assert moved(kernel, "%devbox pull w/d d") == NOTHING


def test_push_replaces_a_link_instead_of_writing_through_it(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir w/d && echo theirs > w/d/run1.txt && ln -s run1.txt w/d/latest")
    (here / "d").mkdir()
    (here / "d/latest").write_text("mine")
    assert moved(kernel, "%devbox push d w/d") == (("latest",), (), ())
    assert remote(home, "cd w/d && cat run1.txt latest && find . -type l") == "theirs\nmine"


def test_nothing_is_deleted_where_a_folder_could_not_be_listed(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir -p w/d/s && echo a > w/d/a && echo b > w/d/s/b && echo c > w/d/c")
    run(kernel, "%devbox pull w/d d")
    remote(home, "chmod 000 w/d/s && rm w/d/c")
    told = run(kernel, "%devbox pull w/d d --delete")
    assert "'s' (a folder that cannot be listed)" in told, told
    assert kernel.value("done.deleted") == ("c",)
    assert (here / "d/s/b").read_text() == "b\n"


def test_nothing_is_deleted_when_the_listing_fails_without_a_reason(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir w/d && echo a > w/d/a")
    run(kernel, "%devbox pull w/d d")
    (here / "d/mine").write_text("mine")
    # It fails wherever it is asked to list, and not where it is asked whether it is GNU find.
    find = """#!/bin/sh\n/usr/bin/find "$@"\n[ "$1" = / ]\n"""
    remote(home, f"mkdir -p .local/bin && printf %s {shlex.quote(find)} > .local/bin/find")
    remote(home, "chmod +x .local/bin/find")
    try:
        told = run(kernel, "%devbox pull w/d d --delete")
    finally:
        remote(home, "rm .local/bin/find")
    assert "Nothing was deleted" in told, told
    assert (here / "d/mine").exists()


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_times_count_with_their_fractions(kernel: Kernel, home: Home, here: Path, verb: str) -> None:
    line = f"%devbox {verb} {'f w/f' if verb == 'push' else 'w/f f'}"

    def write(text: str, fraction: int) -> None:
        if verb == "push":
            (here / "f").mkdir(exist_ok=True)
            (here / "f/x").write_text(text)
            os.utime(here / "f/x", ns=(0, 1_700_000_000_000_000_000 + fraction))
        else:
            remote(home, f"mkdir -p w/f && printf {text} > w/f/x && touch -d @1700000000.{fraction:09} w/f/x")

    write("1", 100_000_000)
    assert moved(kernel, line)[0] == ("x",)
    assert moved(kernel, line) == NOTHING
    write("2", 900_000_000)
    assert moved(kernel, line)[0] == ("x",)
    content = remote(home, "cat w/f/x") if verb == "push" else (here / "f/x").read_text()
    assert content == "2"
    write("2", 900_000_001)  # the content decides
    assert moved(kernel, line) == NOTHING


MADE = {"file": "echo {0} > {0}", "folder": "mkdir {0} && echo in > {0}/in", "link": "ln -s nowhere {0}"}


def make(here: Path, kind: str) -> None:
    if kind == "folder":
        (here / "d/x").mkdir()
        (here / "d/x/in").write_text("in\n")
    elif kind == "link":
        (here / "d/x").symlink_to("nowhere")
    else:
        (here / "d/x").write_text("x\n")


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize(
    ("source", "target"), [("file", "folder"), ("folder", "file"), ("folder", "link"), ("link", "folder")]
)
def test_a_file_in_place_of_a_folder_is_replaced_with_delete_only(
    kernel: Kernel, home: Home, here: Path, verb: str, source: str, target: str
) -> None:
    ours, theirs = (source, target) if verb == "push" else (target, source)
    (here / "d").mkdir()
    (here / "d/other").write_text("other\n")
    make(here, ours)
    remote(home, f"mkdir w/d && cd w/d && {MADE[theirs].format('x')} && echo other2 > other")
    line = f"%devbox {verb} {'d w/d' if verb == 'push' else 'w/d d'}"
    refused = kernel.run(line)
    assert refused.error == "UsageError", refused.traceback
    assert all(word in refused.error_text for word in ("'x'", source, target, "--delete")), refused.error_text
    assert ((here / "d/other").read_text(), remote(home, "cat w/d/other")) == ("other\n", "other2\n")
    run(kernel, f"{line} --delete")
    shown = remote(home, "cd w/d && find . -mindepth 1 ! -name '.runloop*' -printf '%y %p\\n' | sort")
    right = {"file": "f ./other\nf ./x\n", "folder": "d ./x\nf ./other\nf ./x/in\n", "link": "f ./other\nl ./x\n"}
    assert shown == right[source]
    assert sorted(each.name for each in (here / "d").iterdir()) == ["other", "x"]
    assert ((here / "d/x").is_symlink(), (here / "d/x").is_dir()) == (source == "link", source == "folder")
    assert moved(kernel, f"{line} --delete") == NOTHING


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_folder_with_what_git_ignores_is_not_replaced(kernel: Kernel, home: Home, here: Path, verb: str) -> None:
    (here / "d").mkdir()
    (here / "d/.gitignore").write_text("*.log\n")
    if verb == "push":
        (here / "d/x").write_text("x")
        remote(home, "mkdir -p w/d/x && touch w/d/x/a.log")
    else:
        (here / "d/x").mkdir()
        (here / "d/x/a.log").write_text("")
        remote(home, "mkdir w/d && cd w/d && touch x")
    refused = kernel.run(f"%devbox {verb} {'d w/d' if verb == 'push' else 'w/d d'} --delete")
    assert (refused.error, "'a.log'" in refused.error_text) == ("UsageError", True), refused.traceback
    assert remote(home, "test -e w/d/x && echo there") == "there\n"
    assert (here / "d/x").exists()


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_what_git_ignores_stays(kernel: Kernel, home: Home, here: Path, verb: str) -> None:
    root = here / "repo"
    files = {
        "par/.gitignore": b"*.tmp\n",
        ".gitignore": b"\xef\xbb\xbfsecret.txt\n*.log\n",
        "par/src/keep/.gitignore": b"!*.log\n",
        **{f"par/src/{name}": b"" for name in ("secret.txt", "x.log", "keep/x.log", "a.tmp", "excluded", "a.py")},
        ".git/info/exclude": b"excluded\n",
        ".git/HEAD": b"ref: refs/heads/main\n",
        ".git/objects/keep": b"",
        ".git/refs/keep": b"",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    right = {"a.py", "keep/x.log", "keep/.gitignore"}
    if verb == "push":
        assert set(moved(kernel, "%devbox push repo/par/src w/src")[0]) == right  # type: ignore[call-overload]
        return
    run(kernel, "%devbox push repo w/repo --no-ignore")
    assert set(moved(kernel, "%devbox pull w/repo/par/src back")[0]) == right  # type: ignore[call-overload]


GROWS = """mkdir w/d; cd w/d; head -c 20000000 /dev/urandom > log
setsid sh -c 'echo $$ > ../pid; while :; do echo line >> log; done' >/dev/null 2>&1 &
until [ -s ../pid ]; do sleep 0.1; done"""


@pytest.mark.parametrize("line", ["pull w/d d", "download w/d d"])
def test_a_file_that_grows_comes_as_it_was_when_it_was_read(kernel: Kernel, home: Home, here: Path, line: str) -> None:
    remote(home, GROWS)
    try:
        told = kernel.run(f"r = %devbox {line}\nr").check().results[-1]
    finally:
        remote(home, "kill $(cat w/pid)")
    assert "Changed while it was read: 'log'" in told, told
    assert "Left out" not in told, told
    came = (here / "d/log").read_bytes()
    assert remote(home, f"head -c {len(came)} w/d/log | sha256sum").split()[0] == hashlib.sha256(came).hexdigest()


@pytest.mark.parametrize("line", ["push d w/d", "upload d w/d", "upload d/log w/d/"])
def test_a_file_that_grows_is_sent_as_it_was_when_it_was_read(
    kernel: Kernel, home: Home, here: Path, line: str
) -> None:
    (here / "d").mkdir()
    (here / "d/log").write_bytes(os.urandom(20_000_000))
    remote(home, "mkdir w/d")
    ended = threading.Event()

    def grow() -> None:
        with (here / "d/log").open("ab", buffering=0) as file:
            while not ended.is_set():
                file.write(b"line\n")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        told = kernel.run(f"r = %devbox {line}\nr").check().results[-1]
    finally:
        ended.set()
        writer.join()
    assert "Changed while it was read: 'log'" in told, told
    size, checksum = remote(home, "stat -c %s w/d/log; sha256sum < w/d/log").split()[:2]
    with (here / "d/log").open("rb") as file:
        assert hashlib.sha256(file.read(int(size))).hexdigest() == checksum


def test_what_the_devbox_cannot_read_is_named_and_the_rest_moves(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir w/d && cd w/d && echo a > a && echo b > b && chmod 000 b && mkfifo p && mkdir s && chmod 0 s")
    for line in ("pull w/d d", "download w/d e", "pull w/d d"):
        told = run(kernel, f"%devbox {line}") if "pull" in line else kernel.run(f"%devbox {line}").check().results[-1]
        assert all(f"'{name}' (" in told for name in "bps"), told
    assert kernel.value("(done.sent, done.made)") == ((), ())
    assert (here / "d/a").read_text() == (here / "e/a").read_text() == "a\n"


def test_names_of_any_bytes_travel_both_ways(kernel: Kernel, home: Home, here: Path) -> None:
    names = [
        b"caf\xe9.txt",
        b"-rf",
        b'it\'s $(touch x) "one"',
        b"new\nline",
        "ü".encode(),
        b" ",
        b"\\n",
        b"*",
        b"n" * 255,
    ]
    (here / "d").mkdir()
    for name in names:
        (here / "d" / os.fsdecode(name)).write_text("x")
        (here / "d" / os.fsdecode(name[:250] + b".d")).mkdir()
        (here / "d" / os.fsdecode(name[:250] + b".d") / os.fsdecode(name)).write_text("x")
    first = moved(kernel, "%devbox push d w/d")
    assert (len(first[0]), len(first[2])) == (2 * len(names), len(names))  # type: ignore[arg-type]
    assert moved(kernel, "%devbox push d w/d") == NOTHING
    run(kernel, "%devbox pull w/d back")
    assert sorted(os.listdir(os.fsencode(here / "back"))) == sorted(os.listdir(os.fsencode(here / "d")))
    assert moved(kernel, "%devbox pull w/d back") == NOTHING
    for name in names:
        (here / "d" / os.fsdecode(name)).unlink()
    run(kernel, "%devbox push d w/d --delete")
    assert remote(home, "find w/d -maxdepth 1 -type f | wc -l; find w -name x") == "0\n"


def test_links_out_of_the_folder_are_named_and_the_rest_arrives(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir -p w/d && cd w/d && ln -s /etc/hostname abs && ln -s ../.. up && ln -s a in && echo a > a")
    for line in ("download w/d e", "pull w/d d"):
        told = kernel.run(f"%devbox {line}").check().results[-1]
        assert "'abs' (" in told, told
        assert "'up' (" in told, told
    for folder in (here / "d", here / "e"):
        assert {each.name: each.is_symlink() for each in folder.iterdir()} == {"in": True, "a": False}
    assert moved(kernel, "%devbox pull w/d d") == NOTHING
    (here / "d/abs").write_text("mine")
    run(kernel, "%devbox pull w/d d --delete")
    assert (here / "d/abs").read_text() == "mine"


def test_empty_folders_and_permissions_travel(kernel: Kernel, home: Home, here: Path) -> None:
    (here / "d/empty/inner").mkdir(parents=True)
    (here / "d/private").mkdir(mode=0o700)
    (here / "d/run").write_text("#!/bin/sh\n")
    (here / "d/run").chmod(0o750)
    (here / "d/read-only").write_text("x")
    (here / "d/read-only").chmod(0o444)
    sent = moved(kernel, "%devbox push d w/d")
    assert sent[2] == ("empty/", "empty/inner/", "private/")
    shown = remote(home, "cd w/d && stat -c '%a %n' private run read-only && ls -d empty/inner")
    assert shown == "700 private\n750 run\n444 read-only\nempty/inner\n"
    run(kernel, "%devbox pull w/d back")
    assert (here / "back/empty/inner").is_dir()
    assert stat.S_IMODE((here / "back/run").stat().st_mode) == 0o750
    assert stat.S_IMODE((here / "back/private").stat().st_mode) == 0o700
    assert moved(kernel, "%devbox push d w/d") == moved(kernel, "%devbox pull w/d back") == NOTHING
    (here / "d/run").chmod(0o640)
    assert moved(kernel, "%devbox push d w/d") == (("run",), (), ())
    (here / "d/empty/inner").rmdir()
    assert moved(kernel, "%devbox push d w/d --delete") == ((), ("empty/inner/",), ())
    assert moved(kernel, "%devbox pull w/d back --delete")[1] == ("empty/inner/",)


def test_push_deletes_nothing_that_the_devbox_itself_ignores(kernel: Kernel, home: Home, here: Path) -> None:
    (here / "d").mkdir()
    (here / "d/a").write_text("a")
    remote(home, "mkdir -p w/d/.venv/bin w/d/gone && cd w/d && echo '*' > .venv/.gitignore && touch .venv/bin/x gone/y")
    assert moved(kernel, "%devbox push d w/d --delete") == (("a",), ("gone/y", "gone/"), ())
    assert remote(home, "ls -A w/d/.venv w/d/.venv/bin") != ""


def test_push_through_a_link_to_a_folder_compares_what_is_there(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir w/real && ln -s real w/link")
    (here / "d").mkdir()
    (here / "d/a").write_text("a")
    assert moved(kernel, "%devbox push d w/link")[0] == ("a",)
    assert moved(kernel, "%devbox push d w/link") == NOTHING
    assert remote(home, "ls -A w/real; ls -A w") == "a\nlink\nreal\n"


def test_what_the_devbox_does_not_take_is_named_and_the_rest_arrives(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir -p w/d/locked && chmod 555 w/d/locked")
    (here / "d/locked").mkdir(parents=True)
    (here / "d/locked").chmod(0o555)
    (here / "d/free").write_text("f")
    if os.geteuid() == 0:
        (here / "d/locked/x").write_text("x")
    told = run(kernel, "%devbox push d w/d")
    assert kernel.value("done.sent") == ("free",), told
    assert "'locked/x' (the devbox did not take it: Permission denied)" in told, told
    assert remote(home, "ls -A w/d; ls -A w/d/locked") == "free\nlocked\n"


@pytest.mark.parametrize("verb", ["upload", "download"])
def test_an_overlay_replaces_links_and_files_and_names_what_is_in_the_way(
    kernel: Kernel, home: Home, here: Path, verb: str
) -> None:
    (here / "d").mkdir()
    for name, made in (("link", "link"), ("folder", "folder"), ("file", "file")):
        make(here, made)
        (here / "d/x").rename(here / "d" / name)
    remote(home, "mkdir w/d && cd w/d && echo keep > target")
    if verb == "upload":
        remote(home, "cd w/d && echo was > link && ln -s target folder && mkdir file && echo other > other")
        told = kernel.run("r = %devbox upload d w/d\nr").check().results[-1]
        assert remote(home, "cd w/d && cat target && readlink link folder && ls file") == "keep\nnowhere\ntarget\n"
    else:
        (here / "d/target").write_text("keep\n")
        remote(
            home, "cd w/d && echo now > link && echo now > folder && mkdir file && echo in > file/in && echo x > new"
        )
        told = kernel.run("r = %devbox download w/d d\nr").check().results[-1]
        assert ((here / "d/link").read_text(), (here / "d/new").read_text()) == ("now\n", "x\n")
        assert ((here / "d/folder/in").read_text(), (here / "d/file").read_text()) == ("in\n", "x\n")
    assert "'folder' (" in told, told
    assert "'file" in told, told
    assert "in the way" in told, told


@pytest.mark.parametrize("delete", ["", " --delete"])
def test_an_empty_folder_travels(kernel: Kernel, home: Home, here: Path, delete: str) -> None:
    (here / "d").mkdir()
    assert moved(kernel, f"%devbox push d w/d{delete}") == moved(kernel, f"%devbox pull w/d e{delete}") == NOTHING
    assert (remote(home, "ls -d w/d"), list((here / "e").iterdir())) == ("w/d\n", [])
    (here / "e/x").write_text("x")
    run(kernel, f"%devbox pull w/d e{delete}")
    assert (here / "e/x").exists() == (not delete)


def test_a_stopped_push_leaves_nothing_half_done(kernel: Kernel, home: Home, here: Path) -> None:
    (here / "d").mkdir()
    (here / "d/big").write_bytes(os.urandom(60_000_000))
    remote(home, "mkdir w/d && echo was > w/d/big")
    cell = kernel.begun("%devbox push d w/d")
    kernel.interrupt()
    assert kernel.ended(cell).status == "error"
    shown = remote(home, "cd w/d && ls -A && stat -c %s big; ls /tmp/runloop-* | wc -l")
    assert shown in ("big\n4\n0\n", "big\n60000000\n0\n")


@pytest.mark.parametrize("name", ["..", "w/..", "w/d/../..", ".", "~", "/"])
def test_what_has_no_name_of_its_own_is_pulled_into_no_folder_here(kernel: Kernel, here: Path, name: str) -> None:
    (here / "in").mkdir()
    kernel.run(f"%cd -q {here / 'in'}").check()
    (here / "mine.txt").write_text("mine")
    assert "Say which folder here" in kernel.run(f"%devbox pull {name} --delete").error_text
    assert sorted(os.listdir(here)) == ["in", "mine.txt"]
    assert os.listdir(here / "in") == []


def test_a_folder_is_pulled_into_the_current_one_where_that_is_typed(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir w/d && echo theirs > w/d/theirs.txt")
    (here / "in").mkdir()
    (here / "in/mine.txt").write_text("mine")
    kernel.run(f"%cd -q {here / 'in'}").check()
    kernel.run("%devbox pull w/d .").check()
    assert sorted(os.listdir(here / "in")) == ["mine.txt", "theirs.txt"]


@pytest.mark.parametrize("name", ["w/d/..", "w/d/.", "w/d/../../w"])
def test_a_download_has_a_name_of_its_own_here(kernel: Kernel, home: Home, here: Path, name: str) -> None:
    remote(home, "mkdir w/d && echo theirs > w/theirs.txt && echo theirs > w/d/theirs.txt")
    (here / "in").mkdir()
    kernel.run(f"%cd -q {here / 'in'}").check()
    run(kernel, f"%devbox download {name}")
    assert os.listdir(here) == ["in"]
    assert len(os.listdir(here / "in")) == 1


@pytest.mark.parametrize("verb", ["upload", "push"])
def test_a_folder_keeps_the_name_that_it_was_given_here(kernel: Kernel, home: Home, here: Path, verb: str) -> None:
    (here / "w/data-3/inner").mkdir(parents=True)
    (here / "w/data-3/mine.txt").write_text("mine")
    (here / "latest").symlink_to("w/data-3")
    run(kernel, f"%devbox {verb} latest")
    assert remote(home, "cat latest/mine.txt; rm -r latest") == "mine"
    kernel.run("%cd -q w/data-3/inner").check()
    run(kernel, f"%devbox {verb} ..")
    assert remote(home, "cat data-3/mine.txt; rm -r data-3") == "mine"
