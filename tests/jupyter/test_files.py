"""Files between here and a devbox: upload, download, ls, cat, rm, push, pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.remote import remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jupyter.kernels import Kernel


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("here")


@pytest.fixture(scope="module")
def kernel(home: Home, here: Path) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run(f"%cd -q {here}").check()
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        yield started


def test_a_file_goes_up_and_comes_back_byte_for_byte(kernel: Kernel, here: Path) -> None:
    content = bytes(range(256)) * 4096
    (here / "it's one.bin").write_bytes(content)
    told = kernel.run('%devbox upload "it\'s one.bin" "data/in side.bin"').check().results[-1]
    assert "1.0 MB" in told or "1 MB" in told or "1,048,576" in told, told
    kernel.run('%devbox download "data/in side.bin" back.bin').check()
    assert (here / "back.bin").read_bytes() == content


def test_a_folder_goes_up_and_comes_back(kernel: Kernel, here: Path) -> None:
    (here / "tree/sub").mkdir(parents=True)
    (here / "tree/a.txt").write_text("a")
    (here / "tree/sub/ü.txt").write_text("u")
    kernel.run("%devbox upload tree up").check()
    kernel.run("%devbox download up down").check()
    assert {str(p.relative_to(here / "down")) for p in (here / "down").rglob("*.txt")} == {"a.txt", "sub/ü.txt"}


def test_ls_shows_and_rm_removes(kernel: Kernel, home: Home) -> None:
    remote(home, "mkdir -p shown/inner && echo hello > shown/file && touch shown/.dot && ln -s file shown/link")
    kernel.run("listing = %devbox ls shown").check()
    assert kernel.value("[each.name for each in listing]") == ["file", "inner", "link"]
    assert kernel.value("len(listing.to_dataframe())") == 3
    assert kernel.value("'inner/' in repr(listing) and '<table' in listing._repr_html_()") is True
    refused = kernel.run("%devbox rm shown")
    assert (refused.error, "%devbox rm -r shown" in refused.error_text) == ("UsageError", True)
    kernel.run("%devbox rm -r shown").check()
    assert remote(home, "test -e shown && echo there; true") == ""


def test_cat_shows_text_and_keeps_it(kernel: Kernel, home: Home) -> None:
    remote(home, "printf 'caf\\xe9\\n' > latin; printf 'héllo\\n' > text; head -c 2000 /dev/zero > zeros")
    assert kernel.run("%devbox cat text").check().stdout == "héllo\n"
    kernel.run("%devbox cat latin --encoding latin-1 --out word").check()
    assert kernel.value("word") == "café\n"


def test_links_lead_to_their_files_and_are_removed_themselves(kernel: Kernel, home: Home) -> None:
    remote(home, "mkdir linked && cd linked && echo in it > file && ln -s file to && ln -s . folder && ln -s none gone")
    assert kernel.run("%devbox cat linked/to").check().stdout == "in it\n"
    kernels.fails(kernel, kernel.run("%devbox cat linked/gone"), "UsageError", "'linked/gone'", "link to 'none'")
    kernel.run("%devbox rm linked/to linked/folder linked/gone").check()
    assert remote(home, "ls linked") == "file\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%devbox cat zeros", ("'zeros'", "%devbox download zeros")),
        ("%devbox cat latin", ("'latin'", "--encoding")),
        ("%devbox cat text --encoding klingon", ("'klingon'",)),
        ("%devbox cat nowhere", ("'nowhere'", "main")),
        ("%devbox ls nowhere", ("'nowhere'", "main")),
        ("%devbox rm text nowhere", ("'nowhere'",)),
        ("%devbox upload nowhere.txt", ("'nowhere.txt'",)),
        ("%devbox download nowhere", ("'nowhere'", "main")),
        ("%devbox push nowhere", ("'nowhere'",)),
        ("%devbox pull nowhere", ("'nowhere'",)),
        ("%devbox pull ~", ("%devbox pull DIR LOCAL",)),
        ("%devbox ls --on nobody", ("'nobody'",)),
    ],
)
def test_a_mistake_is_one_sentence(kernel: Kernel, line: str, words: tuple[str, ...]) -> None:
    cell = kernel.run(line)
    assert cell.error == "UsageError", cell.traceback
    assert all(word in cell.error_text for word in words), cell.error_text
    assert "\n" not in cell.traceback
    assert kernel.run("%devbox cat text").check().stdout == "héllo\n"


def test_push_sends_what_changed_and_honours_gitignore(kernel: Kernel, home: Home, here: Path) -> None:
    project = here / "project"
    (project / "src").mkdir(parents=True)
    (project / "build").mkdir()
    (project / "src/a.py").write_text("a = 1\n")
    (project / "src/run.sh").write_text("#!/bin/sh\n")
    (project / "src/run.sh").chmod(0o755)
    (project / "src/alias").symlink_to("a.py")
    (project / "build/big").write_text("x")
    (project / ".gitignore").write_text("build/\n")
    kernel.run("r = %devbox push project").check()
    assert kernel.value("sorted(r.item.sent)") == [".gitignore", "src/a.py", "src/alias", "src/run.sh"]
    kernel.run("r = %devbox push project").check()
    assert kernel.value("(r.item.sent, r.item.unchanged)") == ((), 4)
    (project / "src/a.py").write_text("a = 22\n")
    kernel.run("r = %devbox push project").check()
    assert kernel.value("r.item.sent") == ("src/a.py",)
    shown = remote(home, "cd project && cat src/alias && stat -c %a src/run.sh && ls -A")
    assert shown == "a = 22\n755\n.gitignore\nsrc\n"


def test_push_deletes_only_when_told_and_never_what_is_ignored(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "cd project && mkdir -p build && touch build/kept extra 'odd\nname'")
    (here / "project/src/run.sh").unlink()
    kernel.run("r = %devbox push project").check()
    assert remote(home, "cd project && ls src build").split() == ["build:", "kept", "src:", "a.py", "alias", "run.sh"]
    kernel.run("r = %devbox push project --delete").check()
    assert kernel.value("sorted(r.item.deleted)") == ["extra", "odd\nname", "src/run.sh"]
    assert remote(home, "cd project && find . -type f | sort") == "./.gitignore\n./build/kept\n./src/a.py\n"


def test_pull_fetches_what_changed(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir -p made/deep && echo 1 > made/one && echo 2 > made/deep/two && ln -s one made/link")
    kernel.run("r = %devbox pull made fetched").check()
    assert kernel.value("sorted(r.item.sent)") == ["deep/two", "link", "one"]
    kernel.run("r = %devbox pull made fetched").check()
    assert kernel.value("(r.item.sent, r.item.unchanged)") == ((), 3)
    remote(home, "echo longer > made/one")
    (here / "fetched/mine").write_text("mine")
    kernel.run("r = %devbox pull made fetched").check()
    assert kernel.value("(r.item.sent, r.item.deleted)") == (("one",), ())
    assert (here / "fetched/one").read_text() == "longer\n"
    assert (here / "fetched/mine").exists()
    kernel.run("r = %devbox pull made fetched --delete").check()
    assert kernel.value("r.item.deleted") == ("mine",)


def test_a_pulled_link_does_not_lead_out_of_the_folder(kernel: Kernel, home: Home, here: Path) -> None:
    remote(home, "mkdir -p sly && ln -s /etc/passwd sly/out && echo rest > sly/rest && ln -s rest sly/in")
    for line in ("%devbox pull sly", "%devbox download sly sly2"):
        told = kernel.run(line).check().results[-1]
        assert "'out'" in told, told
        assert "'/etc/passwd'" in told, told
    for folder in (here / "sly", here / "sly2"):
        assert sorted(each.name for each in folder.iterdir()) == ["in", "rest"]
        assert (folder / "in").read_text() == "rest\n"


HOSTILE_TAR = """#!/usr/bin/python3
# Answers as a devbox's own tar does, with links and files that were not asked for and lead out of the folder.
import io, os, sys, tarfile
archives = [each for each in sys.argv if each.endswith(".tar.gz")]
if not archives:
    os.execv("/usr/bin/tar", sys.argv)
