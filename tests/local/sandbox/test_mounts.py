"""What sandboxes have mounted beside their disks, in each way that has namespaces of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from runloop_local.sandbox import Isolation, Sandbox, SandboxError
from runloop_local.sandbox.base import CacheMount, DiskMount, FileMount, MemoryMount, Mount, Ownership
from runloop_local.sandbox.mounts import remove_mount_points

from .conftest import MakeSandbox, namespaces_only, output, run

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def restarted(sandbox: Sandbox, *mounts: Mount) -> None:
    await sandbox.stop()
    sandbox.mount(mounts)
    await sandbox.start()


def refused(sandbox: Sandbox, way: str) -> bool:
    """Where nothing can be mounted, that is said."""
    if way == "none":
        with pytest.raises(SandboxError, match="nothing can be mounted"):
            sandbox.mount([MemoryMount("/m")])
    return way == "none"


@namespaces_only
async def test_a_file_in_memory_belongs_to_whom_it_should(sandbox: Sandbox, way: str) -> None:
    if refused(sandbox, way):
        return
    content = "a secret\n\udcff\0\u00e9"
    await restarted(sandbox, FileMount("/run/secrets/s", content, Ownership(1000, 1000, 0o400)))
    found = await output(sandbox, "stat -c '%a %s' /run/secrets/s && sha256sum < /run/secrets/s")
    assert found.split()[:2] == ["400", str(len(content.encode("utf-8", "surrogatepass")))]
    assert (await run(sandbox, "echo x > /run/secrets/s", user="root")).status != 0
    await restarted(sandbox)
    assert (await run(sandbox, "ls /run/secrets")).status != 0


@namespaces_only
async def test_a_cache_is_every_sandboxes_and_has_accounts(
    sandbox: Sandbox, make: MakeSandbox, isolation: Isolation, way: str
) -> None:
    if refused(sandbox, way):
        return
    assert isolation.caches
    name = f"cache-{secrets.token_hex(4)}"
    isolation.caches.touch(name)
    assert isolation.caches.is_new(name)
    mount = CacheMount("/srv/shared", name, Ownership(1000, 1000, 0o750))
    other = await make()
    await restarted(sandbox, mount)
    await restarted(other, mount)
    await output(sandbox, "echo hello > /srv/shared/f && chmod 640 /srv/shared/f")
    assert not isolation.caches.is_new(name)
    assert await output(other, "cat /srv/shared/f; stat -c '%a' /srv/shared /srv/shared/f") == "hello\n750\n640"
    owner = await output(other, "stat -c '%U' /srv/shared/f")
    assert owner == "user"
    await sandbox.stop()
    await other.stop()
    assert await isolation.caches.bytes_of(name) > 0
    await isolation.caches.remove(name)
    assert name not in isolation.caches.used()


@namespaces_only
@pytest.mark.parametrize("read_only", [True, False])
async def test_a_part_of_another_disk_stays_as_it_is(
    sandbox: Sandbox, make: MakeSandbox, way: str, read_only: bool
) -> None:
    if refused(sandbox, way):
        return
    await output(sandbox, "mkdir -p /srv/a && echo 1 > /srv/a/f && ln -s /srv/a /srv/l", user="root")
    layers = await sandbox.snapshot(f"l{secrets.token_hex(4)}")
    other = await make()
    await restarted(other, DiskMount("/opt/b", layers, "/srv/l", read_only))
    written = await run(other, "echo 2 >> /opt/b/f; cat /opt/b/f", user="root")
    assert written.out == ("1\n" if read_only else "1\n2\n")
    await restarted(other, DiskMount("/opt/b", layers, "/srv/a", read_only))
    assert await output(other, "cat /opt/b/f") == "1"


@namespaces_only
async def test_memory_counts_and_is_bounded(sandbox: Sandbox, way: str) -> None:
    if refused(sandbox, way):
        return
    await restarted(sandbox, MemoryMount("/m", 8 << 20))
    before = (await sandbox.load()).memory_bytes
    result = await run(sandbox, "head -c 20M /dev/zero > /m/f")
    assert "No space left" in result.err
    assert (await sandbox.load()).memory_bytes - before > 4 << 20


@namespaces_only
async def test_links_lead_nowhere_outside(sandbox: Sandbox, way: str, tmp_path: Path) -> None:
    if refused(sandbox, way):
        return
    (tmp_path / "there").mkdir()
    links = f"ln -s {tmp_path} /srv/up; ln -s ../../../../../../..{tmp_path} /srv/far; ln -s /proc/1/root /srv/proc"
    await output(sandbox, links, user="root")
    for target in ("/srv/up/there", "/srv/far/there", "/srv/proc/there"):
        await sandbox.stop()
        sandbox.mount([FileMount(f"{target}/f", "x")])
        with pytest.raises(SandboxError, match=f"nothing can be mounted at {target}/f"):
            await sandbox.start()
        assert [*(tmp_path / "there").iterdir()] == []
    sandbox.mount(())


@namespaces_only
async def test_too_much_to_be_mounted_is_refused_before_anything_ends(sandbox: Sandbox, way: str) -> None:
    if refused(sandbox, way):
        return
    with pytest.raises(SandboxError, match="too much to be mounted"):
        sandbox.mount([FileMount(f"/m/{number}", "x" * 65536) for number in range(10)])
    assert await output(sandbox, "echo on") == "on"


async def test_only_empty_places_of_the_sandbox_itself_are_removed(tmp_path: Path) -> None:
    upper, outside = tmp_path / "upper", tmp_path / "outside"
    for folder in ("@/empty", "@/full", "usr/empty", "@/a"):
        (upper / folder).mkdir(parents=True)
    outside.mkdir()
    for file in ("@/full/file", "@/file"):
        (upper / file).write_text("kept")
    (upper / "@/none").touch()
    (outside / "empty").mkdir()
    (upper / "@/link").symlink_to(outside)
    (upper / "@/dangling").symlink_to(outside / "empty")
    made = ["/empty", "/full", "/usr/empty", "/file", "/none", "/link/empty", "/dangling", "/a/../../../outside/empty"]
    remove_mount_points(upper, [*made, "/nowhere/at/all"])
    left = {
        str(Path(folder, name).relative_to(upper)) for folder, names, files in os.walk(upper) for name in names + files
    }
    assert left == {"@", "usr", "@/full", "@/full/file", "@/file", "@/a", "@/link", "@/dangling"}
    assert (outside / "empty").is_dir()


async def test_the_content_of_a_file_in_memory_is_in_no_message() -> None:
    assert "canary" not in f"{FileMount('/run/key', 'canary')} {[FileMount('/run/key', 'canary')]}"
