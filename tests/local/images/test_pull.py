"""Images pulled from a registry, whatever it does."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest

from runloop_local.images import ImageConfig, ImageError, Reference, RegistrySettings
from runloop_local.images.store import ImageStore
from runloop_local.sandbox.base import ImageLayers
from runloop_local.sandbox.disks import used_bytes
from tests.local.images.conftest import MakeStore
from tests.local.images.registry import Fault, HandMade, Registry, basic, digest, make_image, make_index, serving
from tests.local.sandbox.archives import archive, folder, member

pytestmark = pytest.mark.asyncio(loop_scope="session")


def content(size: int = 1000) -> bytes:
    """A layer that no other test has."""
    return archive(folder("data"), member("data/random", secrets.token_bytes(size)))


async def pull(store: ImageStore, reference: str, lines: list[str] | None = None) -> tuple[str, ...]:
    found = await store.pull(Reference.parse(reference), ([] if lines is None else lines).append)
    return found.layers


async def refusal(store: ImageStore, reference: str) -> str:
    with pytest.raises(ImageError) as told:
        await store.pull(Reference.parse(reference), print)
    text = str(told.value)
    assert text.startswith(f"{Reference.parse(reference)} cannot be pulled: ")
    assert text.endswith(".")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("how", ["gzip", "zstd", "plain"])
@pytest.mark.parametrize("docker", [True, False], ids=["docker", "oci"])
async def test_an_image_is_pulled_with_its_configuration(
    registry: Registry, store: ImageStore, layers: ImageLayers, how: str, docker: bool
) -> None:
    config: dict[str, object] = {
        "Env": ["PATH=/usr/bin:/bin", "EMPTY=", "A=b=c"],
        "User": "1000:1000",
        "WorkingDir": "/app",
        "Shell": ["/bin/bash", "-c"],
        "Entrypoint": ["/entry"],
        "Cmd": ["serve", "--all"],
        "Labels": {"a": "b"},
        "OnBuild": ["RUN true"],
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": None,
    }
    made = make_image([content(), content()], config, how=how, docker=docker)
    reference = Reference.parse(registry.add("some/image:1", made))
    image = await store.pull(reference, print)
    assert (image.reference, image.digest, image.size) == (reference, made.digest, 2000)
    assert set(image.layers) <= layers.names()
    assert image.config == ImageConfig(
        env={"PATH": "/usr/bin:/bin", "EMPTY": "", "A": "b=c"},
        user="1000:1000",
        working_dir="/app",
        shell=("/bin/bash", "-c"),
        entrypoint=("/entry",),
        cmd=("serve", "--all"),
        labels={"a": "b"},
        architecture=image.config.architecture,
        os="linux",
        onbuild=("RUN true",),
    )
    assert store.find(reference) == image
    assert store.images() == [image]


async def test_an_image_without_settings_has_defaults(registry: Registry, store: ImageStore) -> None:
    made = make_image([content()])
    image = await store.pull(Reference.parse(registry.add("bare:1", made)), print)
    assert image.config == ImageConfig(architecture=image.config.architecture, os="linux")


async def test_what_is_here_is_not_fetched_again(registry: Registry, store: ImageStore) -> None:
    shared, other = content(), content()
    first = await pull(store, registry.add("one:1", make_image([shared, content()])))
    asked = len(registry.paths("/blobs/"))
    lines: list[str] = []
    again = await pull(store, f"{registry.host}/one:1", lines)
    assert (again, lines) == (first, [f"{registry.host}/one:1 is here, and has not changed."])
    assert len(registry.paths("/blobs/")) == asked
    second = await pull(store, registry.add("two:1", make_image([shared, other])))
    assert second[0] == first[0]
    assert len(registry.paths("/blobs/")) == asked + 2  # its configuration, and the layer that is new
    upside_down = await pull(store, registry.add("three:1", make_image([other, shared])))
    assert not set(upside_down) & {*first, *second}  # a layer may only stand on those that it was made for


async def test_a_tag_that_moves_is_pulled_anew_and_a_digest_is_not_asked_for_again(
    registry: Registry, store: ImageStore
) -> None:
    old = make_image([content()])
    reference = registry.add("moving:1", old)
    assert (await store.pull(Reference.parse(reference), print)).digest == old.digest
    by_digest = Reference.parse(f"{registry.host}/moving@{old.digest}")
    assert (await store.pull(by_digest, print)).digest == old.digest
    new = make_image([content()])
    registry.add("moving:1", new)
    assert (await store.pull(Reference.parse(reference), print)).digest == new.digest
    registry.asked.clear()
    assert (await store.pull(by_digest, print)).digest == old.digest
    assert registry.asked == []


async def test_the_image_for_this_machine_is_chosen(registry: Registry, store: ImageStore) -> None:
    right = make_image([content()])
    platform = "/".join(("linux", json.loads(next(iter(right.blobs.values())))["architecture"]))
    wrong = make_image([content()], platform={"os": "linux", "architecture": "s390x"})
    index = make_index({"linux/s390x": wrong, "unknown/unknown": wrong, platform: right, "windows/amd64": wrong})
    image = await store.pull(Reference.parse(registry.add("many:1", right, index)), print)
    assert image.digest == right.digest
    by_index = Reference.parse(f"{registry.host}/many@{digest(index)}")
    assert (await store.pull(by_index, print)).digest == right.digest


async def test_an_image_for_other_machines_only_is_refused(registry: Registry, store: ImageStore) -> None:
    other = make_image([content()], platform={"os": "linux", "architecture": "s390x"})
    text = await refusal(store, registry.add("single:1", other))
    assert "only for linux/s390x" in text
    index = make_index({"linux/s390x": other, "linux/arm/v5": other, "unknown/unknown": other})
    text = await refusal(store, registry.add("several:1", other, index))
    assert text.endswith("only for linux/arm/v5, linux/s390x.")


@pytest.mark.parametrize("authentication", ["token", "basic"])
async def test_an_account_of_docker_login_is_used(
    registry: Registry, make_store: MakeStore, tmp_path: Path, authentication: str
) -> None:
    registry.account, registry.authentication = ("me", "secret"), authentication
    reference = registry.add("private/image:1", make_image([content()]))
    assert "docker login" in await refusal(make_store(), reference)
    (tmp_path / ".docker").mkdir()
    auths = {"auths": {registry.host: {"auth": basic(registry.account)}}}
    (tmp_path / ".docker/config.json").write_text(json.dumps(auths))
    assert await pull(make_store(), reference)
    auths["auths"][registry.host]["auth"] = basic(("me", "wrong"))
    (tmp_path / ".docker/config.json").write_text(json.dumps(auths))
    registry.add("private/image:1", make_image([content()]))
    text = await refusal(make_store(), reference)
    assert "docker login" in text
    assert "wrong" not in text


async def test_an_identity_token_is_exchanged(registry: Registry, make_store: MakeStore, tmp_path: Path) -> None:
    registry.account, registry.authentication = ("", "refresh-me"), "token"
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: {"identitytoken": "refresh-me"}}}))
    reference = registry.add("private:1", make_image([content()]))
    assert await pull(make_store(REGISTRY_AUTH_FILE=str(tmp_path / "auth.json")), reference)


async def test_an_account_is_not_shown_to_the_host_of_blobs(registry: Registry, store: ImageStore) -> None:
    registry.authentication = "token"
    async with serving(Registry()) as blob_host:
        made = make_image([content()])
        blob_host.blobs = made.blobs
        registry.blob_host = f"http://{blob_host.host}"
        assert await pull(store, registry.add("redirected:1", made))
        assert blob_host.paths("/blobs/")
        assert not [headers for _, _, headers in blob_host.asked if "authorization" in headers]
    assert [headers for _, path, headers in registry.asked if "/blobs/" in path and "authorization" in headers]


@pytest.mark.parametrize(
    "fault",
    [Fault(429, {"Retry-After": "0"}), Fault(503), Fault(500, body=b"<html>")],
    ids=["429", "503", "500"],
)
@pytest.mark.parametrize("part", ["/manifests/", "/blobs/", "/token"])
async def test_a_request_that_fails_for_a_moment_is_sent_again(
    registry: Registry, store: ImageStore, part: str, fault: Fault
) -> None:
    if part == "/token":
        registry.authentication = "token"
    registry.faults[part] = [fault, fault]
    assert await pull(store, registry.add("shaky:1", make_image([content()])))


async def test_a_manifest_that_is_cut_is_read_again(registry: Registry, store: ImageStore) -> None:
    registry.faults["/manifests/"] = [Fault(cut_after=10)] * 2
    assert await pull(store, registry.add("cut:1", make_image([content()])))


async def test_a_layer_that_is_cut_is_fetched_from_there_on(registry: Registry, store: ImageStore) -> None:
    made = make_image([content(100_000)])
    registry.faults[made.layers[0]] = [Fault(cut_after=30_000), Fault(cut_after=30_000)]
    assert await pull(store, registry.add("cut:1", made))
    ranges = [headers.get("range") for _, path, headers in registry.asked if made.layers[0] in path]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert [int(text.removeprefix("bytes=").removesuffix("-")) > 0 for text in ranges[1:] if text] == [True, True]


@pytest.mark.parametrize(
    "second",
    [Fault(ignores_range=True), Fault(416)],
    ids=["from the beginning", "not at all"],
)
async def test_a_registry_that_does_not_resume_is_asked_for_all(
    registry: Registry, store: ImageStore, second: Fault
) -> None:
    made = make_image([content(100_000)])
    registry.faults[made.layers[0]] = [Fault(cut_after=30_000), second]
    assert await pull(store, registry.add("cut:1", made))


async def test_an_earlier_pull_s_part_is_used(registry: Registry, store: ImageStore) -> None:
    made = make_image([content(100_000)])
    registry.faults[made.layers[0]] = [Fault(cut_after=30_000), *[Fault(503)] * 5]
    reference = registry.add("cut:1", made)
    assert "answered 503" in await refusal(store, reference)
    registry.asked.clear()
    assert await pull(store, reference)
    assert [headers["range"] for _, path, headers in registry.asked if made.layers[0] in path]


def wrong_layer(registry: Registry, made: HandMade) -> None:
    right = made.blobs[made.layers[0]]
    registry.faults[made.layers[0]] = [Fault(content=right[:-1] + bytes([right[-1] ^ 1]))] * 9


def other_layer(registry: Registry, made: HandMade) -> None:
    registry.faults[made.layers[0]] = [Fault(content=b"x" * len(made.blobs[made.layers[0]]))] * 9


def long_layer(registry: Registry, made: HandMade) -> None:
    registry.faults[made.layers[0]] = [Fault(content=made.blobs[made.layers[0]] + b"more")] * 9


def short_layer(registry: Registry, made: HandMade) -> None:
    registry.faults[made.layers[0]] = [Fault(content=made.blobs[made.layers[0]][:10])] * 9


def wrong_configuration(registry: Registry, made: HandMade) -> None:
    registry.faults[next(iter(made.blobs))] = [Fault(content=b"{}")]


def no_layer(registry: Registry, made: HandMade) -> None:
    del registry.blobs[made.layers[0]]


def no_json(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(content=b"<html>")]


def first_format(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(content=b'{"schemaVersion": 1}')]


def chart(registry: Registry, made: HandMade) -> None:
    text = made.manifest.replace(
        b"application/vnd.oci.image.config.v1+json", b"application/vnd.cncf.helm.config.v1+json"
    )
    registry.faults["/manifests/"] = [Fault(content=text)]


def large_manifest(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(content=b" " * (9 << 20))]


def forbidden(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(403, body=b'{"errors": [{"code": "DENIED", "message": "no\\nway"}]}')]


def limited(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(429, {"Retry-After": "3600"})]


def redirected_for_ever(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(307, {"Location": "/v2/again/manifests/1"})] * 99


def with_foreign_login(registry: Registry, made: HandMade) -> None:
    registry.faults["/manifests/"] = [Fault(401, {"WWW-Authenticate": 'Bearer realm="ftp://elsewhere/token"'})]


WRONG: Mapping[str, tuple[object, str]] = {
    "layer with a wrong byte": (wrong_layer, "its layer should be sha256:"),
    "other layer": (other_layer, "its layer should be sha256:"),
    "longer layer": (long_layer, "bytes it should"),
    "layer that is always cut": (short_layer, "again and again"),
    "other configuration": (wrong_configuration, "its blob should be sha256:"),
    "layer that is missing": (no_layer, "answered 404 (BLOB_UNKNOWN blob unknown)"),
    "no JSON": (no_json, "its manifest is wrong"),
    "first format": (first_format, "first format"),
    "chart": (chart, "it is no image of a container, but application/vnd.cncf.helm.config.v1+json"),
    "large manifest": (large_manifest, "its manifest is larger than 8 MB"),
    "forbidden": (forbidden, "answered 403 (DENIED noway): check its name, and log in with docker login localhost"),
    "limited": (limited, "try again in 3600 s"),
    "redirects for ever": (redirected_for_ever, "redirects"),
    "login elsewhere": (with_foreign_login, "asks to log in at 'ftp://elsewhere/token'"),
}


@pytest.mark.parametrize(("spoil", "reason"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_said_in_a_sentence_and_nothing_stays(
    registry: Registry, store: ImageStore, layers: ImageLayers, spoil: object, reason: str
) -> None:
    assert callable(spoil)
    before = layers.names()
    made = make_image([content()])
    reference = registry.add("wrong:1", made)
    spoil(registry, made)
    assert reason in await refusal(store, reference)
    assert (layers.names(), layers.unfinished(), store.images()) == (before, frozenset(), [])


async def test_an_archive_with_another_digest_than_the_configuration_says_is_refused(
    registry: Registry, store: ImageStore, layers: ImageLayers
) -> None:
    before = layers.names()
    made = make_image([content()], diff_ids=[digest(b"another")])
    assert "the archive in its layer" in await refusal(store, registry.add("swapped:1", made))
    assert layers.names() == before


async def test_a_hostile_layer_is_told_with_its_digest(registry: Registry, store: ImageStore) -> None:
    made = make_image([archive(member("../out", secrets.token_bytes(9)))])
    text = await refusal(store, registry.add("hostile:1", made))
    assert f"its layer {made.layers[0]} has '../out', which leads out of it" in text


async def test_an_unknown_image_is_told_with_the_registry_s_answer(registry: Registry, store: ImageStore) -> None:
    text = await refusal(store, f"{registry.host}/no/such:tag")
    assert f"{registry.host} answered 404 (MANIFEST_UNKNOWN manifest unknown): check the name and the tag" in text


async def test_a_registry_that_is_not_there_is_told(store: ImageStore) -> None:
    async with serving(Registry()) as gone:
        host = gone.host
    assert f"{host} cannot be reached: Connection refused; check the network" in await refusal(store, f"{host}/x")


async def test_ten_gigabytes_of_zeros_are_refused_before_they_are_written(
    registry: Registry, make_store: MakeStore, layers: ImageLayers, tmp_path: Path
) -> None:
    made = make_image([archive(member("zeros", bytes(64 << 20)))])
    store = make_store(RegistrySettings(max_bytes=1 << 20))
    assert "more than 1,048,576 bytes of files" in await refusal(store, registry.add("zeros:1", made))
    two = make_image([content(600_000), content(600_000)])
    assert "more than 1,048,576 bytes of files" in await refusal(store, registry.add("sum:1", two))


async def test_two_pulls_at_once_fetch_each_layer_once(registry: Registry, store: ImageStore) -> None:
    shared = [content(), content()]
    first = registry.add("one:1", make_image(shared))
    second = registry.add("two:1", make_image([*shared, content()]))
    found = await asyncio.gather(*[pull(store, reference) for reference in (first, second, first)])
    assert found[0] == found[2] == found[1][:2]
    blobs = registry.paths("/blobs/")
    assert len(blobs) == len(set(blobs)) == 5  # two configurations, three layers


async def test_a_layer_that_is_there_twice_is_in_both_places(registry: Registry, store: ImageStore) -> None:
    twice = content()
    found = await pull(store, registry.add("twice:1", make_image([twice, content(), twice])))
    assert len(set(found)) == 3


async def test_a_pull_that_is_cancelled_leaves_the_other_alone(registry: Registry, store: ImageStore) -> None:
    made = make_image([content(), content(100_000)])
    registry.faults[made.layers[1]] = [Fault(waits_after=30_000)]
    reference = registry.add("cancelled:1", made)
    first = asyncio.create_task(pull(store, reference))
    await registry.waiting.wait()
    second = asyncio.create_task(pull(store, reference))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(await second) == 2


async def test_a_mirror_is_asked_first_and_the_registry_where_it_fails(
    registry: Registry, make_store: MakeStore
) -> None:
    made = make_image([content()])
    async with serving(Registry()) as mirror:
        mirror.add("cache/some/image:1", made)
        store = make_store(RegistrySettings(mirrors={registry.host: (f"http://{mirror.host}/cache",)}))
        assert await pull(store, registry.add("some/image:1", made))
        assert registry.asked == []
        lines: list[str] = []
        assert await pull(store, registry.add("other:1", make_image([content()])), lines)
        assert lines[0].startswith(
            f"The mirror {mirror.host} does not give {registry.host}/other:1: {mirror.host} answered"
        )


async def test_prune_removes_what_nothing_uses(isolation: object, registry: Registry, make_store: MakeStore) -> None:
    store = make_store()
    shared = content(200_000)
    kept = await pull(store, registry.add("kept:1", make_image([shared, content()])))
    gone = await pull(store, registry.add("gone:1", make_image([shared, content(300_000)])))
    freed = await store.prune(kept)
    assert freed >= 300_000
    assert [str(image.reference) for image in store.images()] == [f"{registry.host}/kept:1"]
    assert store.find(Reference.parse(f"{registry.host}/gone:1")) is None
    assert await pull(store, f"{registry.host}/gone:1") == gone
    assert await store.prune(()) >= 500_000
    assert store.images() == []


@pytest.mark.parametrize("how", ["found", "pulled"])
async def test_prune_leaves_images_that_were_used_since(
    registry: Registry, store: ImageStore, tmp_path: Path, how: str
) -> None:
    texts = [registry.add(f"{name}:1", make_image([content()])) for name in ("one", "two")]
    for text in texts:
        await pull(store, text)
    for file in (tmp_path / "records").glob("*.json"):
        os.utime(file, (1000, 1000))
    await store.prune((), before_ms=1_000_000)
    assert len(store.images()) == 2
    used = Reference.parse(texts[1])
    assert store.find(used) if how == "found" else await store.pull(used, print)
    await store.prune((), before_ms=1_000_001)
    assert [image.reference for image in store.images()] == [used]


async def test_what_is_pulled_is_not_pruned_meanwhile(
    registry: Registry, store: ImageStore, layers: ImageLayers
) -> None:
    made = make_image([content(), content(100_000)])
    registry.faults[made.layers[1]] = [Fault(waits_after=30_000)]
    task = asyncio.create_task(pull(store, registry.add("slow:1", made)))
    await registry.waiting.wait()
    await store.prune(())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert layers.unfinished() == frozenset()
    assert await pull(store, f"{registry.host}/slow:1")


async def test_an_image_whose_layer_is_lost_is_pulled_again(
    registry: Registry, store: ImageStore, layers: ImageLayers
) -> None:
    reference = Reference.parse(registry.add("lost:1", make_image([content()])))
    image = await store.pull(reference, print)
    await layers.remove(image.layers[0])
    assert (store.find(reference), store.images()) == (None, [])
    assert await store.pull(reference, print) == image


async def test_the_same_image_costs_its_layers_once(
    isolation: object, registry: Registry, store: ImageStore, tmp_path: Path
) -> None:
    base = content(1 << 20)
    await pull(store, registry.add("one:1", make_image([base])))
    before = await used_bytes(tmp_path)
    await pull(store, registry.add("two:1", make_image([base, content(1000)])))
    assert await used_bytes(tmp_path) - before < 1 << 19