with tarfile.open(archives[0], "w:gz") as tar:
    link = tarfile.TarInfo("way"); link.type = tarfile.SYMTYPE; link.linkname = "VICTIM"; tar.addfile(link)
    for name in ("way/victim", "VICTIM/victim", "../home/victim", "data.txt"):
        file = tarfile.TarInfo(name); file.size = 4; tar.addfile(file, io.BytesIO(b"evil"))
"""


@pytest.mark.parametrize("verb", ["pull", "download"])
def test_a_hostile_tar_in_the_devbox_writes_nothing_outside(
    kernel: Kernel, home: Home, here: Path, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "victim").write_text("as it was")
    program = HOSTILE_TAR.replace("VICTIM", str(tmp_path))
    made = f"mkdir -p ~/.local/bin {verb}ed && echo longer > {verb}ed/data.txt"
    remote(home, f"{made} && cat > ~/.local/bin/tar <<'EOF'\n{program}EOF\nchmod +x ~/.local/bin/tar")
    try:
        told = kernel.run(f"%devbox {verb} {verb}ed").check().results[-1]
    finally:
        remote(home, "rm ~/.local/bin/tar")
    assert "way" in told, told
    assert (tmp_path / "victim").read_text() == "as it was"
    files = {str(each.relative_to(here)) for each in (here / f"{verb}ed").rglob("*") if not each.is_dir()}
    assert files - {f"{verb}ed/way/victim"} == {f"{verb}ed/data.txt"}  # a folder may have any name of its own


def test_rules_of_no_end_are_not_read_into_memory(kernel: Kernel, home: Home) -> None:
    remote(home, "mkdir -p bomb && truncate -s 40G bomb/.gitignore")
    cell = kernel.run("%devbox pull bomb")
    assert (cell.error, ".gitignore" in cell.error_text, "--no-ignore" in cell.error_text) == ("UsageError", True, True)
