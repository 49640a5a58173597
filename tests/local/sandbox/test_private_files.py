"""What this machine's other accounts may not read is closed to root of a devbox too, also what is made meanwhile."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runloop_local.sandbox import Sandbox, base_layer, host_mounts

from .conftest import NAMESPACES, run

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDMAPPED = [way for way in NAMESPACES if way == "idmapped"]
TOPS = ("/etc", "/var/lib", "/opt", "/srv", "/usr/local/lib")
READ = {
    "open": "cat {path}",
    "copy": "cp {path} /tmp/copy && cat /tmp/copy",
    "hard link": "ln {path} {path}.link && cat {path}.link",
    "rename": "mv {path} {path}.new && cat {path}.new",
    "mode": "chmod 644 {path} && cat {path}",
    "owner": "chown user {path} && cat {path}",
    "append": "echo more >> {path} && cat {path}",
    "handle": "python3 -c 'import mmap, sys; print(mmap.mmap(open(sys.argv[1]).fileno(), 0, prot=1)[:])' {path}",
    "archive": "tar -cf - {path} | tar -xOf -",
    "folder": "mv {folder} {folder}.new && cat {folder}.new/*",
    "mode of the folder": "chmod -R 777 {folder}; cat {path}",
}
KINDS = {"file": (0o755, 0o600), "file of a group": (0o755, 0o640), "folder": (0o700, 0o644)}


MakePrivate = Callable[[str, str], Path]


@pytest.fixture
def private(request: pytest.FixtureRequest) -> Iterator[MakePrivate]:
    """Makes a private file of root somewhere."""
    made = []

    def make(top: str, kind: str) -> Path:
        folder = Path(top, f"private-{secrets.token_hex(4)}")
        made.append(folder)
        folder.mkdir()
        (folder / "key").write_text("canary\n")
        folder_mode, mode = KINDS[kind]
        folder.chmod(folder_mode)
        (folder / "key").chmod(mode)
        return folder / "key"

    yield make
    for folder in made:
        shutil.rmtree(folder)


async def read(sandbox: Sandbox, path: Path, how: str) -> str:
    result = await run(sandbox, READ[how].format(path=path, folder=path.parent), user="root")
    return result.out


if os.getuid() == 0:  # any other account may not make such files, nor read them

    @pytest.mark.parametrize("way", IDMAPPED or ["none"], scope="session")
    @pytest.mark.parametrize("how", READ)
    @pytest.mark.parametrize("kind", KINDS)
    async def test_files_made_after_the_start_stay_private(
        sandbox: Sandbox, way: str, private: MakePrivate, kind: str, how: str
    ) -> None:
        if way == "none":
            return
        for top in TOPS:
            path = private(top, kind)
            assert "canary" not in await read(sandbox, path, how), top
            assert path.read_text() == "canary\n"

    @pytest.mark.parametrize("way", ["none"], scope="session")
    @pytest.mark.parametrize("kind", KINDS)
    async def test_without_isolation_root_reads_them(
        sandbox: Sandbox, way: str, private: MakePrivate, kind: str
    ) -> None:
        assert await read(sandbox, private("/opt", kind), "open") == "canary\n"

    @pytest.mark.parametrize("way", IDMAPPED or ["none"], scope="session")
    async def test_what_everybody_may_read_is_seen_at_once_and_can_be_replaced_inside(
        sandbox: Sandbox, way: str, private: MakePrivate
    ) -> None:
        if way == "none":
            return
        path = private("/usr/local/lib", "file")
        path.chmod(0o644)
        assert (await run(sandbox, f"cat {path}")).out == "canary\n"
        path.chmod(0o600)
        replaced = await run(sandbox, f"rm {path} && echo inside > {path} && cat {path}", user="root")
        assert replaced.out == "inside\n"
        assert path.read_text() == "canary\n"

    PRIVATE = (
        *("find", "/etc", "/var", "/opt", "/srv"),
        *("(", "-type", "d", "!", "-perm", "-005", "-prune", "-print0", ")", "-o"),
        *("(", "!", "-type", "d", "!", "-type", "l", "!", "-perm", "-004", "-print0", ")"),
    )

    @pytest.mark.skipif(not IDMAPPED, reason="its layers need rights that this account has not")
    async def test_all_that_others_may_not_read_is_masked_and_nothing_else(
        tmp_path: Path, private: MakePrivate
    ) -> None:
        key, inner = private("/etc", "file"), private("/var/lib", "folder")
        (key.parent / "link").symlink_to(key)
        (key.parent / "nowhere").symlink_to("missing")
        os.mkfifo(key.parent / "pipe", 0o600)
        (key.parent / "open").mkdir()
        (key.parent / "open/key").touch(0o600)
        base_layer._mask_private(tmp_path)
        found = subprocess.check_output(PRIVATE, text=True).split("\0")  # noqa: ASYNC221 - one look
        mounted = {Path(folder) for folder in host_mounts.by_folder()}
        below = mounted - {Path("/")}
        expected = {path for path in map(Path, found[:-1]) if not any(map(path.is_relative_to, below))}
        assert {key, inner.parent, key.parent / "pipe", key.parent / "open/key"} <= expected
        assert masked(tmp_path) - mounted == expected

    def masked(layer: Path) -> set[Path]:
        """What a layer hides: by whiteouts, and by folders that are opaque."""
        found = set()
        for path in layer.rglob("*"):
            is_whiteout = stat.S_ISCHR(path.lstat().st_mode)
            if is_whiteout or "trusted.overlay.opaque" in os.listxattr(path):
                found.add(Path("/", path.relative_to(layer)))
        return found
