"""Images of layouts, archives and engines of this machine."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
import uvicorn

from runloop_local.images import ImageError, Reference
from runloop_local.images.store import ImageStore
from tests.local.images.conftest import MakeStore
from tests.local.images.registry import HandMade, Scope, answer, digest, make_image, make_index
from tests.local.sandbox.archives import archive, folder, link, member

pytestmark = pytest.mark.asyncio(loop_scope="session")


def new_image(*, how: str = "gzip") -> HandMade:
    return make_image([archive(member("a", secrets.token_bytes(500))), archive(member("b", b"x"))], how=how)


def layout(*images: tuple[HandMade, str | None], nested: bool = False) -> dict[str, bytes]:
    """The files of an OCI layout of images with these names."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    manifests = []
    for image, name in images:
        blobs = {**image.blobs, image.digest: image.manifest}
        top, media_type = image.manifest, image.media_type
        if nested:
            top, media_type = make_index({"linux/s390x": image, "linux/amd64": image, "linux/arm64": image}), ""
            blobs[digest(top)] = top
        files.update({f"blobs/{key.replace(':', '/')}": content for key, content in blobs.items()})
        named = {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}
        manifests.append({"mediaType": media_type, "digest": digest(top), "size": len(top), **named})
    return {**files, "index.json": json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()}


def saved(image: HandMade, *names: str, linked: bool = False) -> bytes:
    """An archive as older versions of `docker save` write it; an image must not be compressed."""
    config, *layers = image.blobs.values()
    files = [member(f"{number}/layer.tar", layer) for number, layer in enumerate(layers)]
    if linked:
        files += [folder("linked"), link("linked/layer.tar", "../0/layer.tar")]
    first = "linked/layer.tar" if linked else "0/layer.tar"
    entry = {"Config": "config.json", "RepoTags": names or None, "Layers": [first, "1/layer.tar"]}
    return archive(*files, member("config.json", config), member("manifest.json", json.dumps([entry]).encode()))


def packed(files: Mapping[str, bytes]) -> bytes:
    return archive(*[member(name, content) for name, content in files.items()])


def write(target: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


async def pull(store: ImageStore, text: str) -> str:
    return (await store.pull(Reference.parse(text), print)).digest


async def refusal(store: ImageStore, text: str) -> str:
    with pytest.raises(ImageError) as told:
        await store.pull(Reference.parse(text), print)
    return str(told.value)


@pytest.mark.parametrize("how", ["gzip", "zstd"])
@pytest.mark.parametrize("nested", [False, True], ids=["manifest", "index"])
async def test_a_layout_is_read_as_folder_and_as_archive(
    store: ImageStore, tmp_path: Path, how: str, nested: bool
) -> None:
    image, other = new_image(how=how), new_image()
    write(tmp_path / "dir", layout((image, None), nested=nested))
    assert await pull(store, f"oci:{tmp_path}/dir") == image.digest
    (tmp_path / "x.tar").write_bytes(packed(layout((image, "v1"), (other, "v2"), nested=nested)))
    assert await pull(store, f"oci-archive:{tmp_path}/x.tar:v2") == other.digest
    assert await pull(store, f"oci-archive:{tmp_path}/x.tar:v2") == other.digest
    assert "has several images: it has v1, v2" in await refusal(store, f"oci-archive:{tmp_path}/x.tar")
    assert "has no image v3: it has v1, v2" in await refusal(store, f"oci-archive:{tmp_path}/x.tar:v3")


async def test_an_archive_of_docker_save_is_read(store: ImageStore, tmp_path: Path) -> None:
    image = new_image(how="plain")
    (tmp_path / "x.tar").write_bytes(saved(image, "some/image:1"))
    found = await store.pull(Reference.parse(f"docker-archive:{tmp_path}/x.tar"), print)
    assert (len(found.layers), found.size) == (2, 501)
    assert await pull(store, f"docker-archive:{tmp_path}/x.tar:1") == found.digest
    assert "it has some/image:1" in await refusal(store, f"docker-archive:{tmp_path}/x.tar:2")
    (tmp_path / "y.tar").write_bytes(saved(image, linked=True))
    assert await pull(store, f"docker-archive:{tmp_path}/y.tar")


async def test_what_is_wrong_with_files_is_said(store: ImageStore, tmp_path: Path) -> None:
    image = new_image()
    write(tmp_path / "spoilt", layout((image, None)))
    blob = tmp_path / "spoilt/blobs" / image.layers[0].replace(":", "/")
    content = await asyncio.to_thread(blob.read_bytes)
    await asyncio.to_thread(blob.write_bytes, content[:-1] + b"x")
    (tmp_path / "other.tar").write_bytes(archive(member("x")))
    (tmp_path / "none.tar").write_bytes(b"x" * 1000)
    cases = {
        "oci:relative": "relative is no absolute path",
        f"oci:{tmp_path}/missing": f"there is no {tmp_path}/missing",
        f"oci:{tmp_path}/spoilt": "its layer should be sha256:",
        f"oci-archive:{tmp_path}/other.tar": "is neither an OCI layout nor what docker save writes",
        f"oci-archive:{tmp_path}/none.tar": "is no tar archive that can be read",
    }
    for text, reason in cases.items():
        assert reason in await refusal(store, text)
    await asyncio.to_thread(blob.unlink)
    assert "does not have its layer" in await refusal(store, f"oci:{tmp_path}/spoilt")
    await asyncio.to_thread(blob.symlink_to, "/etc/passwd")
    assert "does not have its layer" in await refusal(store, f"oci:{tmp_path}/spoilt")


async def test_an_engine_is_asked_by_its_socket(make_store: MakeStore, tmp_path: Path) -> None:
    image = new_image()
    content = packed(layout((image, "some/image:1")))
    asked: list[str] = []

    async def engine(scope: Scope, receive: object, send: object) -> None:
        asked.append(scope["path"])
        known = "some/image" in scope["path"]
        await answer(send, 200 if known else 404, content if known else b"{}")

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine"))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(engine, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        for variable, transport in (("DOCKER_HOST", "docker-daemon"), ("CONTAINER_HOST", "podman")):
            store = make_store(**{variable: f"unix://{tmp_path}/engine"})
            assert await pull(store, f"{transport}:some/image:1") == image.digest
            assert "does not have it" in await refusal(store, f"{transport}:unknown")
    finally:
        server.should_exit = server.force_exit = True
        await serving
    assert asked[0] == "/images/some/image:1/get"
    assert not list((tmp_path / "records/fetching").iterdir())


async def test_an_engine_is_asked_by_its_command_where_no_socket_answers(make_store: MakeStore, tmp_path: Path) -> None:
    image = new_image()
    (tmp_path / "image.tar").write_bytes(packed(layout((image, "some/image:1"))))
    script = tmp_path / "podman"
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$4" = some/image:1 ] && exec /bin/cp {tmp_path}/image.tar "$3"\n'
        "echo Error: $4: image not known >&2; exit 125\n"
    )
    script.chmod(0o755)
    store = make_store(CONTAINER_HOST=f"unix://{tmp_path}/nobody")
    assert await pull(store, "podman:some/image:1") == image.digest
    assert "podman save failed with status 125: Error: other:latest: image not known" in await refusal(
        store, "podman:other"
    )
    assert "there is no docker on this machine" in await refusal(
        make_store(DOCKER_HOST=f"unix://{tmp_path}/nobody"), "docker-daemon:some/image:1"
    )
