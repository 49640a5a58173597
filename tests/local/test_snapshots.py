"""Snapshots over a socket: what they hold, who may ask what and when, what a kill leaves of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runloop_local.routes.snapshots import metadata_filter
from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.waiting import until

BUSY = "setsid sleep 1000 >/dev/null 2>&1 &"
"""Keeps a snapshot from being a mere freeze."""


async def snapshot(api: Api, devbox: str, **options: Any) -> str:
    """The id of a complete snapshot."""
    view = await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", options)
    snapshot_id: str = view["id"]
    return snapshot_id


async def state(api: Api, snapshot_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await api.json(f"/v1/devboxes/disk_snapshots/{snapshot_id}/status")
    return found


async def ids(api: Api, query: str) -> list[str]:
    page = await api.json(f"/v1/devboxes/disk_snapshots?{query}")
    return [view["id"] for view in page["snapshots"]]


async def shut_down(api: Api, *devboxes: str) -> None:
    for devbox in devboxes:
        await api.json(f"/v1/devboxes/{devbox}/shutdown", {"force": "true"})


def layers_on_disk(service: Service) -> set[str]:
    return {path.name for path in service.data_dir.glob("sandboxes/*/layers/*")} - {"base", "scratch", "skeleton"}


async def until_layers(service: Service, expected: set[str]) -> None:
    await until(lambda: layers_on_disk(service) == expected, f"the layers {expected}")


@pytest.mark.parametrize("case", ["running", "busy", "suspended"])
async def test_a_devbox_from_a_snapshot_has_the_disk_as_it_was(api: Api, devbox: str, case: str) -> None:
    await api.execute(devbox, "echo one > file; echo t > ${TMPDIR:-/tmp}/temporary; mkdir -p a/b; ln -s ../file a/link")
    if case == "busy":
        await api.execute(devbox, BUSY)
    if case == "suspended":
        await api.json(f"/v1/devboxes/{devbox}/suspend", {})
        await api.wait(devbox, "suspended")
    taken = await snapshot(api, devbox)
    assert (await state(api, taken))["status"] == "complete"
    if case == "suspended":
        await api.json(f"/v1/devboxes/{devbox}/resume", {})
        await api.wait(devbox, "running")
    await api.execute(devbox, "echo two > file; rm -r a")
    copy = await api.create(snapshot_id=taken)
    result = await api.execute(copy, "cat file a/link ${TMPDIR:-/tmp}/temporary; echo three > file")
    assert result["stdout"] == "one\none\nt\n"
    assert (await api.json(f"/v1/devboxes/{copy}"))["snapshot_id"] == taken
    assert (await api.execute(devbox, "cat file; ls"))["stdout"] == "two\nfile\n"
    await shut_down(api, copy)


async def test_installed_files_outside_the_home_are_part_of_a_snapshot(api: Api, service: Service, devbox: str) -> None:
    if service.isolation != "namespaces":
        return  # plain processes have nothing but their home: see the test above
    await api.execute(
        devbox, "echo 'echo installed' | sudo tee /usr/local/bin/tool; sudo chmod 755 /usr/local/bin/tool"
    )
    copy = await api.create(snapshot_id=await snapshot(api, devbox))
    assert (await api.execute(copy, "tool; stat -c %U /usr/local/bin/tool"))["stdout"] == "installed\nroot\n"
    await shut_down(api, copy)


async def test_a_program_goes_on_after_a_snapshot_and_its_shell_keeps_its_state(api: Api, devbox: str) -> None:
    await api.execute(devbox, "cd /; A=kept", shell_name="s")
    running = await api.start(devbox, "until test -e go; do sleep 0.02; done; echo went")
    taken = await snapshot(api, devbox)
    await api.execute(devbox, "touch go")
    assert (await api.finish(running))["stdout"] == "went\n"
    assert (await api.execute(devbox, "pwd; echo $A", shell_name="s"))["stdout"] == "/\nkept\n"
    await api.json(f"/v1/devboxes/disk_snapshots/{taken}/delete", {})


async def test_snapshots_of_snapshots(api: Api, devbox: str) -> None:
    current, boxes = devbox, []
    for number in range(3):
        await api.execute(current, f"echo {number} > file-{number}; rm -f file-{number - 2}")
        boxes.append(current := await api.create(snapshot_id=await snapshot(api, current)))
    assert (await api.execute(current, "cat file-*"))["stdout"] == "1\n2\n"
    await shut_down(api, *boxes)


async def test_async_answers_before_it_is_complete_and_knows_its_name(api: Api, devbox: str) -> None:
    await api.execute(devbox, f"mkdir many; cd many; seq 15000 | xargs touch; {BUSY}")
    wish = {"name": "nightly", "commit_message": "x" * 1000, "metadata": {"k": "v"}}
    view = await api.json(f"/v1/devboxes/{devbox}/snapshot_disk_async", wish)
    seen = await state(api, view["id"])
    assert seen["status"] == "in_progress"
    assert seen["snapshot"] is None
    one = f"/v1/devboxes/disk_snapshots/{view['id']}"
    assert (await api.json(f"{one}/delete", {}, status=409))["error"] == "conflict"
    answer = await api.json(f"/v1/devboxes/{devbox}/shutdown", {}, status=409)
    assert "force=true" in answer["message"]
    assert "in_progress" in (await api.json("/v1/devboxes", {"snapshot_id": view["id"]}, status=400))["message"]

    async def settled() -> dict[str, Any] | None:
        found = await state(api, view["id"])
        return found if found["status"] != "in_progress" else None

    seen = await until(settled, "its end")
    assert seen["status"] == "complete"
    assert seen["snapshot"] == {**view, **wish}
    assert view["source_devbox_id"] == devbox


async def test_forced_shutdown_during_a_snapshot(api: Api) -> None:
    devbox = await api.create()
    await api.execute(devbox, f"mkdir many; cd many; seq 15000 | xargs touch; {BUSY}")
    taken = (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk_async", {}))["id"]
    assert (await api.json(f"/v1/devboxes/{devbox}/shutdown?force=true", {}))["status"] == "shutdown"
    assert (await state(api, taken))["status"] == "complete"


async def test_the_same_request_makes_one_snapshot(api: Api, devbox: str) -> None:
    path, headers = f"/v1/devboxes/{devbox}/snapshot_disk", {"x-request-id": f"same-{devbox}"}
    first = await api.json(path, {}, headers=headers)
    assert await api.json(path, {}, headers=headers) == first
    assert await ids(api, f"devbox_id={devbox}") == [first["id"]]


async def test_lists(api: Api, devbox: str) -> None:
    other = await api.create()
    taken = [
        await snapshot(api, devbox, name=f"Name-{devbox}-{n}", metadata={"n": str(n), "of": devbox, "a.b\"'": "ü"})
        for n in range(3)
    ]
    foreign = await snapshot(api, other, metadata={"n": "0", "of": devbox})
    mine = f"devbox_id={devbox}"
    assert await ids(api, mine) == taken[::-1]
    assert await ids(api, f"{mine}&limit=2") == [taken[2], taken[1]]
    assert await ids(api, f"{mine}&limit=2&starting_after={taken[1]}") == [taken[0]]
    assert await ids(api, f"metadata[of]={devbox}") == [foreign, *taken[::-1]]
    assert await ids(api, f"metadata[of]={devbox}&metadata[n]=0") == [foreign, taken[0]]
    assert await ids(api, f"{mine}&metadata[n][in]=0,2") == [taken[2], taken[0]]
    assert await ids(api, f"{mine}&metadata[n][in]=0&metadata[n][in]=1") == [taken[1], taken[0]]
    assert await ids(api, f"{mine}&metadata[a.b\"']=ü") == taken[::-1]
    assert await ids(api, f"{mine}&metadata[missing]=0") == []
    assert await ids(api, f"search=name-{devbox}-1") == [taken[1]]
    assert await ids(api, f"search={taken[2]}") == [taken[2]]
    assert await ids(api, f"{mine}&source_blueprint_id=bpt_none") == []
    page = await api.json(f"/v1/devboxes/disk_snapshots?{mine}&limit=0")
    assert (page["snapshots"], page["total_count"], page["has_more"]) == ([], 3, True)
    assert "total_count" not in await api.json(f"/v1/devboxes/disk_snapshots?{mine}&include_total_count=false")
    await shut_down(api, other)


async def test_update_and_delete(api: Api, devbox: str) -> None:
    taken = await snapshot(api, devbox, name="old", metadata={"a": "1"})
    one = f"/v1/devboxes/disk_snapshots/{taken}"
    view = await api.json(one, {"name": "new", "commit_message": "why", "metadata": {"b": "2"}})
    assert (view["name"], view["commit_message"], view["metadata"]) == ("new", "why", {"b": "2"})
    assert (await api.json(one, {"commit_message": "then"}))["name"] == "new"
    assert (await state(api, taken))["snapshot"]["commit_message"] == "then"
    assert await api.json(f"{one}/delete", {}) == {}
    assert await api.json(f"{one}/delete", {}) == {}
    assert await state(api, taken) == {"status": "deleted", "error_message": None, "snapshot": None}
    assert await ids(api, f"devbox_id={devbox}") == []
    await api.json(one, {"name": "newer"}, status=404)
    assert "deleted" in (await api.json("/v1/devboxes", {"snapshot_id": taken}, status=404))["message"]


BAD: dict[str, tuple[str, object, int]] = {
    "message too long": ("/v1/devboxes/{devbox}/snapshot_disk", {"commit_message": "x" * 1001}, 400),
    "name of another type": ("/v1/devboxes/{devbox}/snapshot_disk_async", {"name": 1}, 400),
    "metadata of another type": ("/v1/devboxes/{devbox}/snapshot_disk_async", {"metadata": {"a": 1}}, 400),
    "unknown devbox": ("/v1/devboxes/dbx_none/snapshot_disk", {}, 404),
    "unknown snapshot to update": ("/v1/devboxes/disk_snapshots/snp_none", {}, 404),
    "unknown snapshot to delete": ("/v1/devboxes/disk_snapshots/snp_none/delete", {}, 404),
    "unknown snapshot to ask": ("/v1/devboxes/disk_snapshots/snp_none/status", None, 404),
    "unknown snapshot to start from": ("/v1/devboxes", {"snapshot_id": "snp_none"}, 404),
    "unknown cursor": ("/v1/devboxes/disk_snapshots?starting_after=snp_none", None, 404),
    "limit": ("/v1/devboxes/disk_snapshots?limit=5001", None, 400),
}


@pytest.mark.parametrize(("path", "body", "status"), BAD.values(), ids=BAD.keys())
async def test_bad_input(api: Api, devbox: str, path: str, body: object, status: int) -> None:
    assert (await api.json(path.format(devbox=devbox), body, status=status))["message"]


async def test_an_ended_devbox_has_no_disk_to_snapshot(api: Api) -> None:
    devbox = await api.create()
    await shut_down(api, devbox)
    assert "shutdown" in (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {}, status=400))["message"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ([], {}),
        ([("metadata[a]", "1"), ("metadata[b]", "2,3")], {"a": {"1"}, "b": {"2,3"}}),
        ([("metadata[a][in]", "1,2"), ("metadata[a][in]", "3")], {"a": {"1", "2", "3"}}),
        ([("metadata[a[b]]", "1")], {"a[b]": {"1"}}),
        ([("metadata", "1"), ("metadata[]", "1"), ("limit", "1")], {}),
    ],
    ids=["none", "two keys", "in", "brackets in a key", "not metadata"],
)
def test_metadata_filter(query: list[tuple[str, str]], found: dict[str, set[str]]) -> None:
    assert metadata_filter(query) == found


async def test_a_layer_stays_until_nothing_stands_on_it(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            await api.execute(devbox, "echo one > file")
            taken = await snapshot(api, devbox)
            copy = await api.create(snapshot_id=taken)
            below = layers_on_disk(service)
            second = await snapshot(api, copy)
            both = layers_on_disk(service)
            assert (len(below), len(both)) == (1, 2)
            await shut_down(api, devbox, copy)
            await api.json(f"/v1/devboxes/disk_snapshots/{taken}/delete", {})
            if service.isolation == "namespaces":
                again = await api.create(snapshot_id=second)
                assert layers_on_disk(service) == both, "the second snapshot stands on the first one's layer"
                await api.json(f"/v1/devboxes/disk_snapshots/{second}/delete", {})
                assert (await api.execute(again, "cat file"))["stdout"] == "one\n"
                assert layers_on_disk(service) == both, "a devbox stands on them"
                await shut_down(api, again)
            else:
                await api.json(f"/v1/devboxes/disk_snapshots/{second}/delete", {})
            await until_layers(service, set())


async def test_a_kill_loses_no_complete_snapshot_and_leaves_no_half_one(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            devbox = await api.create()
            await api.execute(devbox, "echo one > file")
            done = await snapshot(api, devbox, name="done")
            frozen = layers_on_disk(first)
            await api.execute(devbox, f"head -c 200M /dev/zero > big; {BUSY}")
            half = (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk_async", {}))["id"]
            assert (await state(api, half))["status"] == "in_progress"
        first.kill()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            seen = await state(api, half)
            assert seen["status"] == "error"
            assert "restarted" in seen["error_message"]
            assert await ids(api, "") == [done]
            await until_layers(second, frozen)
            copy = await api.create(snapshot_id=done)
            assert (await api.execute(copy, "cat file; ls"))["stdout"] == "one\nfile\n"
            await api.json(f"/v1/devboxes/{devbox}/resume", {})
            await api.wait(devbox, "running")
            assert (await api.execute(devbox, "cat file; ls"))["stdout"] == "one\nbig\nfile\n"
            assert await api.json(f"/v1/devboxes/disk_snapshots/{half}/delete", {}) == {}


@pytest.mark.parametrize("route", ["snapshot_disk", "snapshot_disk_async"])
async def test_the_retry_of_a_snapshot_that_a_kill_cut_off_takes_one(tmp_path: Path, route: str) -> None:
    once: dict[str, Any] = {"headers": {"x-request-id": "once"}}
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            devbox = await api.create()
            # Something lives in it, so that the snapshot is a copy, which takes its time.
            await api.execute(devbox, f"echo one > file; head -c 200M /dev/zero > big; {BUSY}")
            path = f"/v1/devboxes/{devbox}/{route}"
            asked = asyncio.create_task(api.post(path, json={}, **once))
            await until(lambda: ids(api, ""), "the snapshot under way")
        first.kill()
        await asyncio.gather(asked, return_exceptions=True)
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            assert await ids(api, "") == []
            retried = [(await api.json(path, {}, **once))["id"] for _ in range(3)]
            assert len(set(retried)) == 1
            await until(lambda: ids(api, ""), "the snapshot")
            assert await ids(api, "") == retried[:1]


async def test_a_snapshot_that_cannot_be_written_is_an_error_and_leaves_the_devbox_as_it_was(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            await api.execute(devbox, f"echo one > file; {BUSY}")
            layers = next(service.data_dir.glob("sandboxes/*/layers"))
            layers.rename(layers.with_name("elsewhere"))
            failed = await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {}, status=503)
            assert "snapshot failed" in failed["message"]
            layers.with_name("elsewhere").rename(layers)
            assert (await api.execute(devbox, "cat file; pgrep -x sleep >/dev/null && echo lives"))["stdout"] == (
                "one\nlives\n"
            )
            assert await snapshot(api, devbox)
