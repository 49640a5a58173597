"""Images: pulled and unpacked from a registry on loopback, beside skopeo and umoci on a fresh file system each."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Awaitable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row
from runloop_local.images import Reference
from runloop_local.images.store import ImageStore
from runloop_local.sandbox.namespaces import NamespacesIsolation, available_drivers
from tests.local.images.registry import HandMade, Registry, make_image, serving

MB = 1_000_000
SIZE, LAYERS = 300 * MB, 5
TREES = ("/usr/lib/python3", "/usr/share", "/usr/lib", "/usr/bin")
PROGRAMS = ("docker-registry", "skopeo", "umoci")
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


async def run() -> list[Row]:
    """An image of files of this machine."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    first, second = await asyncio.to_thread(make_images)
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        if missing:
            async with serving(Registry()) as registry:
                references = [registry.add(f"{name}:1", image) for name, image in named(first, second)]
                ours, next_ours = await pulled(Path(folder), *references)
            reference, beside = None, f"{', '.join(missing)} not installed"
        else:
            with docker_registry(Path(folder)) as host:
                references = [await asyncio.to_thread(push, Path(folder), host, *each) for each in named(first, second)]
                reference = await asyncio.to_thread(copied, Path(folder), references[0])
                ours, next_ours = await pulled(Path(folder), *references)
            beside = "skopeo copy, umoci unpack"
    return [
        Row(f"pull and unpack {SIZE // MB} MB in {LAYERS} layers", ours, "s", reference, beside, "<= x0.4"),
        Row("  the next image, with one layer more of 1 MB", next_ours, "s", ours, "the first"),
    ]


def named(first: HandMade, second: HandMade) -> list[tuple[str, HandMade]]:
    return [("first", first), ("next", second)]


def make_images() -> tuple[HandMade, HandMade]:
    """An image, and another that has one layer more."""
    files = chosen()
    layers = [packed(files[number::LAYERS]) for number in range(LAYERS)]
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(lambda layer: make_image([layer]), layers))
    first = joined(parts)
    return first, joined([*parts, make_image([packed(files[:1], os.urandom(MB))])])


def joined(parts: Sequence[HandMade]) -> HandMade:
    """The image of the layers of several, lowest first."""
    manifests = [json.loads(part.manifest) for part in parts]
    configs = [part.blobs[manifest["config"]["digest"]] for part, manifest in zip(parts, manifests, strict=True)]
    diff_ids = [diff_id for config in configs for diff_id in json.loads(config)["rootfs"]["diff_ids"]]
    empty = make_image([], {}, diff_ids=diff_ids)
    document = json.loads(empty.manifest)
    document["layers"] = [layer for manifest in manifests for layer in manifest["layers"]]
    blobs = {digest: blob for part in parts for digest, blob in part.blobs.items()}
    return HandMade(json.dumps(document).encode(), {**blobs, **empty.blobs})


def chosen() -> list[Path]:
    """Files of this machine, of this size in all."""
    found, size, seen = [], 0, set[Path]()
    for path in (path for tree in TREES for path in sorted(Path(tree).rglob("*"))):
        if size >= SIZE:
            break
        if path in seen or path.is_symlink() or not path.is_file() or path.stat().st_size > 20 * MB:
            continue
        seen.add(path)
        found.append(path)
        size += path.stat().st_size
    return found


def packed(files: Sequence[Path], extra: bytes = b"") -> bytes:
    """An archive as Docker writes it: with times in whole seconds, so that a header stands for a file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders: set[Path] = set()
        for path in files:
            for folder in [each for each in reversed(path.parents) if each not in folders and each != Path("/")]:
                folders.add(folder)
                archive.add(folder, recursive=False, filter=in_whole_seconds)
            archive.add(path, filter=in_whole_seconds)
        if extra:
            info = tarfile.TarInfo("extra")
            info.size = len(extra)
            archive.addfile(info, io.BytesIO(extra))
    return content.getvalue()


def in_whole_seconds(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = int(info.mtime)
    return info


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Debian's registry on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder / "registry", port=port))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def push(folder: Path, host: str, name: str, image: HandMade) -> str:
    """Bring an image into the registry; returns its reference."""
    layout = folder / "layout"
    (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    for digest, blob in {**image.blobs, image.digest: image.manifest}.items():
        (layout / "blobs" / digest.replace(":", "/")).write_bytes(blob)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entry = {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest)}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    reference = f"{host}/{name}:1"
    call("skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{reference}")
    return reference


def call(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def copied(folder: Path, reference: str) -> float:
    """The seconds of skopeo and umoci."""
    with fresh_disk(folder) as disk:
        start = time.perf_counter()
        call("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"oci:{disk}/layout:x")
        rootless = () if os.getuid() == 0 else ("--rootless",)
        call("umoci", "unpack", *rootless, "--image", f"{disk}/layout:x", f"{disk}/bundle")
        return time.perf_counter() - start


async def pulled(folder: Path, *references: str) -> list[float]:
    """The seconds of each pull, one after the other."""
    with fresh_disk(folder) as disk:
        isolation = NamespacesIsolation(disk / "data", available_drivers()[0])
        assert isolation.image_layers is not None
        store = ImageStore(disk / "records", isolation.image_layers)
        try:
            return [await seconds(store.pull(Reference.parse(each), silent)) for each in references]
        finally:
            await isolation.aclose()


def silent(line: str) -> None:
    """Take a line of the log."""


async def seconds(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


@contextmanager
def fresh_disk(folder: Path) -> Iterator[Path]:
    """A new ext4 where this account may mount one: on an old one without a journal, creating files is slow at times."""
    disk = folder / "disk"
    disk.mkdir()
    if os.getuid() != 0 or shutil.which("mkfs.ext4") is None:
        yield disk
        shutil.rmtree(disk)
        return
    image = folder / "disk.ext4"
    with image.open("wb") as file:
        file.truncate(8 << 30)
    call("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    call("mount", "-o", "loop", str(image), str(disk))
    try:
        yield disk
    finally:
        call("umount", str(disk))
        image.unlink()
        disk.rmdir()
