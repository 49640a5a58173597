"""What this machine's other accounts may not read is closed to root of a devbox too, also what is made meanwhile."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runloop_local.sandbox import Sandbox

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
